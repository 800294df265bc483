// A host that makes its own key: requests that openssl makes for it, and what sign makes of them.

import { join } from 'node:path';
import { openssl } from './openssl.js';
import type { Project } from './project.js';

export const home = 'mailhost.example.org';
export const relay = 'relayhost.example.org';
export const request = `${home}.csr.pem`;
export const stored = `certs/smtp-client/${request}`;
export const certificate = `certs/smtp-client/${home}.crt.pem`;
export const homeKey = `certs/smtp-client/${home}.key.pem`;

let keys = 0;

/** A key on "another host": its path. */
export function makeKey(project: Project, ...words: readonly string[]): string {
  const path = join(project.home, `host${++keys}.key`);
  const p256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  openssl(['genpkey', ...(words.length > 0 ? words : p256), '-out', path]);
  return path;
}

/** A request for a key in the project's folder; returns the key's path. */
export function writeRequest(
  project: Project,
  words: readonly string[] = [],
  { name = request, key = makeKey(project) } = {},
): string {
  openssl(['req', '-new', '-key', key, '-subj', `/CN=${home}`, ...words, '-out', project.path(name)]);
  return key;
}

/** The public key in a certificate (`x509`), or of a private key (`pkey`). */
export function publicKeyIn(kind: 'x509' | 'pkey', path: string): string {
  return openssl(kind === 'x509' ? ['x509', '-in', path, '-noout', '-pubkey'] : ['pkey', '-in', path, '-pubout']);
}

/** The serials in the ledger. */
export function serialsOf(project: Project): readonly string[] {
  return project
    .read('certs/ca/issued.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { serial: string }).serial);
}
