// The project as it will be after an adoption: the state, the ledger's lines, what goes to certs/revoked/, and for
// each host what stays. A certificate that is not right is taken only if make replaces it for the same key. Pure.

import { readHostKey } from '../certificate/private-key.js';
import { encodePrivateKey } from '../issue/keys.js';
import type { HostName } from '../names.js';
import { hostProblems } from '../plan/host-problems.js';
import { changeHost, type HostInventory, type Inventory } from '../plan/inventory.js';
import { curedByMake } from '../plan/reissue.js';
import { roles, type HostSettings, type Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { entryOf, hostEntry, type LedgerEntry } from '../store/ledger.js';
import type { FileWrite } from '../store/transaction.js';
import type { ChosenCa } from './choose-ca.js';
import type { FoundHosts, HostMaterial, LeftOut } from './choose-hosts.js';

/** What becomes of one host. */
export interface AdoptedHost {
  readonly host: HostSettings;
  /** Where its key is; `new`: make makes one. */
  readonly key: 'here' | 'host' | 'new';
  /** `replaced`: make issues another one for the same key. */
  readonly certificate: 'kept' | 'replaced' | 'new';
  /** Why something is new; '' if nothing is. */
  readonly why: string;
}

export interface Adoption {
  /** Without the CA's key and its passphrase. */
  readonly after: Inventory;
  readonly entries: readonly LedgerEntry[];
  readonly keeps: readonly FileWrite[];
  readonly hosts: readonly AdoptedHost[];
  readonly leftOut: readonly LeftOut[];
}

/** `inventory` has nothing yet. */
export function planAdoption(
  settings: Settings,
  inventory: Inventory,
  ca: ChosenCa,
  found: FoundHosts,
  at: Date,
): Adoption {
  const layout = layoutOf(settings);
  const caCertificate = { path: inventory.caCertificatePath, info: ca.held.info };
  const base = { ...inventory, caCertificate };
  const materials = new Map(found.hosts.map((one) => [one.hostname, one]));
  const taken = inventory.hosts.map((one) =>
    takeHost(one, materials.get(one.host.hostname), base, at, ca.flaws.length > 0),
  );
  const settled = new Map<HostName, HostSettings>(inventory.hosts.map(({ host }) => [host.hostname, host]));
  const strangers = found.hosts.filter(({ hostname }) => !settled.has(hostname));
  const entry = (hostname: HostName, info: HostMaterial['certificate']['info']): LedgerEntry => {
    const host = settled.get(hostname);
    if (host !== undefined) return hostEntry('issued', host, info, info.notBefore);
    return entryOf('issued', roles[1], hostname, info, info.notBefore);
  };
  return {
    after: { ...base, hosts: taken.map(({ inventory: one }) => one) },
    entries: [
      entryOf('issued', 'ca', ca.held.info.commonName ?? settings.ca.commonName, ca.held.info, ca.held.info.notBefore),
      ...found.older.map(({ hostname, held }) => entry(hostname, held.info)),
      ...found.revoked.flatMap(({ hostname, held, line }) => {
        const issued = entry(hostname, held.info);
        const time = (line.at ?? at).toISOString();
        return [issued, { ...issued, event: 'revoked' as const, time, reason: line.reason }];
      }),
      ...found.hosts.map(({ hostname, certificate }) => entry(hostname, certificate.info)),
    ],
    keeps: found.revoked.map(({ hostname, held: { info } }) => ({
      path: `${layout.revokedFolder}/${hostname}-${info.serial}.crt.pem`,
      mode: 0o644,
      bytes: Buffer.from(info.pem),
      folderMode: 0o700,
      isNew: true,
    })),
    hosts: taken.map(({ adopted }) => adopted),
    leftOut: [
      ...found.leftOut,
      ...strangers.map(({ hostname, certificate: { paths } }) => ({
        name: JSON.stringify(hostname),
        path: paths[0] ?? '',
        why: 'is not in the settings: to adopt it too, add it there first',
      })),
    ],
  };
}

function takeHost(
  one: HostInventory,
  material: HostMaterial | undefined,
  base: Inventory,
  at: Date,
  isCaFlawed: boolean,
): { readonly inventory: HostInventory; readonly adopted: AdoptedHost } {
  const { host, keyPath, requestPath, certificatePath } = one;
  if (material === undefined || (material.key === undefined && material.request === undefined)) {
    const why = material?.noKey ?? 'no certificate of this CA names it';
    return { inventory: one, adopted: { host, key: 'new', certificate: 'new', why } };
  }
  const { key, request, certificate } = material;
  const pem = key && Buffer.from(encodePrivateKey(key.privateKey).revealBytes());
  const withKey = changeHost(one, {
    key: pem && readHostKey(keyPath, pem),
    request: request && { path: requestPath, info: request.info },
  });
  const place = key === undefined ? 'host' : 'here';
  const whole = changeHost(withKey, { certificate: { path: certificatePath, info: certificate.info } });
  const why = whyNotTaken(material, isCaFlawed) ?? (hostProblems(whole, base, at).length > 0 ? notIts : undefined);
  if (why !== undefined) {
    return { inventory: withKey, adopted: { host, key: place, certificate: 'new', why } };
  }
  const cured = curedByMake(whole, base).map(({ code }) => code);
  const flaws = [...new Set(cured)].join(', ');
  return {
    inventory: whole,
    adopted: { host, key: place, certificate: flaws === '' ? 'kept' : 'replaced', why: flaws },
  };
}

const notIts = "its certificate is not this host's";

/** Why only the key is taken. */
function whyNotTaken({ isDirect, certificate }: HostMaterial, isCaFlawed: boolean): string | undefined {
  if (!isDirect) return 'an intermediate CA signed its certificate';
  // The CA has to be renewed before it signs anything, and this would not verify then.
  return isCaFlawed && certificate.info.namesCaSerial
    ? "its certificate names the serial number of the CA's certificate"
    : undefined;
}
