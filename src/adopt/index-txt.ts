// The database of `openssl ca`, index.txt, which easy-rsa uses too: a line for each certificate. Only what is revoked
// matters here; the certificates themselves say everything else.

import type { CertificateInfo } from '../certificate/certificate.js';

/** A revoked certificate. */
export interface RevokedLine {
  /** As openssl writes it: upper-case hexadecimal, without leading zeros, with a minus sign if negative. */
  readonly serial: string;
  /** Undefined if the line's date is none. */
  readonly at: Date | undefined;
  readonly reason: string;
  /** The subject, as it is written there: unchecked. */
  readonly subject: string;
}

/** Flag, expiry, revocation (and reason), serial, file, subject: ca(1), and apps/lib/apps.c of OpenSSL. */
const line = /^([VRE])\t(\d{12,14}Z)\t([^\t]*)\t(-?[0-9A-Fa-f]{1,64})\t([^\t]*)\t(.*)$/u;

/** The revoked certificates in an index.txt; undefined if the text is something else. */
export function parseIndex(text: string): readonly RevokedLine[] | undefined {
  const lines = text.split(/\r?\n/u).filter((one) => one !== '');
  const revoked: RevokedLine[] = [];
  for (const one of lines) {
    const [, flag, , revocation = '', serial = '', , subject = ''] = line.exec(one) ?? [];
    if (flag === undefined) return undefined;
    if (flag !== 'R') continue;
    const [time = '', reason = ''] = revocation.split(',');
    revoked.push({ serial: plainSerial(serial), at: readIndexTime(time), reason, subject });
  }
  return revoked;
}

/** The serial number of a certificate as an index has it. */
export function indexSerial({ x509 }: CertificateInfo): string {
  return plainSerial(x509.serialNumber);
}

function plainSerial(serial: string): string {
  return serial.toUpperCase().replace(/^(-?)0+(?=.)/u, '$1');
}

/** YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ. */
function readIndexTime(text: string): Date | undefined {
  if (!/^\d{12}(?:\d{2})?Z$/u.test(text)) return undefined;
  const digits = text.length === 13 ? `${text < '5' ? '20' : '19'}${text}` : text;
  const time = new Date(digits.replace(/^(....)(..)(..)(..)(..)(..)Z$/u, '$1-$2-$3T$4:$5:$6Z'));
  return Number.isNaN(time.getTime()) ? undefined : time;
}
