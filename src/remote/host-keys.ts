// The ssh host keys of the relays, for home's end of the tunnel: each relay is asked over the connection that `deploy`
// trusts anyway, whenever home is visited, so nothing of them is kept here.

import { readHostKeys } from '../certificate/ssh-key.js';
import { isTunnelEnd, knownAs, knownHostsName } from '../plan/tunnel.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';
import hostKeys from './host-keys.sh';
import { runOnHost } from './script-run.js';

/** Seconds for one relay. */
const seconds = 30;

/**
 * The files with host keys that home gets besides its bundle, by name; none for another host. A relay that does not
 * answer, or an ssh key that may only renew, has none: home keeps what it has, and its script says if that is nothing.
 */
export async function hostKeyFiles(
  settings: Settings,
  host: HostSettings,
  sys: Sys,
): Promise<ReadonlyMap<string, Buffer>> {
  if (host.role !== 'smtp-client' || !isTunnelEnd(settings, host)) return new Map();
  const files = await Promise.all(settings.smtpdServers.map((relay) => fileOf(relay, sys)));
  return new Map(files.flat());
}

async function fileOf(relay: SmtpdServer, sys: Sys): Promise<readonly (readonly [string, Buffer])[]> {
  const outcome = await runOnHost(relay, { script: hostKeys, seconds }, sys);
  const keys = outcome.kind === 'ran' ? readHostKeys(outcome.stdout) : [];
  if (keys.length === 0) return [];
  const text = keys.map((key) => `${knownAs(relay)} ${key}\n`).join('');
  return [[knownHostsName(relay.hostname), Buffer.from(text)]];
}
