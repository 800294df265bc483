// Which files beside the settings were made by us, judged by their names: those of the layout, for hosts that the settings
// or the ledger name. A copy with a name of its own (`FQDN.backup.key.pem`) is the user's. Contents are not read.

import { basename, dirname, join } from 'node:path';
import { RelaycertsError } from '../errors.js';
import { findHostName } from '../names.js';
import { bundleNames, tableName } from '../plan/bundle-names.js';
import { dkimNames } from '../plan/dkim.js';
import { peersName } from '../plan/inbound.js';
import { port25Names } from '../plan/port25.js';
import { tunnelKeysName } from '../plan/tunnel.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { recordName } from './backup-record.js';
import type { Layout } from './layout.js';
import { readLedger } from './ledger.js';

export interface MadeFiles {
  /** True for the name of a host that the settings or the ledger name. */
  readonly isHost: (name: string) => boolean;
  readonly isMade: (path: string) => boolean;
}

/** The files in bundles that are named alike for all hosts. */
const commonNames = new Set<unknown>([
  tableName,
  peersName,
  tunnelKeysName,
  ...Object.values(dkimNames),
  ...Object.values(port25Names),
]);

/** Without a ledger, only hosts in the settings are known. */
export function madeFiles(settings: Settings, layout: Layout): MadeFiles {
  const known = new Set<string>([...hostsOf(settings).map(({ hostname }) => hostname), ...hostsInLedger(layout)]);
  const isHost = (name: string): boolean => known.has(name);
  const { caKey, caCertificate, nextCaKey, nextCaCertificate, formerCaKey, formerCaCertificate } = layout;
  const ca = [caKey, caCertificate, nextCaKey, nextCaCertificate, formerCaKey, formerCaCertificate];
  const single = new Set([...ca, layout.ledger, layout.installed, layout.dkimSelectors].map(({ path }) => path));
  single.add(join(layout.certsFolder, recordName));
  const roleFolders = roles.map(layout.roleFolder);
  const isMade = (path: string): boolean => {
    // What a recovery puts beside a file that was edited meanwhile.
    const plain = path.replace(/\.relaycerts-new(?:-\d+)?$/u, '');
    const [folder, name] = [dirname(plain), basename(plain)];
    if (roleFolders.includes(folder))
      return isHost(/^(.+?)(?:\.old\.crt|\.(?:key|crt|csr))\.pem$/u.exec(name)?.[1] ?? '');
    if (folder === layout.dkimFolder && /\.rc\d{6}[b-z]?\.key\.pem$/u.test(name)) return true;
    if (folder === layout.retiredFolder || folder === layout.revokedFolder) return isPutAway(name);
    if (dirname(folder) === layout.hostsFolder) return isInBundle(settings, basename(folder), name);
    return single.has(plain);
  };
  return { isHost, isMade };
}

/** What is damaged must not keep anybody from removing it. */
function hostsInLedger(layout: Layout): readonly string[] {
  try {
    return readLedger(layout).entries.flatMap(({ role, name }) => (role === 'ca' ? [] : [name]));
  } catch (error) {
    if (error instanceof RelaycertsError) return [];
    throw error;
  }
}

/** HOST-SERIAL or DOMAIN-ca-SERIAL; `-2` after it if that was taken. */
function isPutAway(name: string): boolean {
  return /^.+-(?:[0-9a-f]+|unknown)(?:-\d+)?\.(?:old\.crt|crt|key|csr)\.pem$/u.test(name);
}

function isInBundle({ domain }: Settings, host: string, name: string): boolean {
  const hostname = findHostName(host);
  if (hostname === undefined) return false;
  const isDkimKey = /^.+\.dkim\.key\.pem$/u.test(name);
  return commonNames.has(name) || isDkimKey || Object.values(bundleNames(domain, hostname)).includes(name);
}
