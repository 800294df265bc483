// A certificate revocation list (RFC 5280 5.1), in which XCA and others keep what is revoked: the name of its CA and the
// serial numbers. Its signature and its age do not matter: an entry can only keep a host out.

import * as der from '../certificate/der.js';
import { hexOf, readTime } from '../certificate/parts.js';
import { inputError, readPemOrDer } from '../certificate/pem.js';
import { plainSerial, type RevokedLine } from './index-txt.js';

/** What the CRLs of a file revoke. @throws certificate - one is damaged */
export function parseCrls(bytes: Buffer, from: string): readonly RevokedLine[] {
  try {
    return readPemOrDer(bytes, from, ['X509 CRL']).flatMap(readCrl);
  } catch (error) {
    if (!(error instanceof der.DerError)) throw error;
    throw inputError(`the list of revoked certificates in ${from} is damaged`, 'copy the whole file again', error);
  }
}

/** version?, algorithm, issuer, thisUpdate, nextUpdate?, revokedCertificates?, [0] extensions? */
function readCrl(bytes: Buffer): readonly RevokedLine[] {
  const fields = [...der.readInside(der.readSequence(bytes)[0])];
  if (fields[0]?.tag === der.derTags.integer) fields.shift();
  const [, issuer, , ...rest] = fields;
  const { raw } = der.expectTag(issuer, der.derTags.sequence);
  const list = rest.find(({ tag }) => tag === der.derTags.sequence);
  return (list === undefined ? [] : der.readInside(list)).map((entry) => {
    const [serial, time] = der.readInside(entry);
    return { serial: serialOf(serial), at: readTime(time), reason: '', subject: '', issuer: raw };
  });
}

function serialOf(element: der.DerElement | undefined): string {
  const found = der.expectTag(element, der.derTags.integer);
  if (found.contents.length === 0) throw new der.DerError('an integer without octets');
  return plainSerial(BigInt.asIntN(found.contents.length * 8, BigInt(`0x${hexOf(found)}`)).toString(16));
}
