// What a CA is called: by the settings' ca.commonName, and from its second key on with a number behind.
//
// Two CAs of one name would do for verifiers that look at the key identifier, as OpenSSL, GnuTLS and Java do, and RFC 4210
// 4.4 rolls a CA's key over so. Here they have names of their own all the same: every verifier finds an issuer by its name
// first, the list of CAs that a server sends has nothing but names, and a person sees in any log or `openssl x509 -issuer`
// which of the two signed.

import { maxCommonNameLength } from './profile.js';

/** The commonName of the CA's nth key (from 1); where the number finds no room, the name is cut. */
export function caNameOf(commonName: string, generation: number): string {
  if (generation === 1) return commonName;
  const end = ` ${generation}`;
  return `${Array.from(commonName)
    .slice(0, maxCommonNameLength - end.length)
    .join('')}${end}`;
}

/** Which key of the CA a commonName is for, from 1; undefined where it is another CA's. */
export function generationOf(commonName: string, found: string | undefined): number | undefined {
  if (found === commonName) return 1;
  const generation = Number(/ ([1-9]\d{0,5})$/u.exec(found ?? '')?.[1] ?? 1);
  return generation > 1 && caNameOf(commonName, generation) === found ? generation : undefined;
}
