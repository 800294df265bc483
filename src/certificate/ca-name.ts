// The name of a CA: the settings' ca.commonName, followed by a number from the CA's second key on.
//
// RFC 4210 4.4 keeps one name when a CA's key changes, which works for verifiers that look at the key identifier
// (OpenSSL, GnuTLS, Java). Here each key has its own name, because every verifier finds an issuer by name first, a
// server's list of CAs holds only names, and logs and `openssl x509 -issuer` then show which of the two signed.

import { maxCommonNameLength } from './profile.js';

/** The commonName of the CA's nth key (from 1), cut to 64 characters including the number. */
export function caNameOf(commonName: string, generation: number): string {
  if (generation === 1) return commonName;
  const end = ` ${generation}`;
  const start = Array.from(commonName).slice(0, maxCommonNameLength - end.length);
  return `${start.join('')}${end}`;
}

/** The number of the CA key with this commonName, from 1; undefined if the name is another CA's. */
export function generationOf(commonName: string, found: string | undefined): number | undefined {
  if (found === commonName) return 1;
  const generation = Number(/ ([1-9]\d{0,5})$/u.exec(found ?? '')?.[1] ?? 1);
  return generation > 1 && caNameOf(commonName, generation) === found ? generation : undefined;
}
