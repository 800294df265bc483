// The only record of what is revoked: certs/revoked/. Its files are named HOST-SERIAL.crt.pem, .key.pem, .csr.pem and
// .old.crt.pem. A host with files there is revoked until it has a certificate for another key, and a key there is never
// used again.

import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { parseCertificate, type CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { parsePrivateKey } from '../certificate/private-key.js';
import { parseRequest } from '../certificate/request.js';
import { RelaycertsError } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import { roles, type HostSettings, type Role } from '../settings/settings.js';
import type { Revoked } from '../plan/inventory.js';
import { listFolder, readFile } from '../sys/files.js';
import type { Layout, Place } from './layout.js';
import type { FileWrite } from './transaction.js';

const fileName = /^(?<host>.+?)-(?<serial>[0-9a-f]+|unknown)(?:-\d+)?\.(?:old\.)?(?<kind>crt|key|csr)\.pem$/u;

/** The names of damaged files count. @throws files */
export async function readRevoked({ revokedFolder }: Layout): Promise<Revoked> {
  const hosts = new Map<HostName, readonly string[]>();
  const ownKey = new Set<HostName>();
  const keys = new Set<string>();
  for (const name of await listFolder(revokedFolder)) {
    const { host = '', serial = '', kind } = fileName.exec(name)?.groups ?? {};
    const hostname = findHostName(host);
    if (hostname === undefined) continue;
    hosts.set(hostname, [...new Set([...(hosts.get(hostname) ?? []), serial])]);
    if (kind === 'csr') ownKey.add(hostname);
    const bytes = readFile(join(revokedFolder, name));
    const key = bytes && publicKeyIn(bytes, kind ?? '');
    if (key !== undefined) keys.add(key);
  }
  return { hosts, ownKey, keys };
}

/** Revoked until it has a certificate for another key. */
export function isRevokedHost({ hosts, keys }: Revoked, hostname: HostName, certificate?: CertificateInfo): boolean {
  if (!hosts.has(hostname)) return false;
  return certificate === undefined || keys.has(fingerprintOf(certificate, 'public-key', 'sha256'));
}

function publicKeyIn(bytes: Buffer, kind: string): string | undefined {
  const from = 'a revoked file';
  try {
    const key =
      kind === 'key'
        ? createPublicKey(parsePrivateKey(bytes, { from }))
        : (kind === 'csr' ? parseRequest(bytes, { from }) : parseCertificate(bytes, { from })).publicKey;
    return fingerprintOf(key, 'public-key', 'sha256');
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}

/** The files of a host that go to certs/revoked/, as they are, and the paths they leave. @throws files */
export async function planRevocation(
  layout: Layout,
  { role, hostname }: HostSettings,
  serial: string | undefined,
): Promise<{ readonly keeps: readonly FileWrite[]; readonly removes: readonly string[] }> {
  const placesOf = (one: Role): readonly (readonly [string, Place])[] => [
    ['crt.pem', layout.certificate(one, hostname)],
    ['old.crt.pem', layout.previous(one, hostname)],
    ['key.pem', layout.key(one, hostname)],
    ['csr.pem', layout.request(one, hostname)],
  ];
  // Files from another role were on that host too, and must not come back with that role.
  const others = roles.filter((one) => one !== role).flatMap(placesOf);
  const taken = new Set(await listFolder(layout.revokedFolder));
  const keeps: FileWrite[] = [];
  for (const [end, { path, mode }] of [...placesOf(role), ...others]) {
    const bytes = readFile(path);
    if (bytes === undefined) continue;
    const first = `${hostname}-${serial ?? 'unknown'}`;
    let name = `${first}.${end}`;
    for (let number = 2; taken.has(name); number += 1) name = `${first}-${number}.${end}`;
    taken.add(name);
    keeps.push({ path: join(layout.revokedFolder, name), bytes, mode, folderMode: 0o700, isNew: true });
  }
  const left = [...[...placesOf(role), ...others].map(([, place]) => place), ...Object.values(layout.bundle(hostname))];
  return { keeps, removes: left.map(({ path }) => path) };
}
