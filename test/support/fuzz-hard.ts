// Inputs that once made a parser slow, large or throw a foreign error, and similar ones: each as large as its parser
// accepts. They run with the others, under the same limits.

import { createPrivateKey } from 'node:crypto';
import type { Seeds } from './fuzz-seeds.js';
import { readPem, replaceExtension, signRequest, writeNode, writePacket } from './fuzz-structures.js';

type Inputs = Readonly<Record<string, Buffer>>;

const nearlyMebibyte = (1 << 20) - 4096;
/** DER of the OBJECT IDENTIFIER of subjectAltName. */
const subjectAltName = '0603551d11';

/** As many dNSNames as fit; each was once an argument of one call, and the stack overflowed. */
function manyNames(size: number): Buffer {
  const name = Buffer.from([0x82, 0x01, 0x61]);
  return writeNode({ tag: 0x30, content: Buffer.alloc(size - (size % name.length), name) });
}

export function certificates(seeds: Seeds): Inputs {
  const withNames = seeds.certificates.flatMap(readPem)[1];
  return {
    'as many names as fit': replaceExtension(
      withNames?.der ?? Buffer.alloc(0),
      subjectAltName,
      manyNames(nearlyMebibyte),
    ),
  };
}

export function requests(seeds: Seeds): Inputs {
  const [request] = seeds.requests.flatMap(readPem);
  const named = replaceExtension(request?.der ?? Buffer.alloc(0), subjectAltName, manyNames(nearlyMebibyte));
  return { 'as many names as fit': signRequest(named, createPrivateKey(seeds.requestKey[0] ?? '')) };
}

/** A valid key that takes as long to open as is allowed: this must work. */
export function encryptedKeys({ costlyKeys: [rounds, scrypt] }: Seeds): Inputs {
  if (rounds === undefined || scrypt === undefined) throw new Error('no costly keys');
  return { 'the most rounds of PBKDF2': rounds, 'the most scrypt': scrypt };
}

export function pgpKeys(seeds: Seeds): Inputs {
  const [key = Buffer.alloc(0)] = seeds.pgpKeys;
  // gpg's key packet: Ed25519, 51 octets and a header of 2.
  const primary = key.subarray(2, 53);
  const signature = writePacket({ header: 0xc2, body: key.subarray(78, 222) });
  return {
    'a key packet that has no fingerprint': writePacket({
      header: 0xc6,
      body: Buffer.concat([primary, Buffer.alloc(70_000)]),
    }),
    'keys and nothing else': Buffer.concat(
      Array.from({ length: 990 }, () => writePacket({ header: 0xc6, body: primary })),
    ),
    'as many signatures as are read': Buffer.concat([key, ...Array.from({ length: 990 }, () => signature)]),
    'more signatures': Buffer.concat([key, ...Array.from({ length: 4000 }, () => signature)]),
  };
}

export function messages(): Inputs {
  const session = Buffer.concat([Buffer.of(3), Buffer.from('0123456789abcdef', 'hex'), Buffer.of(1, 0)]);
  const many = Array.from({ length: 900 }, () => writePacket({ header: 0xc1, body: session }));
  return {
    'for hundreds of recipients': Buffer.concat([...many, writePacket({ header: 0xd2, body: Buffer.from([1, 2, 3]) })]),
  };
}

export function keyLists(): Inputs {
  return {
    'an algorithm that every object has': Buffer.from(
      `pub:u:255:constructor:A:1:1::u:::E:::::\nfpr:::::::::${'A'.repeat(40)}:\n`,
    ),
    'a date that is none': Buffer.from(`pub:u:255:22:A:x:99999999999999::u:::E:::::\nfpr:::::::::${'A'.repeat(40)}:\n`),
    'a fingerprint that is none': Buffer.from('pub:u:255:22:A:1:1::u:::E:::::\nfpr:::::::::\u001b[2J:\n'),
  };
}

function repeat(make: (index: number) => string, size: number): string {
  const parts: string[] = [];
  for (let length = 0; length < size; length += (parts.at(-1)?.length ?? 0) + 1) parts.push(make(parts.length));
  return parts.join(',');
}

const start = '{"domain":"example.org","smtpdServers":[{"hostname":"r"}],"smtpClients":[{"hostname":"c"}]';

function short(index: number): string {
  return index.toString(36);
}

export function settings(): Inputs {
  const half = nearlyMebibyte / 2;
  const all = nearlyMebibyte;
  const texts = {
    'one key again and again': `{${repeat(() => '"a":1', all)}}`,
    'as many keys as fit': `{${repeat((index) => `"${short(index)}":1`, all)}}`,
    'as many empty clients as fit': `{"smtpClients":[${repeat(() => '{}', all)}]}`,
    'as many recipients as fit': `${start},"passphrase":{"recipients":[${repeat((index) => `"${short(index)}"`, all)}]}}`,
    'recipients up to the bound': `${start},"passphrase":{"recipients":[${Array.from({ length: 9_990 }, (_, index) => `"a${short(index)}"`).join(',')}]}}`,
    'names outside as many domains': `{"domain":"example.org","smtpdServers":[{"hostname":"r","altNames":[${Array.from({ length: 4990 }, (_, index) => `"a${short(index)}"`).join(',')}]}],"smtpClients":[{"hostname":"c"}],"ca":{"permittedDomains":[${Array.from({ length: 4990 }, (_, index) => `"${short(index)}.example"`).join(',')}]}}`,
    'names and domains that fill the file': `{"domain":"example.org","smtpdServers":[{"hostname":"r","altNames":[${repeat((index) => `"a${short(index)}"`, half)}]}],"ca":{"permittedDomains":[${repeat((index) => `"${short(index)}.example"`, half)}]}}`,
    'internationalised names up to the bound': `{"domain":"example.org","smtpdServers":[{"hostname":"r","altNames":[${Array.from({ length: 9_990 }, (_, index) => `"\u00fc${short(index)}"`).join(',')}]}],"smtpClients":[{"hostname":"c"}]}`,
    'clients with keys that are unknown': `{"domain":"example.org","smtpdServers":[{"hostname":"r"}],"smtpClients":[${Array.from({ length: 4990 }, () => `{${repeat((index) => `"${short(index)}":0`, 190)}}`).join(',')}]}`,
    'a list that nothing closes': '['.repeat(all),
    'brackets of the wrong kind': repeat(() => '[}', all),
    'one comment': `/*${'*'.repeat(all)}`,
    'comments and nothing else': repeat(() => '/**/', all).replaceAll(',', ' '),
    'lists in lists': `{"a":${'['.repeat(30)}${repeat(() => '[]', all)}${']'.repeat(30)}}`,
  };
  return {
    ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)])),
    'line feeds, and an octet that is not UTF-8': Buffer.concat([Buffer.alloc(all, '\n'), Buffer.of(0xff)]),
    'replacement characters, and an octet that is not UTF-8': Buffer.concat([
      Buffer.alloc(all - (all % 3), '\ufffd'),
      Buffer.of(0xff),
    ]),
  };
}

export function ledgers(seeds: Seeds): Inputs {
  const [ledger = Buffer.alloc(0)] = seeds.ledgers;
  return {
    'line feeds': Buffer.alloc(8 << 20, '\n'),
    'lines that are nearly JSON': Buffer.alloc(8 << 20, '{x}\n'),
    'one line': Buffer.alloc(8 << 20, '[1,'),
    'a full ledger': Buffer.alloc(ledger.length * 5000, ledger),
  };
}
