// What happened to every certificate: the ledger, and where it was lost or is older than what lies here, the certificates
// that revoke and retire put away. So a ledger that is gone takes no revocation back.

import { join } from 'node:path';
import { parseCertificate, type CertificateInfo } from '../certificate/certificate.js';
import { profiles } from '../certificate/profile.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { listFolder, readFile } from '../sys/files.js';
import { findHostName, type HostName } from '../names.js';
import { roles, type Role } from '../settings/settings.js';
import type { Layout } from './layout.js';
import { entryOf, readLedger, revokedHosts, type LedgerEntry } from './ledger.js';

export interface History {
  /** The ledger's entries, then the lost ones. */
  readonly entries: readonly LedgerEntry[];
  /** What certs/revoked/ and certs/retired/ say and the ledger does not. Their time is the certificate's notBefore. */
  readonly lost: readonly LedgerEntry[];
  /** Lines of the ledger that are no entry. */
  readonly damaged: number;
}

/** @throws files, certificate */
export async function readHistory(layout: Layout): Promise<History> {
  const { entries, damaged } = await readLedger(layout);
  const lost = [...(await findRetired(layout, entries)), ...(await findRevoked(layout, entries))];
  return { entries: [...entries, ...lost], lost, damaged };
}

async function findRetired(layout: Layout, entries: readonly LedgerEntry[]): Promise<readonly LedgerEntry[]> {
  const known = new Set(entries.map(({ serial }) => serial));
  const found = await readPutAway(layout.retiredFolder, known);
  return found.flatMap(({ name, info }) => {
    if (known.has(info.serial)) return [];
    if (info.isCa) return [entryOf('retired', 'ca', info.commonName ?? name, info, info.notBefore)];
    const host = hostOf(name, info);
    return host === undefined ? [] : [entryOf('retired', host.role, host.hostname, info, info.notBefore)];
  });
}

async function findRevoked(layout: Layout, entries: readonly LedgerEntry[]): Promise<readonly LedgerEntry[]> {
  const known = new Set(entries.flatMap(({ event, serial }) => (event === 'revoked' ? [serial] : [])));
  const lost: LedgerEntry[] = [];
  const hosts = new Map<string, { readonly role: Role; readonly hostname: HostName }>();
  for (const { name, info } of await readPutAway(layout.revokedFolder, known)) {
    const host = hostOf(name, info);
    if (host === undefined || known.has(info.serial)) continue;
    hosts.set(`${host.role} ${host.hostname}`, host);
    lost.push({
      ...entryOf('revoked', host.role, host.hostname, info, info.notBefore),
      reason: 'its files are in certs/revoked/',
    });
  }
  // A host that the ledger does not call revoked, and that has a certificate of another key, was made again since: its
  // line has to be the last.
  const ledgers = revokedHosts(entries);
  const keys = new Set(lost.map(({ publicKeySha256 }) => publicKeySha256));
  for (const { role, hostname } of hosts.values()) {
    const { path } = layout.certificate(role, hostname);
    const bytes = await readFile(path);
    if (bytes === undefined || ledgers.has(`${role} ${hostname}`)) continue;
    const info = parseCertificate(bytes, { from: quotePath(path) });
    const now = entryOf('issued', role, hostname, info, info.notBefore);
    if (!keys.has(now.publicKeySha256)) lost.push(now);
  }
  return lost;
}

/** The certificates of a folder, the older ones of a host first; those whose file names a known serial are not read. */
async function readPutAway(
  folder: string,
  known: ReadonlySet<string>,
): Promise<readonly { readonly name: string; readonly info: CertificateInfo }[]> {
  const found: { readonly name: string; readonly info: CertificateInfo }[] = [];
  for (const file of await listFolder(folder)) {
    const { name, serial } = /^(?<name>.+)-(?<serial>[0-9a-f]+)(?:\.old)?\.crt\.pem$/u.exec(file)?.groups ?? {};
    if (name === undefined || serial === undefined || known.has(serial)) continue;
    const info = await readIfCertificate(join(folder, file));
    if (info !== undefined) found.push({ name, info });
  }
  return found.toSorted((a, b) => a.info.notBefore.getTime() - b.info.notBefore.getTime());
}

/** Undefined for what only has the name of a certificate: it is somebody else's, or damaged, and stops nothing. */
export async function readIfCertificate(path: string): Promise<CertificateInfo | undefined> {
  const bytes = await readFile(path);
  if (bytes === undefined) return undefined;
  try {
    return parseCertificate(bytes, { from: quotePath(path) });
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}

/** The host that a certificate says it is of, where the file's name says so too. */
function hostOf(
  name: string,
  { dnsNames, extendedKeyUsage }: CertificateInfo,
): { readonly role: Role; readonly hostname: HostName } | undefined {
  const role = roles.find((one) => profiles[one].extendedKeyUsage.every((use) => extendedKeyUsage.includes(use)));
  const hostname = findHostName(name);
  return role === undefined || hostname === undefined || !dnsNames.includes(hostname) ? undefined : { role, hostname };
}
