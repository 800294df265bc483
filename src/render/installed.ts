// What every host should have now, as digests, so that `check` and `deploy` can record what a host has and `status` can
// say what differs. It is derived only from settings and certificates; plan/installed.ts says what the digests are of.

import { hash } from 'node:crypto';
import { trustedCas } from '../plan/ca-rekey.js';
import { dkimFiles } from '../plan/dkim.js';
import { inboundFiles } from '../plan/inbound.js';
import { tableName } from '../plan/bundle-names.js';
import type { HostContent } from '../plan/installed.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { containerConfiguration } from './container.js';
import { configurationOf } from './configuration.js';
import { homeProgramOf } from './home-programs.js';
import { tunnelFilesOf } from './tunnel.js';

/**
 * What a host should have; undefined for one that is revoked or has no certificate. `bundles` are those of all hosts,
 * derived from this state.
 */
export function expectedContents(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles,
): (found: HostInventory) => HostContent | undefined {
  const authorities = trustedCas(inventory).map(({ info }) => info.digest('certificate').toString('hex'));
  // All relays have the same table, which is hashed once.
  const tables = new Map<Buffer, string>();
  const tableDigest = (host: HostSettings): string | undefined => {
    const table = bundles.get(host.hostname)?.get(pinTableOf(host) ?? '');
    if (table === undefined) return undefined;
    const digest = tables.get(table) ?? hash('sha256', table);
    tables.set(table, digest);
    return digest;
  };
  return ({ host, certificate, isRevoked }) => {
    if (certificate === undefined || isRevoked) return undefined;
    let configuration: string | undefined;
    return {
      certificate: certificate.info.digest('certificate').toString('hex'),
      authorities,
      table: tableDigest(host),
      // Once, and only if it is compared: those of a fleet take long.
      get configuration() {
        configuration ??= configurationDigest(settings, host);
        return configuration;
      },
      dkim: signingDigest(bundles.get(host.hostname), dkimFiles(settings, host)),
    };
  };
}

/** The table of those who may use our service on a host; undefined if it has no service. */
function pinTableOf(host: HostSettings): string | undefined {
  return host.role === 'smtpd-server' ? tableName : inboundFiles(host)[0];
}

/** The digest of the files with which a host signs; undefined if it does not. */
export function signingDigest(
  bundle: ReadonlyMap<string, Buffer> | undefined,
  names: readonly string[],
): string | undefined {
  if (bundle === undefined || names.length === 0) return undefined;
  return hash('sha256', names.map((name) => hash('sha256', bundle.get(name) ?? '')).join(' '));
}

/**
 * The digest of a host's configuration: a sorted list of lines, `main.cf NAME=VALUE`, `SERVICE LINE` and `SERVICE
 * NAME=VALUE`, each with a line feed; for another mail program, our lines in its files. Newer parameters count on every
 * release. Of a container, it is that of the files that are exported.
 */
export function configurationDigest(settings: Settings, host: HostSettings): string {
  const exported = containerConfiguration(settings, host);
  if (exported.length > 0) return hash('sha256', exported.map(({ bytes }) => hash('sha256', bytes)).join(' '));
  const program = homeProgramOf(settings, host);
  if (program !== undefined) {
    const { title, user, access, edits } = program;
    return hash('sha256', JSON.stringify([title, user, access, edits]));
  }
  const { main, tokens, services, files } = configurationOf(settings, host);
  const lines = [
    ...main.map(({ name, value }) => `main.cf ${name}=${value}`),
    ...tokens.map(({ name, place, token }) => `main.cf ${name} ${place} ${token}`),
    ...files.flatMap(({ name, lines: text }) => text.map((line) => `${name} ${line}`)),
    ...tunnelFilesOf(settings, host).flatMap(({ path, lines: text }) => text.map((line) => `${path} ${line}`)),
    ...services.flatMap(({ id, line, overrides }) => [
      `${id} ${line}`,
      ...overrides.map(({ name, value }) => `${id} ${name}=${value}`),
    ]),
  ];
  return hash('sha256', `${lines.toSorted().join('\n')}\n`);
}
