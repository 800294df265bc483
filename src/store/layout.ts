// The place of every file: artefact -> path and mode. Pure. Hosts and scripts rely on these names, so they do not
// change.

import { join } from 'node:path';
import type { HostName, Serial } from '../names.js';
import { bundleNames, tableName, type BundlePart } from '../plan/bundle-names.js';
import { dkimFiles, dkimKeyFile } from '../plan/dkim.js';
import { inboundFiles } from '../plan/inbound.js';
import { port25Files } from '../plan/port25.js';
import { tunnelFiles } from '../plan/tunnel.js';
import type { HostSettings, Role, Settings } from '../settings/settings.js';
import type { FileMode } from '../sys/disk.js';

export interface Place {
  /** Absolute. */
  readonly path: string;
  readonly mode: FileMode;
}

export type Layout = ReturnType<typeof layoutOf>;

/** The layout beside a settings file. */
export function layoutOf({
  folder,
  domain,
  dkim,
  inbound,
  relayPort25,
}: Pick<Settings, 'folder' | 'domain'> & Partial<Pick<Settings, 'dkim' | 'inbound' | 'relayPort25'>>) {
  const certsFolder = join(folder, 'certs');
  const caFolder = join(certsFolder, 'ca');
  const hostsFolder = join(folder, 'hosts');
  const retiredFolder = join(certsFolder, 'retired');
  const dkimFolder = join(certsFolder, 'dkim');
  const roleFolders = {
    'smtpd-server': join(certsFolder, 'smtpd-server'),
    'smtp-client': join(certsFolder, 'smtp-client'),
  };
  const roleFolder = (role: Role): string => roleFolders[role];
  const bundleFolder = (hostname: HostName): string => `${hostsFolder}/${hostname}`;
  return {
    folder,
    lock: join(folder, '.relaycerts.lock'),
    certsFolder,
    caFolder,
    caKey: secret(caFolder, `${domain}-ca.key.pem`),
    caCertificate: plain(caFolder, `${domain}-ca.crt.pem`),
    /** The next CA, from the first stage of a CA rekey to the second. */
    nextCaKey: secret(caFolder, `${domain}-ca.new.key.pem`),
    nextCaCertificate: plain(caFolder, `${domain}-ca.new.crt.pem`),
    /** The previous CA, from the second stage to the third. */
    formerCaKey: secret(caFolder, `${domain}-ca.old.key.pem`),
    formerCaCertificate: plain(caFolder, `${domain}-ca.old.crt.pem`),
    ledger: plain(caFolder, 'issued.jsonl'),
    /** What each host was last seen to have. */
    installed: plain(certsFolder, 'installed.json'),
    hostsFolder,
    roleFolder,
    key: (role: Role, hostname: HostName) => secret(roleFolder(role), `${hostname}.key.pem`),
    certificate: (role: Role, hostname: HostName) => plain(roleFolder(role), `${hostname}.crt.pem`),
    /** The certificate request of a host that makes its own key; if it exists, the key is at the host. */
    request: (role: Role, hostname: HostName) => plain(roleFolder(role), `${hostname}.csr.pem`),
    /** The certificate before a rekey, whose pin stays listed until it is retired. */
    previous: (role: Role, hostname: HostName) => plain(roleFolder(role), `${hostname}.old.crt.pem`),
    /** Retired certificates and the files of revoked hosts are kept here. */
    retiredFolder,
    retired: (hostname: HostName, serial: Serial) => plain(retiredFolder, `${hostname}-${serial}.crt.pem`),
    retiredCaKey: (serial: Serial) => secret(retiredFolder, `${domain}-ca-${serial}.key.pem`),
    retiredCaCertificate: (serial: Serial) => plain(retiredFolder, `${domain}-ca-${serial}.crt.pem`),
    revokedFolder: join(certsFolder, 'revoked'),
    dkimFolder,
    dkimKey: (key: Parameters<typeof dkimKeyFile>[0]) => secret(dkimFolder, dkimKeyFile(key)),
    /** What each DKIM key is for now. */
    dkimSelectors: plain(dkimFolder, 'selectors.json'),
    bundleFolder,
    /** Every file of a host's bundle, by its part. */
    bundle: (hostname: HostName): Readonly<Record<BundlePart, Place>> => {
      const names = bundleNames(domain, hostname);
      const bundle = bundleFolder(hostname);
      return {
        ca: plain(bundle, names.ca),
        certificate: plain(bundle, names.certificate),
        key: secret(bundle, names.key),
        chain: secret(bundle, names.chain),
        table: plain(bundle, tableName),
      };
    },
    /** The other files of a host's bundle: what it signs mail with, block lists that it asks with a key, the relays' pins, home's key. */
    signingFiles: (host: HostSettings): readonly Place[] =>
      [
        ...dkimFiles({ dkim }, host),
        ...port25Files({ relayPort25 }, host),
        ...inboundFiles(host),
        ...tunnelFiles({ inbound }, host),
      ].map((name) => secret(bundleFolder(host.hostname), name)),
  } as const;
}

/** The operator key: one for all projects of this user. */
export function operatorKeyPlace(configHome: string): Place {
  return secret(join(configHome, 'relaycerts'), 'operator-key.asc');
}

// Not join(), because the folders are absolute already and a fleet has a hundred thousand of these.
function secret(folder: string, name: string): Place {
  return { path: `${folder}/${name}`, mode: 0o600 };
}

function plain(folder: string, name: string): Place {
  return { path: `${folder}/${name}`, mode: 0o644 };
}
