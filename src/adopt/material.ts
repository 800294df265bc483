// What there is to take over, by content and not by name: certificates, private keys, requests, the lists of what was
// revoked, OpenPGP messages, settings.mk. Which of it becomes what is decided in choose-ca.ts and choose-hosts.ts.

import { basename, relative } from 'node:path';
import { parseCertificates, type CertificateInfo } from '../certificate/certificate.js';
import { parseRequest, type RequestInfo } from '../certificate/request.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { findForeignKeys, type ForeignKey } from '../issue/foreign-key.js';
import { parseCrls } from './crl.js';
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
  /** The files that say what is revoked. */
  readonly lists: readonly string[];
  /** OpenPGP messages: the passphrase file may be one. */
  readonly sealed: readonly ScannedFile[];
  readonly makeSettings: ScannedFile | undefined;
  /** Files that begin like a certificate or key and are damaged, and files that were not read. */
  readonly passedOver: readonly string[];
}

/**
 * The material in files; `index`: the path of one that is an index.txt, whatever its name.
 * @throws certificate, files - what says which certificates are revoked is damaged, or was not read
 */
export function sortMaterial({ files, passedOver }: Scan, index?: string): Material {
  const unread = passedOver.find((path) => isListName(path) && !files.some((file) => file.path === path));
  if (unread !== undefined) {
    throw new RelaycertsError('files', `${quotePath(unread)} may say what is revoked, and was not read`, {
      hint: 'it has to be a file of at most 1 MiB, not a link, that you can read; or name it with --index FILE',
    });
  }
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
  const lists: string[] = [];
  const revoked = files.flatMap((file) => {
    const lines = revokedIn(file, index);
    if (lines !== undefined) lists.push(file.path);
    else if (isIndex(file, index)) damaged.push(file.path);
    return lines ?? [];
  });
  return {
    certificates: [...certificates.values()],
    keys: withWords('PRIVATE KEY-----').flatMap(({ path, bytes, state }) =>
      findForeignKeys(path, bytes).map((found) => ({ ...found, state })),
    ),
    requests,
    revoked,
    lists,
    sealed: files.filter(isSealed),
    makeSettings: files.find(({ path }) => basename(path) === 'settings.mk'),
    passedOver: [...passedOver, ...damaged, ...files.filter(isOtherForm).map(({ path }) => path)],
  };
}

/** PEM, or a file with the usual name of a DER one. */
function hasCertificate({ path, bytes }: ScannedFile): boolean {
  if (bytes.includes('-----BEGIN CERTIFICATE-----')) return true;
  return isDer(bytes) && /\.(?:crt|cer|der)$/iu.test(path);
}

/** What a CRL or an index.txt revokes; undefined if the file is neither. @throws certificate */
function revokedIn(file: ScannedFile, index: string | undefined): readonly RevokedLine[] | undefined {
  const { path, bytes } = file;
  const isCrl = bytes.includes('-----BEGIN X509 CRL-----') || (isDer(bytes) && path.toLowerCase().endsWith('.crl'));
  if (isCrl) return parseCrls(bytes, quotePath(path));
  return isIndex(file, index) ? parseIndex(bytes.toString('latin1'), path) : undefined;
}

function isIndex({ path }: ScannedFile, index: string | undefined): boolean {
  return path === index || basename(path) === 'index.txt';
}

/** The usual names of what says which certificates are revoked. */
function isListName(path: string): boolean {
  return /\/(?:index\.txt|crl\.pem|[^/]*\.crl)$/iu.test(path);
}

/** PKCS#12 and keys in DER form: they have to be converted first. */
function isOtherForm({ path, bytes }: ScannedFile): boolean {
  return isDer(bytes) && /\.(?:p12|pfx|key|pk8|p8)$/iu.test(path);
}

/** It begins as DER does. */
function isDer(bytes: Buffer): boolean {
  return bytes[0] === 0x30;
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
