// The names of the files in a host's bundle; the same here and on the host, in `postfix.directory`. Where the bundle is
// and which modes its files have is in store/layout.ts; what is in them, in render/bundle.ts.

import type { HostName } from '../names.js';
import type { HostSettings, Role } from '../settings/settings.js';

/** The chain is the key, then the certificate: what smtp_tls_chain_files and smtpd_tls_chain_files want. */
export type BundlePart = 'ca' | 'certificate' | 'key' | 'chain' | 'table';

/** Where a host's private key is: made here, or made on the host, which never gives it away. */
export type KeyPlace = 'here' | 'host';

/** The pins of all clients; on a relay alone. */
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

/** The parts that a host's bundle has: with the key at the host, neither the key nor the chain that holds it. */
export function bundleParts(role: Role, keyPlace: KeyPlace): readonly BundlePart[] {
  const key = keyPlace === 'here' ? (['key', 'chain'] as const) : [];
  return ['ca', 'certificate', ...key, ...(role === 'smtpd-server' ? (['table'] as const) : [])];
}

/** The file names of a host's bundle. */
export function bundleFiles(domain: HostName, { role, hostname }: HostSettings, keyPlace: KeyPlace): readonly string[] {
  const names = bundleNames(domain, hostname);
  return bundleParts(role, keyPlace).map((part) => names[part]);
}
