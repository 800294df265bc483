// Folders of CAs as other programs make them, small and quick: with openssl itself, so that what they hold is really
// what such a CA signs.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openssl } from './openssl.js';

const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
export const rootExtensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
export const keyId = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'];

export interface CertificateFiles {
  readonly key: string;
  readonly certificate: string;
}

/** A folder with a CA in it, made by openssl req and x509. */
export class ForeignCa {
  readonly folder: string;
  #count = 0;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  write(name: string, text: string | Buffer): string {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** A root; `subject` as openssl's -subj. */
  root(
    files: CertificateFiles,
    {
      subject = '/CN=Our CA',
      extensions = [...rootExtensions, keyId[0] ?? ''],
      words = p256,
      more = [] as readonly string[],
    } = {},
  ): void {
    this.#makeFolders(files);
    const config = this.#config(extensions);
    const request = ['req', '-x509', '-nodes', ...words, '-subj', subject, '-config', config, '-utf8'];
    openssl([
      ...request,
      '-days',
      '3650',
      ...more,
      '-keyout',
      this.path(files.key),
      '-out',
      this.path(files.certificate),
    ]);
  }

  /** A certificate of the CA in `by`. */
  sign(
    files: CertificateFiles,
    by: CertificateFiles,
    subject: string,
    extensions: readonly string[],
    { words = p256, more = [] as readonly string[] } = {},
  ): void {
    this.#makeFolders(files);
    const csr = join(dirname(this.folder), `${(this.#count += 1)}.csr`);
    const config = this.#config([]);
    openssl([
      'req',
      '-new',
      '-nodes',
      ...words,
      '-subj',
      subject,
      '-config',
      config,
      '-keyout',
      this.path(files.key),
      '-out',
      csr,
    ]);
    const issuer = ['-CA', this.path(by.certificate), '-CAkey', this.path(by.key)];
    const serial = more.includes('-set_serial') ? [] : ['-set_serial', `0x1${String(this.#count).padStart(31, '0')}`];
    const ext = extensions.length === 0 ? [] : ['-extfile', this.#file(extensions.join('\n'))];
    const output = ['-out', this.path(files.certificate)];
    openssl(['x509', '-req', '-in', csr, ...issuer, ...serial, '-days', '800', ...more, ...ext, ...output]);
  }

  #config(extensions: readonly string[]): string {
    return this.#file(`[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n${extensions.join('\n')}`);
  }

  /** Beside the folder, so that it is not found there. */
  #file(text: string): string {
    const path = join(dirname(this.folder), `${(this.#count += 1)}.cnf`);
    writeFileSync(path, `${text}\n`);
    return path;
  }

  #makeFolders({ key, certificate }: CertificateFiles): void {
    for (const name of [key, certificate]) mkdirSync(dirname(this.path(name)), { recursive: true });
  }
}

export const pair = (name: string): CertificateFiles => ({ key: `${name}.key`, certificate: `${name}.crt` });
export const server = [
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=serverAuth',
  'subjectAltName=DNS:relayhost.example.org',
  ...keyId,
];
export const client = [
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=clientAuth',
  'subjectAltName=DNS:mailhost.example.org',
  ...keyId,
];

/** A root, a relay and a home, with the right extensions, in one flat folder. */
export function makeFlatCa(folder: string, subject = '/CN=Our CA'): ForeignCa {
  const ca = new ForeignCa(folder);
  ca.root(pair('ca'), { subject });
  ca.sign(pair('relay'), pair('ca'), '/CN=relayhost.example.org', server);
  ca.sign(pair('home'), pair('ca'), '/CN=mailhost.example.org', client);
  return ca;
}
