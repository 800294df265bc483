// Where every file belongs: artefact -> path and mode. Pure. Hosts and scripts rely on these names, so they do not
// change.

import { join } from 'node:path';
import type { HostName, Serial } from '../names.js';
import { bundleNames, tableName, type BundlePart } from '../plan/bundle-names.js';
import type { Role, Settings } from '../settings/settings.js';

export interface Place {
  /** Absolute. */
  readonly path: string;
  readonly mode: 0o600 | 0o644;
}

export interface Layout {
  readonly folder: string;
  readonly lock: string;
  readonly certsFolder: string;
  readonly caFolder: string;
  readonly caKey: Place;
  readonly caCertificate: Place;
  /** The next CA, from the first stage of its rekey to the second. */
  readonly nextCaKey: Place;
  readonly nextCaCertificate: Place;
  /** The CA before, from the second stage to the third. */
  readonly formerCaKey: Place;
  readonly formerCaCertificate: Place;
  readonly ledger: Place;
  readonly hostsFolder: string;
  readonly roleFolder: (role: Role) => string;
  readonly key: (role: Role, hostname: HostName) => Place;
  readonly certificate: (role: Role, hostname: HostName) => Place;
  /** The certificate request of a host that makes its own key; where it is, the key is at the host. */
  readonly request: (role: Role, hostname: HostName) => Place;
  /** The certificate before a rekey, whose pin stays listed until it is retired. */
  readonly previous: (role: Role, hostname: HostName) => Place;
  /** Where retired certificates and the files of revoked hosts are kept. */
  readonly retiredFolder: string;
  readonly retired: (hostname: HostName, serial: Serial) => Place;
  readonly retiredCaKey: (serial: Serial) => Place;
  readonly retiredCaCertificate: (serial: Serial) => Place;
  readonly revokedFolder: string;
  readonly bundleFolder: (hostname: HostName) => string;
  /** Every file of a host's bundle, by its part. */
  readonly bundle: (hostname: HostName) => Readonly<Record<BundlePart, Place>>;
}

/** The layout beside a settings file. */
export function layoutOf({ folder, domain }: Pick<Settings, 'folder' | 'domain'>): Layout {
  const certsFolder = join(folder, 'certs');
  const caFolder = join(certsFolder, 'ca');
  const hostsFolder = join(folder, 'hosts');
  const retiredFolder = join(certsFolder, 'retired');
  const roleFolder = (role: Role): string => join(certsFolder, role);
  const bundleFolder = (hostname: HostName): string => join(hostsFolder, hostname);
  return {
    folder,
    lock: join(folder, '.relaycerts.lock'),
    certsFolder,
    caFolder,
    caKey: { path: join(caFolder, `${domain}-ca.key.pem`), mode: 0o600 },
    caCertificate: { path: join(caFolder, `${domain}-ca.crt.pem`), mode: 0o644 },
    nextCaKey: { path: join(caFolder, `${domain}-ca.new.key.pem`), mode: 0o600 },
    nextCaCertificate: { path: join(caFolder, `${domain}-ca.new.crt.pem`), mode: 0o644 },
    formerCaKey: { path: join(caFolder, `${domain}-ca.old.key.pem`), mode: 0o600 },
    formerCaCertificate: { path: join(caFolder, `${domain}-ca.old.crt.pem`), mode: 0o644 },
    ledger: { path: join(caFolder, 'issued.jsonl'), mode: 0o644 },
    hostsFolder,
    roleFolder,
    key: (role, hostname) => ({ path: join(roleFolder(role), `${hostname}.key.pem`), mode: 0o600 }),
    certificate: (role, hostname) => ({ path: join(roleFolder(role), `${hostname}.crt.pem`), mode: 0o644 }),
    request: (role, hostname) => ({ path: join(roleFolder(role), `${hostname}.csr.pem`), mode: 0o644 }),
    previous: (role, hostname) => ({ path: join(roleFolder(role), `${hostname}.old.crt.pem`), mode: 0o644 }),
    retiredFolder,
    retired: (hostname, serial) => ({ path: join(retiredFolder, `${hostname}-${serial}.crt.pem`), mode: 0o644 }),
    retiredCaKey: (serial) => ({ path: join(retiredFolder, `${domain}-ca-${serial}.key.pem`), mode: 0o600 }),
    retiredCaCertificate: (serial) => ({ path: join(retiredFolder, `${domain}-ca-${serial}.crt.pem`), mode: 0o644 }),
    revokedFolder: join(certsFolder, 'revoked'),
    bundleFolder,
    bundle: (hostname) => {
      const names = bundleNames(domain, hostname);
      const place = (name: string, mode: Place['mode']): Place => ({ path: join(bundleFolder(hostname), name), mode });
      return {
        ca: place(names.ca, 0o644),
        certificate: place(names.certificate, 0o644),
        key: place(names.key, 0o600),
        chain: place(names.chain, 0o600),
        table: place(tableName, 0o644),
      };
    },
  };
}

/** The operator key: one for all projects of this user. */
export function operatorKeyPlace(configHome: string): Place {
  return { path: join(configHome, 'relaycerts', 'operator-key.asc'), mode: 0o600 };
}
