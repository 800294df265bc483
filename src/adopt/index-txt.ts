// The database of `openssl ca`, index.txt, which easy-rsa uses too: a line for each certificate. Only what is revoked
// matters here; the certificates themselves say everything else. A line that is not understood is an error, because it
// may be about a revoked certificate.

import type { CertificateInfo } from '../certificate/certificate.js';
import { RelaycertsError, quote, quotePath } from '../errors.js';

/** A revoked certificate, from an index.txt or a CRL. */
export interface RevokedLine {
  /** As openssl writes it: upper-case hexadecimal, without leading zeros, with a minus sign if negative. */
  readonly serial: string;
  /** Undefined if the line's date is none. */
  readonly at: Date | undefined;
  readonly reason: string;
  /** The subject, as it is written there: unchecked; '' in a CRL. */
  readonly subject: string;
  /** DER of the CA's name; undefined in an index.txt, which does not say whose it is. */
  readonly issuer: Buffer | undefined;
}

/** Flag, expiry, revocation (and reason), serial, file, subject: ca(1), and apps/lib/apps.c of OpenSSL. */
const line = /^([VRE])\t(\d{12,14}Z)\t([^\t]*)\t(-?[0-9A-Fa-f]{1,64})\t([^\t]*)\t(.*)$/u;

/** The revoked certificates in an index.txt; undefined if the text is something else. @throws certificate */
export function parseIndex(text: string, path: string): readonly RevokedLine[] | undefined {
  // openssl skips comments too (crypto/txt_db/txt_db.c).
  const lines = [...text.split(/\r?\n/u).entries()].filter(([, one]) => one.trim() !== '' && !one.startsWith('#'));
  if (!lines.some(([, one]) => /^[VRE]\s+\d/u.test(one))) return lines.length === 0 ? [] : undefined;
  const revoked: RevokedLine[] = [];
  for (const [at, one] of lines) {
    const [, flag, , revocation = '', serial = '', , subject = ''] = line.exec(one) ?? [];
    if (flag === undefined) throw oddLine(path, at + 1, one);
    if (flag !== 'R') continue;
    const [time = '', reason = ''] = revocation.split(',');
    revoked.push({ serial: plainSerial(serial), at: readIndexTime(time), reason, subject, issuer: undefined });
  }
  return revoked;
}

function oddLine(path: string, number: number, text: string): RelaycertsError {
  const message = `line ${number} of ${quotePath(path)} is not one of openssl ca: ${quote(text)}`;
  return new RelaycertsError('certificate', message, {
    hint: 'correct that line: six fields with a tab between them, so that what is revoked stays revoked',
  });
}

/** The serial number of a certificate as an index has it. */
export function indexSerial({ x509 }: CertificateInfo): string {
  return plainSerial(x509.serialNumber);
}

export function plainSerial(serial: string): string {
  return serial.toUpperCase().replace(/^(-?)0+(?=.)/u, '$1');
}

/** YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ. */
function readIndexTime(text: string): Date | undefined {
  if (!/^\d{12}(?:\d{2})?Z$/u.test(text)) return undefined;
  const digits = text.length === 13 ? `${text < '5' ? '20' : '19'}${text}` : text;
  const time = new Date(digits.replace(/^(....)(..)(..)(..)(..)(..)Z$/u, '$1-$2-$3T$4:$5:$6Z'));
  return Number.isNaN(time.getTime()) ? undefined : time;
}
