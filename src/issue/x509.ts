// Issues certificates: x509-build.ts builds them from the profile, node:crypto signs them, and x509-read-back.ts reads
// them back and verifies them before they are returned. The latter imports @peculiar, which takes tens of milliseconds
// to load, so import this file only to issue a certificate. It writes no files.

import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { RelaycertsError, quote } from '../errors.js';
import type { HostName } from '../names.js';
import { maxCommonNameLength, profileNameOf } from '../certificate/profile.js';
import type { KeyType, Role, Subject } from '../settings/settings.js';
import { type CertificateInfo, parseCertificate, parseSignedCertificate } from '../certificate/certificate.js';
import { writeBitString, writeSequence } from '../certificate/der.js';
import type { KeyPair } from './keys.js';
import { inputError, writePem } from '../certificate/pem.js';
import { encodeSpki, keyTypeOfSpki, samePublicKey } from '../certificate/public-key.js';
import { isPermitted } from '../certificate/verify.js';
import * as asn1 from './x509-build.js';
import { compareContents, readBack } from './x509-read-back.js';

/** The input for a CA certificate; `at` is now. */
export interface CaRequest {
  readonly commonName: string;
  readonly subject: Subject;
  readonly keyPair: KeyPair;
  readonly at: Date;
  readonly validDays: number;
  /** Name constraints (RFC 5280 4.2.1.10); none if empty. */
  readonly permittedDomains: readonly HostName[];
}

type RootRequest = Omit<CaRequest, 'commonName' | 'subject'>;

/** A CA that can sign: its certificate (PEM) and its unlocked key. */
export interface Issuer {
  readonly certificatePem: string;
  readonly privateKey: KeyObject;
}

/** The input for a host's certificate; `at` is now. */
export interface LeafRequest {
  readonly role: Role;
  readonly isInbound: boolean;
  readonly hostname: HostName;
  readonly altNames: readonly HostName[];
  readonly subject: Subject;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly ca: Issuer;
  readonly at: Date;
  readonly validDays: number;
}

/**
 * A self-signed CA certificate, as PEM with a newline at the end.
 * @throws RelaycertsError `settings` if the commonName is over 64 characters; `certificate` if the key's type is unknown
 * @source RFC 5280 4.2 (extensions), 4.2.1.9 (basicConstraints)
 */
export async function issueCa(request: CaRequest): Promise<string> {
  const { commonName, subject, keyPair, at, validDays, permittedDomains } = request;
  if (Array.from(commonName).length > maxCommonNameLength) {
    const message = `ca.commonName is over ${maxCommonNameLength} characters: ${quote(commonName)}`;
    throw new RelaycertsError('settings', message, { hint: 'set a shorter ca.commonName in the settings' });
  }
  return issueRoot(asn1.buildName(subject, commonName), { keyPair, at, validDays, permittedDomains });
}

/**
 * A new certificate for the key and name of an existing CA, as PEM with a newline at the end; what the CA signed
 * verifies with the old and the new one. The name and the key identifier are copied octet for octet, whatever made
 * them.
 * @throws RelaycertsError `certificate` if the key's type is unknown
 */
export async function reissueCa(before: CertificateInfo, request: RootRequest): Promise<string> {
  return issueRoot(before.subject, request, before);
}

async function issueRoot(
  name: Buffer,
  { keyPair, at, validDays, permittedDomains }: RootRequest,
  before?: CertificateInfo,
): Promise<string> {
  const signer = prepareKey(keyPair.privateKey, keyPair.publicKey);
  const { spki, keyType } = signer;
  const notBefore = hourBefore(at);
  const notAfter = lastSecond(notBefore, validDays);
  const authorityKeyIdentifier = keyIdentifierOf(before, spki);
  const about = { kind: 'ca', subject: name, issuer: name, dnsNames: [], permittedDomains } as const;
  const contents = { ...about, notBefore, notAfter, spki, keyType, authorityKeyIdentifier };
  return issue(contents, signer);
}

/**
 * A host's certificate, signed by the CA. Its validity is cut to the CA's.
 * @throws RelaycertsError `certificate` if the CA has expired, its key does not match it, or the public key's type is
 * unknown; `contradiction` if a name is outside the CA's permitted domains
 */
export async function issueLeaf(request: LeafRequest): Promise<CertificateInfo> {
  const { hostname, altNames, subject, spki, at, validDays } = request;
  const ca = await cachedIssuer(request.ca);
  const dnsNames = [...new Set([hostname, ...altNames])];
  const outside = dnsNames.find((name) => !isPermitted(name, ca.info.permittedDomains));
  if (outside !== undefined) {
    throw new RelaycertsError('contradiction', `${quote(outside)} is outside the domains that the CA may sign for`, {
      hint: `use a name under ${(ca.info.permittedDomains ?? []).join(' or ')}`,
    });
  }
  if (at >= ca.info.notAfter) {
    throw new RelaycertsError('certificate', `the CA expired ${ca.info.notAfter.toISOString()}`, {
      hint: { before: "check this machine's clock (date -u), or renew the CA:", run: ['renew', '--ca'] },
    });
  }
  const notBefore = new Date(Math.max(hourBefore(at).getTime(), ca.info.notBefore.getTime()));
  const notAfter = new Date(Math.min(lastSecond(notBefore, validDays).getTime(), ca.info.notAfter.getTime()));
  return issueOne(
    {
      kind: profileNameOf(request),
      subject: asn1.buildName(subject, hostname.length > maxCommonNameLength ? undefined : hostname),
      issuer: ca.name,
      notBefore,
      notAfter,
      spki,
      keyType: supportedTypeOf(spki),
      authorityKeyIdentifier: ca.keyIdentifier,
      dnsNames,
      permittedDomains: [],
    },
    ca,
  );
}

/** A key that signs certificates, with what building them needs. */
interface SigningKey {
  readonly privateKey: KeyObject;
  readonly keyType: KeyType;
  readonly spki: Buffer;
}

interface ParsedIssuer extends SigningKey {
  readonly info: CertificateInfo;
  readonly name: Buffer;
  readonly keyIdentifier: Buffer;
  /** The number of certificates of each kind it has signed in this process. */
  readonly known: Map<string, number>;
}

function prepareKey(privateKey: KeyObject, publicKey: KeyObject): SigningKey {
  const spki = encodeSpki(publicKey);
  const keyType = keyTypeOfSpki(spki);
  if (keyType === undefined) {
    throw new RelaycertsError('certificate', "the CA's key is of a kind with which nothing is signed here", {
      hint: { run: ['renew', '--ca', '--rekey'], before: 'for a CA with a new key:' },
    });
  }
  return { privateKey, keyType, spki };
}

// A thousand leaves have one CA, which is parsed and checked against its key only once.
const parsedIssuers = new WeakMap<KeyObject, { readonly pem: string; readonly parsed: Promise<ParsedIssuer> }>();

async function cachedIssuer({ certificatePem: pem, privateKey }: Issuer): Promise<ParsedIssuer> {
  const known = parsedIssuers.get(privateKey);
  if (known?.pem === pem) return known.parsed;
  const parsed = parseIssuer(pem, privateKey);
  parsedIssuers.set(privateKey, { pem, parsed });
  return parsed;
}

async function parseIssuer(pem: string, privateKey: KeyObject): Promise<ParsedIssuer> {
  const info = parseCertificate(pem, { from: "the CA's file" });
  const publicKey = createPublicKey(privateKey);
  if (!samePublicKey(publicKey, info.publicKey)) {
    throw inputError("the CA's key does not belong to the CA's certificate", 'restore both from the same backup');
  }
  const signer = prepareKey(privateKey, publicKey);
  return { ...signer, info, name: info.subject, keyIdentifier: keyIdentifierOf(info, signer.spki), known: new Map() };
}

/** The key identifier that a CA's leaves name: from the CA's certificate, or computed from the key. */
function keyIdentifierOf(ca: CertificateInfo | undefined, spki: Buffer): Buffer {
  const written = ca?.subjectKeyIdentifier;
  return written === undefined ? asn1.keyIdentifierOf(spki) : Buffer.from(written, 'hex');
}

/** In a fleet, one in this many is also read by other implementations; the first of each kind always is. */
const sampleOf = 1000;

async function issueOne(contents: asn1.Contents, ca: ParsedIssuer): Promise<CertificateInfo> {
  const serial = newSerial();
  const certificate = signContents(contents, serial, ca);
  const pem = Buffer.from(writePem('CERTIFICATE', certificate), 'latin1');
  const info = parseSignedCertificate(pem, () => 'the new certificate', [{ info: ca.info, isKnown: () => false }]);
  if (info === undefined) throw new Error('a new certificate did not read back: signature');
  compareContents(info, contents, serial, ca.info);
  const kind = `${contents.kind} ${contents.keyType} ${contents.subject.length > 2} ${contents.dnsNames.length}`;
  const count = ca.known.get(kind) ?? 0;
  if (count % sampleOf === 0) readBack(certificate, contents, serial, ca.info);
  ca.known.set(kind, count + 1);
  return info;
}

function issue(contents: asn1.Contents, ca: SigningKey): string {
  const serial = newSerial();
  const certificate = signContents(contents, serial, ca);
  readBack(certificate, contents, serial, undefined);
  return writePem('CERTIFICATE', certificate);
}

/** Framed here so that the signed part is serialised once and is exactly what was signed. */
function signContents(contents: asn1.Contents, serial: Buffer, { keyType, privateKey }: SigningKey): Buffer {
  const { digest, algorithm } = asn1.signatures[keyType];
  const tbs = asn1.buildTbs(contents, serial, algorithm);
  return writeSequence(tbs, algorithm, writeBitString(sign(digest, tbs, privateKey)));
}

/** RFC 5280 4.1.2.2: positive, at most 20 octets. 20 random octets with the sign bit clear and the first not 0. */
function newSerial(): Buffer {
  const octets = randomBytes(20);
  octets[0] = 1 + ((octets[0] ?? 0) % 0x7f);
  return octets;
}

function supportedTypeOf(spki: Buffer): KeyType {
  const keyType = keyTypeOfSpki(spki);
  if (keyType !== undefined) return keyType;
  const hint = 'use ECDSA on P-256 or P-384, RSA of 2048, 3072 or 4096 bits, or Ed25519';
  throw inputError('the key is of a type for which no certificate is issued', hint);
}

/** Whole seconds, an hour back, so that hosts with slow clocks accept the certificate at once. */
function hourBefore(at: Date): Date {
  return new Date((Math.floor(at.getTime() / 1000) - 3600) * 1000);
}

/** RFC 5280 4.1.2.5: the validity includes its last second. */
function lastSecond(notBefore: Date, validDays: number): Date {
  return new Date(notBefore.getTime() + validDays * 86_400_000 - 1000);
}
