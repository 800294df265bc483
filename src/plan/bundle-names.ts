// The names of the files in a host's bundle; they are the same here and on the host, in `postfix.directory`.
// store/layout.ts has the bundle's path and its files' modes; render/bundle.ts their contents.

import type { HostName } from '../names.js';
import type { HostSettings, Role, Settings } from '../settings/settings.js';
import { dkimFiles, signingFiles } from './dkim.js';
import { inboundFiles } from './inbound.js';
import { port25Files, port25Names } from './port25.js';
import { tunnelFiles } from './tunnel.js';

/** The chain is the key, then the certificate, as smtp_tls_chain_files and smtpd_tls_chain_files require. */
export type BundlePart = 'ca' | 'certificate' | 'key' | 'chain' | 'table';

/** Where a host's private key is: here, or on the host, if the host made it and keeps it. */
export type KeyPlace = 'here' | 'host';

/** A host that made its request also has the key. */
export const keyPlaceOf = (request: unknown): KeyPlace => (request === undefined ? 'here' : 'host');

/** The pins of all clients; only on a relay. */
export const tableName = 'relay_clientcerts';

/** The names of one host's files. */
export function bundleNames(domain: HostName, hostname: HostName): Readonly<Record<BundlePart, string>> {
  return {
    ca: `${domain}-ca.crt.pem`,
    certificate: `${hostname}.crt.pem`,
    key: `${hostname}.key.pem`,
    chain: `${hostname}.chain.pem`,
    table: tableName,
  };
}

/** The parts of a host's bundle: if the key is at the host, neither the key nor the chain, which contains it. */
export function bundleParts(role: Role, keyPlace: KeyPlace): readonly BundlePart[] {
  const key = keyPlace === 'here' ? (['key', 'chain'] as const) : [];
  return ['ca', 'certificate', ...key, ...(role === 'smtpd-server' ? (['table'] as const) : [])];
}

/** The file names of a host's bundle. */
export function bundleFiles(
  settings: Pick<Settings, 'domain' | 'dkim' | 'inbound' | 'relayPort25'>,
  host: HostSettings,
  keyPlace: KeyPlace,
): readonly string[] {
  const names = bundleNames(settings.domain, host.hostname);
  const parts = bundleParts(host.role, keyPlace).map((part) => names[part]);
  return [
    ...parts,
    ...dkimFiles(settings, host),
    ...port25Files(settings, host),
    ...inboundFiles(host),
    ...tunnelFiles(settings, host),
  ];
}

/** The scripts that are sent with a bundle. */
export const scriptNames = { install: 'install.sh', receive: 'receive.sh' } as const;

/** What decides what a host does. An ssh key that may only renew cannot replace these (render/receive.sh). */
export const configurationFiles: readonly string[] = [
  ...Object.values(scriptNames),
  ...signingFiles,
  ...Object.values(port25Names),
];
