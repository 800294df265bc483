// What there is to take over, by content and not by name: certificates, private keys, requests, the lists of what was
// revoked, OpenPGP messages, settings.mk. Which of it becomes what is decided in choose-ca.ts and choose-hosts.ts.

import { basename, relative } from 'node:path';
import { parseCertificates, type CertificateInfo } from '../certificate/certificate.js';
import { parseRequest, type RequestInfo } from '../certificate/request.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { findForeignKey, type ForeignKey } from '../issue/foreign-key.js';
import { parseIndex, type RevokedLine } from './index-txt.js';
import type { Scan, ScannedFile } from './scan.js';

/** A certificate, and every file that has it. */
export interface Held {
  readonly info: CertificateInfo;
  readonly paths: readonly string[];
}

export interface Material {
  readonly certificates: readonly Held[];
  /** In the order of the files; not opened. */
  readonly keys: readonly (ForeignKey & Pick<ScannedFile, 'state'>)[];
  readonly requests: readonly { readonly path: string; readonly info: RequestInfo }[];
  readonly revoked: readonly RevokedLine[];
  /** OpenPGP messages: the passphrase file may be one. */
  readonly sealed: readonly ScannedFile[];
  readonly makeSettings: ScannedFile | undefined;
  /** Files that begin like a certificate or key and are damaged, and files that were not read. */
  readonly passedOver: readonly string[];
}

/** The material in files; `index`: the path of one that is an index.txt, whatever its name. */
export function sortMaterial({ files, passedOver }: Scan, index?: string): Material {
  const certificates = new Map<string, { info: CertificateInfo; paths: string[] }>();
  const damaged: string[] = [];
  /** Undefined, and noted, if the file is damaged. */
  const read = <T>({ path }: ScannedFile, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof RelaycertsError)) throw error;
      damaged.push(path);
      return undefined;
    }
  };
  const withWords = (words: string): readonly ScannedFile[] => files.filter(({ bytes }) => bytes.includes(words));
  for (const file of files.filter(hasCertificate)) {
    const found = read(file, () => parseCertificates(file.bytes, { from: quotePath(file.path) }));
    for (const info of found ?? []) {
      const name = info.digest('certificate').toString('hex');
      const known = certificates.get(name);
      if (known === undefined) certificates.set(name, { info, paths: [file.path] });
      else known.paths.push(file.path);
    }
  }
  const requests = withWords('CERTIFICATE REQUEST-----').flatMap((file) => {
    const info = read(file, () => parseRequest(file.bytes, { from: quotePath(file.path) }));
    return info === undefined ? [] : [{ path: file.path, info }];
  });
  const revoked = files
    .filter(({ path }) => path === index || basename(path) === 'index.txt')
    .flatMap(({ path, bytes }) => {
      const lines = parseIndex(bytes.toString('latin1'));
      if (lines === undefined) damaged.push(path);
      return lines ?? [];
    });
  return {
    certificates: [...certificates.values()],
    keys: withWords('PRIVATE KEY-----').flatMap((file) => {
      const found = findForeignKey(file.path, file.bytes);
      return found === undefined ? [] : [{ ...found, state: file.state }];
    }),
    requests,
    revoked,
    sealed: files.filter(isSealed),
    makeSettings: files.find(({ path }) => basename(path) === 'settings.mk'),
    passedOver: [...passedOver, ...damaged],
  };
}

/** PEM, or a file with the usual name of a DER one. */
function hasCertificate({ path, bytes }: ScannedFile): boolean {
  if (bytes.includes('-----BEGIN CERTIFICATE-----')) return true;
  return bytes[0] === 0x30 && /\.(?:crt|cer|der)$/iu.test(path);
}

/** An armored message, or a file with the usual name of a binary one. */
function isSealed({ path, bytes }: ScannedFile): boolean {
  if (bytes.length > 65_536) return false;
  return bytes.includes('-----BEGIN PGP MESSAGE-----') || /\.(?:gpg|pgp)$/u.test(path);
}

export type Kind = 'easy-rsa' | 'openssl ca' | 'step' | 'mkcert' | 'Makefile' | 'files';

/** What made a folder, as its names show; only for words. */
export function kindOf(folder: string, { files }: Scan): Kind {
  const names = new Set(files.map(({ path }) => relative(folder, path).replace(/^pki\//u, '')));
  const isThere = (...all: readonly string[]): boolean => all.every((name) => names.has(name));
  if (isThere('settings.mk')) return 'Makefile';
  if (isThere('ca.crt', 'private/ca.key')) return 'easy-rsa';
  if (isThere('cacert.pem', 'index.txt')) return 'openssl ca';
  if (isThere('certs/root_ca.crt')) return 'step';
  return isThere('rootCA.pem') ? 'mkcert' : 'files';
}
