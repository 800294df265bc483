// The names of the files in a host's bundle; they are the same here and on the host, in `postfix.directory`.
// store/layout.ts has the bundle's path and its files' modes; render/bundle.ts their contents.

import type { HostName } from '../names.js';
import type { HostSettings } from '../settings/settings.js';

/** The chain is the key, then the certificate, as smtp_tls_chain_files and smtpd_tls_chain_files require. */
export type BundlePart = 'ca' | 'certificate' | 'key' | 'chain' | TablePart;
type TablePart = 'table' | 'peers' | 'recipients' | 'replies';

/** Where a host's private key is: here, or on the host, if the host made it and keeps it. */
export type KeyPlace = 'here' | 'host';

/** The pins of all clients; only on a relay. */
export const tableName = 'relay_clientcerts';

/** The pins of the relays; only on a home that gets mail from the world. */
export const peersName = 'relay_clientcerts_in';
/** Who gets mail at home, and what home's answers mean; only on the relays of such a home. */
export const recipientsName = 'relay_recipients';
export const repliesName = 'inbound_replies';

/** The tables, which Postfix reads, in a host's bundle. */
export const tableNames: Readonly<Record<TablePart, string>> = {
  table: tableName,
  peers: peersName,
  recipients: recipientsName,
  replies: repliesName,
};

/** The table of those who may connect to our service on a host; undefined if it has none. */
export function pinTableOf({ role, isInbound }: HostSettings): string | undefined {
  if (role === 'smtpd-server') return tableName;
  return isInbound ? peersName : undefined;
}

/** The names of one host's files. */
export function bundleNames(domain: HostName, hostname: HostName): Readonly<Record<BundlePart, string>> {
  return {
    ca: `${domain}-ca.crt.pem`,
    certificate: `${hostname}.crt.pem`,
    key: `${hostname}.key.pem`,
    chain: `${hostname}.chain.pem`,
    ...tableNames,
  };
}

/** The parts of a host's bundle: if the key is at the host, neither the key nor the chain, which contains it. */
export function bundleParts({ role, isInbound }: HostSettings, keyPlace: KeyPlace): readonly BundlePart[] {
  const key = keyPlace === 'here' ? (['key', 'chain'] as const) : [];
  const inbound = role === 'smtpd-server' ? (['recipients', 'replies'] as const) : (['peers'] as const);
  return [
    'ca',
    'certificate',
    ...key,
    ...(role === 'smtpd-server' ? (['table'] as const) : []),
    ...(isInbound ? inbound : []),
  ];
}

/** The file names of a host's bundle. */
export function bundleFiles(domain: HostName, host: HostSettings, keyPlace: KeyPlace): readonly string[] {
  const names = bundleNames(domain, host.hostname);
  return bundleParts(host, keyPlace).map((part) => names[part]);
}
