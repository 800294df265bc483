// Issues certificates: built by x509-build.ts after the profile, signed by node:crypto, then read back and verified by
// x509-read-back.ts before anyone sees them. Those two are the only importers of @peculiar, which costs tens of
// milliseconds to load: import this file only where a certificate is issued. It writes nothing to a disk.

import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { RelaycertsError, quote } from '../errors.js';
import type { HostName } from '../names.js';
import { maxCommonNameLength } from '../certificate/profile.js';
import type { KeyType, Role, Subject } from '../settings/settings.js';
import { type CertificateInfo, parseCertificate } from '../certificate/certificate.js';
import { writeBitString, writeSequence } from '../certificate/der.js';
import type { KeyPair } from './keys.js';
import { writePem } from '../certificate/pem.js';
import { encodeSpki, keyTypeOfSpki, samePublicKey } from '../certificate/public-key.js';
import { isPermitted } from '../certificate/verify.js';
import {
  buildName,
  buildTbs,
  type Contents,
  keyIdentifierOf,
  readName,
  readSpki,
  serialize,
  signatures,
} from './x509-build.js';
import { importVerifyKey, readBack } from './x509-read-back.js';

export interface CaRequest {
  readonly commonName: string;
  readonly subject: Subject;
  readonly keyPair: KeyPair;
  readonly at: Date;
  readonly validDays: number;
  /** Name constraints; none where empty. */
  readonly permittedDomains: readonly HostName[];
}

export interface Issuer {
  readonly certificatePem: string;
  readonly privateKey: KeyObject;
}

export interface LeafRequest {
  readonly role: Role;
  readonly hostname: HostName;
  readonly altNames: readonly HostName[];
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  readonly ca: Issuer;
  readonly at: Date;
  readonly validDays: number;
}

/**
 * A self-signed CA certificate, as PEM with a newline at the end.
 * @throws 'settings' where the commonName is over 64 characters; 'certificate' where the key is of no known type
 */
export async function issueCa(request: CaRequest): Promise<string> {
  const { commonName, subject, keyPair, at, validDays, permittedDomains } = request;
  if (Array.from(commonName).length > maxCommonNameLength) {
    throw new RelaycertsError(
      'settings',
      `ca.commonName is over ${maxCommonNameLength} characters: ${quote(commonName)}`,
      {
        hint: 'set a shorter ca.commonName in the settings',
      },
    );
  }
  return issueRoot(buildName(subject, commonName), { keyPair, at, validDays, permittedDomains });
}

/**
 * A new certificate for the key and the name of a CA that is there, as PEM with a newline at the end: what one of the two
 * signed verifies against both. The name is the old one's, octet for octet, whatever the settings say by now.
 * @throws 'certificate' where the key is of no known type
 */
export async function reissueCa(
  before: CertificateInfo,
  request: Omit<CaRequest, 'commonName' | 'subject'>,
): Promise<string> {
  return issueRoot(readName(before.subject), request);
}

async function issueRoot(
  name: Contents['issuer'],
  { keyPair, at, validDays, permittedDomains }: Omit<CaRequest, 'commonName' | 'subject'>,
): Promise<string> {
  const signer = await openSigner(keyPair.privateKey, keyPair.publicKey);
  const notBefore = hourBefore(at);
  return issue(
    {
      kind: 'ca',
      subject: name,
      issuer: name,
      notBefore,
      notAfter: lastSecond(notBefore, validDays),
      spki: signer.spki,
      keyType: signer.keyType,
      authorityKeyIdentifier: keyIdentifierOf(signer.spki),
      dnsNames: [],
      permittedDomains,
    },
    { ...signer, info: undefined },
  );
}

/**
 * A host's certificate, signed by the CA, as PEM with a newline at the end. Its validity is cut to the CA's.
 * @throws 'certificate' where the CA has expired, its key does not fit it, or the public key is of no known type;
 *   'contradiction' where a name is outside the CA's permitted domains
 */
export async function issueLeaf(request: LeafRequest): Promise<string> {
  const { role, hostname, altNames, subject, publicKey, at, validDays } = request;
  const ca = await openIssuer(request.ca);
  const spki = encodeSpki(publicKey);
  const dnsNames = [...new Set([hostname, ...altNames])];
  const outside = dnsNames.find((name) => !isPermitted(name, ca.info.permittedDomains));
  if (outside !== undefined) {
    throw new RelaycertsError('contradiction', `${quote(outside)} is outside the domains that the CA may sign for`, {
      hint: `use a name under ${(ca.info.permittedDomains ?? []).join(' or ')}`,
    });
  }
  if (at >= ca.info.notAfter) {
    throw new RelaycertsError('certificate', `the CA expired ${ca.info.notAfter.toISOString()}`, {
      hint: "check this machine's clock (date -u), or renew the CA: relaycerts renew --ca",
    });
  }
  const notBefore = later(hourBefore(at), ca.info.notBefore);
  return issue(
    {
      kind: role,
      subject: buildName(subject, hostname.length > maxCommonNameLength ? undefined : hostname),
      issuer: ca.name,
      notBefore,
      notAfter: earlier(lastSecond(notBefore, validDays), ca.info.notAfter),
      spki: readSpki(spki),
      keyType: supportedTypeOf(spki),
      authorityKeyIdentifier: ca.keyIdentifier,
      dnsNames,
      permittedDomains: [],
    },
    ca,
  );
}

interface Signer {
  readonly privateKey: KeyObject;
  readonly keyType: KeyType;
  readonly spki: Contents['spki'];
  readonly verifyKey: CryptoKey;
}

interface OpenIssuer extends Signer {
  readonly info: CertificateInfo;
  readonly name: Contents['issuer'];
  readonly keyIdentifier: Buffer;
}

async function openSigner(privateKey: KeyObject, publicKey: KeyObject): Promise<Signer> {
  const spki = encodeSpki(publicKey);
  const keyType = supportedTypeOf(spki);
  return { privateKey, keyType, spki: readSpki(spki), verifyKey: await importVerifyKey(spki, keyType) };
}

// A thousand leaves have one CA: parsing it, and proving that the key fits, once is enough.
const openIssuers = new WeakMap<KeyObject, { readonly pem: string; readonly opened: Promise<OpenIssuer> }>();

async function openIssuer({ certificatePem: pem, privateKey }: Issuer): Promise<OpenIssuer> {
  const known = openIssuers.get(privateKey);
  if (known?.pem === pem) return known.opened;
  const opened = parseIssuer(pem, privateKey);
  openIssuers.set(privateKey, { pem, opened });
  return opened;
}

async function parseIssuer(pem: string, privateKey: KeyObject): Promise<OpenIssuer> {
  const info = parseCertificate(pem, { from: "the CA's file" });
  const publicKey = createPublicKey(privateKey);
  if (!samePublicKey(publicKey, info.publicKey)) {
    throw new RelaycertsError('certificate', "the CA's key does not belong to the CA's certificate", {
      hint: 'bring both back from the same backup',
    });
  }
  const signer = await openSigner(privateKey, publicKey);
  const keyIdentifier =
    info.subjectKeyIdentifier === undefined
      ? keyIdentifierOf(signer.spki)
      : Buffer.from(info.subjectKeyIdentifier, 'hex');
  return { ...signer, info, name: readName(info.subject), keyIdentifier };
}

async function issue(contents: Contents, ca: Signer & { readonly info: CertificateInfo | undefined }): Promise<string> {
  const { digest, algorithm } = signatures[ca.keyType];
  const serial = newSerial();
  const tbs = buildTbs(contents, serial, algorithm);
  // Framed here so that the part that was signed is serialised once, and is what was signed to the last octet.
  const certificate = writeSequence(tbs, serialize(algorithm), writeBitString(sign(digest, tbs, ca.privateKey)));
  await readBack(certificate, contents, serial, ca);
  return writePem('CERTIFICATE', certificate);
}

/** RFC 5280 4.1.2.2: positive, at most 20 octets. 20 random ones with the sign bit clear, of which the first is not 0. */
function newSerial(): Buffer {
  for (;;) {
    const octets = randomBytes(20);
    octets[0] = (octets[0] ?? 0) & 0x7f;
    if (octets[0] !== 0) return octets;
  }
}

function supportedTypeOf(spki: Buffer): KeyType {
  const keyType = keyTypeOfSpki(spki);
  if (keyType !== undefined) return keyType;
  throw new RelaycertsError('certificate', 'the key is of a type that relaycerts issues no certificate for', {
    hint: 'use ECDSA on P-256 or P-384, RSA of 2048, 3072 or 4096 bits, or Ed25519',
  });
}

/** Whole seconds, an hour back: hosts whose clocks are behind take the certificate at once. */
function hourBefore(at: Date): Date {
  return new Date((Math.floor(at.getTime() / 1000) - 3600) * 1000);
}

/** RFC 5280 4.1.2.5: the last second belongs to the validity. */
function lastSecond(notBefore: Date, validDays: number): Date {
  return new Date(notBefore.getTime() + validDays * 86_400_000 - 1000);
}

function later(a: Date, b: Date): Date {
  return a > b ? a : b;
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b;
}
