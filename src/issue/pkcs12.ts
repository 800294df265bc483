// A key and its certificates in one PKCS#12 file (RFC 7292) that today's programs open without legacy switches: PBES2
// with PBKDF2-HMAC-SHA256 and AES-256-CBC, and a MAC with HMAC-SHA256. The frame is written with der.ts; all cryptography
// is node:crypto's. It reads no PKCS#12.

import { createCipheriv, createHmac, hash, type KeyObject, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { RelaycertsError } from '../errors.js';
import * as der from '../certificate/der.js';
import type { Secret } from '../secret.js';
import { writePbes2 } from './pbes2.js';

export interface Pkcs12Request {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly certificate: Uint8Array;
  /** DER; the chain above the certificate. */
  readonly authorities: readonly Uint8Array[];
  /** What programs show; keytool calls it the alias. */
  readonly friendlyName: string;
  /** UTF-8, without NUL. */
  readonly password: Secret;
}

/**
 * Rounds of both key derivations. What opens a file counts them: .NET refuses more than 300,000 by default
 * (Pkcs12LoaderLimits), Java more than 5,000,000.
 */
const rounds = 250_000;
const saltOctets = 16;

const oids = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

/**
 * The file's bytes: key and certificate paired by a localKeyId, then the authorities.
 * @throws RelaycertsError `passphrase` if the password is empty or not UTF-8
 * @source RFC 7292 4 (PFX), 4.2 (bags)
 */
export async function encodePkcs12(request: Pkcs12Request): Promise<Buffer> {
  const { privateKey, certificate, authorities, friendlyName, password } = request;
  const octets = passwordOctets(password);
  try {
    const keyId = hash('sha1', certificate, 'buffer');
    const attributes = set(
      bagAttribute(oids.friendlyName, bmpString(friendlyName)),
      bagAttribute(oids.localKeyId, der.writeOctetString(keyId)),
    );
    const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
    const key = await encrypt(pkcs8, octets);
    pkcs8.fill(0);
    const keyBags = der.writeSequence(
      bag(oids.shroudedKeyBag, der.writeSequence(key.algorithm, der.writeOctetString(key.ciphertext)), attributes),
    );
    const certificateBags = der.writeSequence(
      bag(oids.certBag, certBag(certificate), attributes),
      ...authorities.map((authority) => bag(oids.certBag, certBag(authority))),
    );
    const certificates = await encrypt(certificateBags, octets);
    const contents = der.writeSequence(
      contentInfo(oids.encryptedData, encryptedData(certificates)),
      contentInfo(oids.data, der.writeOctetString(keyBags)),
    );
    const authenticated = contentInfo(oids.data, der.writeOctetString(contents));
    return der.writeSequence(der.writeInteger(3), authenticated, macData(contents, octets));
  } finally {
    octets.fill(0);
  }
}

function passwordOctets(password: Secret): Buffer {
  const octets = Buffer.from(password.revealBytes().buffer);
  // The MAC takes the password's characters, so it has to be text.
  const isText = Buffer.from(octets.toString('utf8'), 'utf8').equals(octets);
  if (octets.length > 0 && isText) return octets;
  throw new RelaycertsError('passphrase', `the password is ${octets.length === 0 ? 'empty' : 'not text in UTF-8'}`, {
    hint: 'choose another one',
  });
}

interface Encrypted {
  readonly algorithm: Buffer;
  readonly ciphertext: Buffer;
}

const derive = promisify(pbkdf2);

/** PBES2 (RFC 8018 6.2) under the password as UTF-8, which is what OpenSSL gives it. */
async function encrypt(plain: Uint8Array, password: Buffer): Promise<Encrypted> {
  const salt = randomBytes(saltOctets);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', await derive(password, salt, rounds, 32, 'sha256'), iv);
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  const kdf = der.writeSequence(
    der.writeOid(oids.pbkdf2),
    der.writeSequence(
      der.writeOctetString(salt),
      der.writeInteger(rounds),
      der.writeSequence(der.writeOid(oids.hmacSha256), nothing()),
    ),
  );
  return { algorithm: writePbes2(kdf, iv), ciphertext };
}

/** RFC 5652 8 EncryptedData, its contents tagged [0] IMPLICIT. */
function encryptedData({ algorithm, ciphertext }: Encrypted): Buffer {
  const contents = der.writeElement(0x80, ciphertext);
  return der.writeSequence(der.writeInteger(0), der.writeSequence(der.writeOid(oids.data), algorithm, contents));
}

function macData(contents: Buffer, password: Buffer): Buffer {
  const salt = randomBytes(saltOctets);
  const mac = createHmac('sha256', deriveMacKey(password, salt)).update(contents).digest();
  return der.writeSequence(
    der.writeSequence(der.writeSequence(der.writeOid(oids.sha256), nothing()), der.writeOctetString(mac)),
    der.writeOctetString(salt),
    der.writeInteger(rounds),
  );
}

/**
 * RFC 7292 appendix B with SHA-256, for a MAC key (ID 3): one digest is as long as the key, so there is only one block. The
 * password is a BMPString with its two zero octets (B.1); characters outside the BMP are surrogate pairs, as in OpenSSL and
 * Java.
 */
function deriveMacKey(password: Buffer, salt: Buffer): Buffer {
  const characters = Buffer.from(`${password.toString('utf8')}\0`, 'utf16le').swap16();
  let block = hash('sha256', Buffer.concat([Buffer.alloc(64, 3), repeated(salt), repeated(characters)]), 'buffer');
  characters.fill(0);
  for (let round = 1; round < rounds; round += 1) block = hash('sha256', block, 'buffer');
  return block;
}

/** Copies of the octets until whole blocks of SHA-256 (64 octets) are full. */
function repeated(octets: Buffer): Buffer {
  return Buffer.alloc(Math.ceil(octets.length / 64) * 64, octets);
}

function bag(type: string, value: Buffer, attributes?: Buffer): Buffer {
  return der.writeSequence(der.writeOid(type), explicit(value), ...(attributes === undefined ? [] : [attributes]));
}

function certBag(certificate: Uint8Array): Buffer {
  return der.writeSequence(der.writeOid(oids.x509Certificate), explicit(der.writeOctetString(certificate)));
}

function bagAttribute(type: string, value: Buffer): Buffer {
  return der.writeSequence(der.writeOid(type), set(value));
}

function contentInfo(type: string, content: Buffer): Buffer {
  return der.writeSequence(der.writeOid(type), explicit(content));
}

/** X.690 11.6: the parts of a SET OF in the order of their encodings. */
function set(...parts: readonly Buffer[]): Buffer {
  return der.writeElement(der.derTags.set, ...parts.toSorted((a, b) => Buffer.compare(a, b)));
}

function explicit(value: Buffer): Buffer {
  return der.writeElement(0xa0, value);
}

/** Two octets a character, the high one first (X.690 8.23.8). */
function bmpString(text: string): Buffer {
  return der.writeElement(der.derTags.bmpString, Buffer.from(text, 'utf16le').swap16());
}

function nothing(): Buffer {
  return der.writeElement(der.derTags.null);
}
