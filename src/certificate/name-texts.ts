// The texts in a distinguished name (RFC 5280 4.1.2.4), as in a certificate or request: unchecked, and not to be
// printed unquoted.

import { isUtf8 } from 'node:buffer';
import * as der from './der.js';

/** The last (most specific) commonName of a Name; undefined if it has none. @throws DerError */
export function readCommonName(subject: der.DerElement | undefined): string | undefined {
  return textsIn(der.readInside(subject), '2.5.4.3').at(-1);
}

/** The texts of one attribute type in a DER Name, such as a certificate's `subject`; `type` is its OID. */
export function nameTexts(name: Buffer, type: string): readonly (string | undefined)[] {
  return textsIn(der.readSequence(name), type);
}

function textsIn(sets: readonly der.DerElement[], type: string): readonly (string | undefined)[] {
  const attributes = sets.flatMap((set) => der.readInside(set, der.derTags.set)).map((one) => der.readInside(one));
  return attributes.filter(([oid]) => der.readOid(oid) === type).map(([, text]) => readText(text));
}

/** RFC 5280 4.1.2.4 DirectoryString; undefined for other types or if it is malformed. */
function readText(element: der.DerElement | undefined): string | undefined {
  if (element === undefined) return undefined;
  const { tag, contents } = element;
  switch (tag) {
    case der.derTags.utf8String:
      return isUtf8(contents) ? contents.toString('utf8') : undefined;
    case der.derTags.printableString:
    case der.derTags.ia5String:
    case der.derTags.teletexString:
      return contents.toString('latin1');
    case der.derTags.bmpString:
      return contents.length % 2 === 0 ? Buffer.from(contents).swap16().toString('utf16le') : undefined;
    default:
      return undefined;
  }
}
