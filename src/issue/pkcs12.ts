// A key and its certificates in one PKCS#12 file (RFC 7292) that today's programs open without legacy switches: PBES2
// with PBKDF2-HMAC-SHA256 and AES-256-CBC, and a MAC with HMAC-SHA256; or, for programs that know only what was usual
// before, triple DES and SHA-1. The frame is node-forge's ASN.1 layer, because its PKCS#12 call takes only RSA keys; all
// cryptography is node:crypto's. It does not read PKCS#12. It is imported only to make such a file, and is the only
// importer of node-forge.

import { isUtf8 } from 'node:buffer';
import { createCipheriv, createHmac, hash, type KeyObject, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import asn1 from 'node-forge/lib/asn1.js';
import { RelaycertsError } from '../errors.js';
import type { Secret } from '../secret.js';

export interface Pkcs12Request {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly certificate: Uint8Array;
  /** DER; the chain above the certificate. */
  readonly authorities: readonly Uint8Array[];
  /** The name that programs show; keytool calls it the alias. */
  readonly friendlyName: string;
  /** UTF-8, without NUL. */
  readonly password: Secret;
  /** For programs that open nothing else: old versions of macOS, Windows and Java. */
  readonly isLegacy: boolean;
}

/** How a file is protected. */
interface Protection {
  /** Of both key derivations. */
  readonly rounds: number;
  readonly digest: 'sha256' | 'sha1';
  readonly digestOid: string;
  readonly saltOctets: number;
  readonly encrypt: (plain: Uint8Array, password: Buffer) => Promise<Encrypted>;
}

interface Encrypted {
  readonly algorithm: asn1.Asn1;
  readonly ciphertext: Buffer;
}

const oids = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha1: '1.3.14.3.2.26',
  sha1TripleDes: '1.2.840.113549.1.12.1.3',
} as const;

/**
 * Readers limit the rounds: .NET refuses more than 300,000 by default (Pkcs12LoaderLimits), Java more than 5,000,000.
 */
const modern: Protection = {
  rounds: 250_000,
  digest: 'sha256',
  digestOid: oids.sha256,
  saltOctets: 16,
  encrypt: encryptModern,
};
/** Salt and rounds as OpenSSL 1.1 wrote them, which everything opens. */
const legacy: Protection = {
  rounds: 2048,
  digest: 'sha1',
  digestOid: oids.sha1,
  saltOctets: 8,
  encrypt: encryptLegacy,
};

/**
 * The file's bytes: key and certificate paired by a localKeyId, then the authorities.
 * @throws 'passphrase' if the password is empty or not UTF-8
 */
export async function encodePkcs12(request: Pkcs12Request): Promise<Buffer> {
  const { privateKey, certificate, authorities, friendlyName, password } = request;
  const { rounds, digest, digestOid, saltOctets, encrypt } = request.isLegacy ? legacy : modern;
  const octets = passwordOctets(password);
  try {
    const attributes = set(
      sequence(oid(oids.friendlyName), set(bmpString(friendlyName))),
      sequence(oid(oids.localKeyId), set(octetString(hash('sha1', certificate, 'buffer')))),
    );
    const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
    const key = await encrypt(pkcs8, octets);
    pkcs8.fill(0);
    const keyBag = typed(oids.shroudedKeyBag, sequence(key.algorithm, octetString(key.ciphertext)), attributes);
    const certBag = (one: Uint8Array, ...more: readonly asn1.Asn1[]): asn1.Asn1 =>
      typed(oids.certBag, typed(oids.x509Certificate, octetString(one)), ...more);
    const certBags = sequence(certBag(certificate, attributes), ...authorities.map((one) => certBag(one)));
    const certificates = await encrypt(toDer(certBags), octets);
    // RFC 5652 8 EncryptedData, its contents tagged [0] IMPLICIT.
    const ciphertext = asn1.create(Class.CONTEXT_SPECIFIC, tag0, false, binary(certificates.ciphertext));
    const encryptedData = sequence(small(0), sequence(oid(oids.data), certificates.algorithm, ciphertext));
    const keys = typed(oids.data, octetString(toDer(sequence(keyBag))));
    const contents = toDer(sequence(typed(oids.encryptedData, encryptedData), keys));

    const salt = randomBytes(saltOctets);
    const macKey = deriveKey({ digest, rounds, purpose: 'mac', length: digestOctets[digest] }, octets, salt);
    const mac = createHmac(digest, macKey).update(contents).digest();
    const digestInfo = sequence(sequence(oid(digestOid), nothing()), octetString(mac));
    const macData = sequence(digestInfo, octetString(salt), small(rounds));
    const version3 = small(3);
    return toDer(sequence(version3, typed(oids.data, octetString(contents)), macData));
  } finally {
    octets.fill(0);
  }
}

function passwordOctets(password: Secret): Buffer {
  const octets = Buffer.from(password.revealBytes().buffer);
  // The MAC takes the password's characters, so it has to be text.
  if (octets.length > 0 && isUtf8(octets)) return octets;
  throw new RelaycertsError('passphrase', `the password is ${octets.length === 0 ? 'empty' : 'not text in UTF-8'}`, {
    hint: 'choose another one',
  });
}

const derive = promisify(pbkdf2);

/** PBES2 (RFC 8018 6.2) with the password as UTF-8, as OpenSSL does it. */
async function encryptModern(plain: Uint8Array, password: Buffer): Promise<Encrypted> {
  const { rounds, saltOctets } = modern;
  const salt = randomBytes(saltOctets);
  const iv = randomBytes(16);
  const ciphertext = seal('aes-256-cbc', await derive(password, salt, rounds, 32, 'sha256'), iv, plain);
  const parameters = sequence(octetString(salt), small(rounds), sequence(oid(oids.hmacSha256), nothing()));
  const kdf = sequence(oid(oids.pbkdf2), parameters);
  const scheme = sequence(oid(oids.aes256Cbc), octetString(iv));
  return { algorithm: sequence(oid(oids.pbes2), sequence(kdf, scheme)), ciphertext };
}

/** pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix C). */
async function encryptLegacy(plain: Uint8Array, password: Buffer): Promise<Encrypted> {
  const { rounds, digest, saltOctets } = legacy;
  const salt = randomBytes(saltOctets);
  const key = deriveKey({ digest, rounds, purpose: 'key', length: 24 }, password, salt);
  const iv = deriveKey({ digest, rounds, purpose: 'iv', length: 8 }, password, salt);
  const ciphertext = seal('des-ede3-cbc', key, iv, plain);
  return Promise.resolve({
    algorithm: sequence(oid(oids.sha1TripleDes), sequence(octetString(salt), small(rounds))),
    ciphertext,
  });
}

function seal(cipherName: string, key: Buffer, iv: Buffer, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(cipherName, key, iv);
  key.fill(0);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

interface Derivation {
  readonly digest: 'sha256' | 'sha1';
  readonly rounds: number;
  readonly purpose: 'key' | 'iv' | 'mac';
  /** Octets of the result. */
  readonly length: number;
}

const purposeIds = { key: 1, iv: 2, mac: 3 } as const;
const digestOctets = { sha256: 32, sha1: 20 } as const;
/** Of both digests. */
const blockOctets = 64;

/**
 * RFC 7292 appendix B.2. The password is a BMPString with its two zero octets (B.1); a character outside the BMP is a
 * surrogate pair, as in OpenSSL and Java.
 */
function deriveKey({ digest, rounds, purpose, length }: Derivation, password: Buffer, salt: Buffer): Buffer {
  const characters = Buffer.from(`${password.toString('utf8')}\0`, 'utf16le').swap16();
  const input = Buffer.concat([repeated(salt), repeated(characters)]);
  characters.fill(0);
  const blocks: Buffer[] = [];
  for (let octets = 0; octets < length; octets += digestOctets[digest]) {
    let block = hash(digest, Buffer.concat([Buffer.alloc(blockOctets, purposeIds[purpose]), input]), 'buffer');
    for (let round = 1; round < rounds; round += 1) block = hash(digest, block, 'buffer');
    blocks.push(block);
    for (let at = 0; at < input.length; at += blockOctets) addBlock(input.subarray(at, at + blockOctets), block);
  }
  input.fill(0);
  return Buffer.concat(blocks).subarray(0, length);
}

/** Adds the repeated block and 1 to a big-endian number, modulo its size. */
function addBlock(number: Buffer, block: Buffer): void {
  let carry = 1;
  for (let at = number.length - 1; at >= 0; at -= 1) {
    carry += (number[at] ?? 0) + (block[at % block.length] ?? 0);
    number[at] = carry & 0xff;
    carry >>= 8;
  }
}

/** Copies of the octets until whole blocks are full. */
function repeated(octets: Buffer): Buffer {
  return Buffer.alloc(Math.ceil(octets.length / blockOctets) * blockOctets, octets);
}

// The DER of the file, as node-forge's objects. Its strings have one octet in each character.

const { Class, Type } = asn1;
/** node-forge names context tags like the universal types with the same number. */
const tag0 = Type.NONE;

const binary = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');
const toDer = (value: asn1.Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');

const make = (type: asn1.Type, value: string | asn1.Asn1[]): asn1.Asn1 =>
  asn1.create(Class.UNIVERSAL, type, typeof value !== 'string', value);
const sequence = (...parts: asn1.Asn1[]): asn1.Asn1 => make(Type.SEQUENCE, parts);
const octetString = (octets: Uint8Array): asn1.Asn1 => make(Type.OCTETSTRING, binary(octets));
/** toDer writes two octets per character only for this type. */
const bmpString = (text: string): asn1.Asn1 => make(Type.BMPSTRING, text);
const small = (value: number): asn1.Asn1 => make(Type.INTEGER, asn1.integerToDer(value).getBytes());
const oid = (dotted: string): asn1.Asn1 => make(Type.OID, asn1.oidToDer(dotted).getBytes());
const nothing = (): asn1.Asn1 => make(Type.NULL, '');

/** X.690 11.6: the parts of a SET OF in the order of their encodings. */
function set(...parts: readonly asn1.Asn1[]): asn1.Asn1 {
  return make(
    Type.SET,
    parts.toSorted((a, b) => Buffer.compare(toDer(a), toDer(b))),
  );
}

/** ContentInfo and SafeBag (RFC 7292 4 and 4.2): the type, the value tagged [0] EXPLICIT, and a bag's attributes. */
function typed(type: string, value: asn1.Asn1, ...more: readonly asn1.Asn1[]): asn1.Asn1 {
  return sequence(oid(type), asn1.create(Class.CONTEXT_SPECIFIC, tag0, true, [value]), ...more);
}
