// Finds the hosts that are in the ledger or the files but no longer in the settings, so that they can be undone and
// revoked for as long as they have our configuration.

import { findHostName } from '../names.js';
import { formerHosts, isFormer, withFormerHost, type FormerHost } from '../plan/former-hosts.js';
import type { Settings } from '../settings/settings.js';
import { listHostPaths } from './host-paths.js';
import { readInstalled } from './installed.js';
import { issuedCertificates } from './ledger-report.js';
import { readLedger } from './ledger.js';
import { layoutOf } from './layout.js';
import { findStrangers } from './strangers.js';

/** All former hosts. @throws files */
async function readFormerHosts(settings: Settings): Promise<readonly FormerHost[]> {
  const layout = layoutOf(settings);
  const { entries } = readLedger(layout);
  const issued = issuedCertificates(entries, { caCertificate: undefined, hosts: [] });
  return formerHosts(settings, issued, findStrangers(settings, layout, await listHostPaths(layout)));
}

/** The settings as if they still named the hosts that these words match; a word that matches none changes nothing. */
export async function withFormerHosts(settings: Settings, words: readonly string[]): Promise<Settings> {
  const names = words.flatMap((word) => findHostName(word, settings.domain) ?? []);
  const unknown = new Set(names.filter((hostname) => isFormer(settings, { hostname })));
  if (unknown.size === 0) return settings;
  const former = (await readFormerHosts(settings)).filter(({ hostname }) => unknown.has(hostname));
  const { hosts: seen } = readInstalled(layoutOf(settings));
  return former.reduce((named, one) => withFormerHost(named, one, seen.get(one.hostname)), settings);
}
