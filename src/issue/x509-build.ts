// One certificate's contents as typed ASN.1 objects of @peculiar/asn1-x509: names, extensions and algorithms from the
// profile in certificate/profile.ts. It signs and judges nothing. Only x509.ts and x509-read-back.ts import it.

import { hash } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import * as asn from '@peculiar/asn1-x509';
import { profiles } from '../certificate/profile.js';
import type { KeyType, Role, Subject } from '../settings/settings.js';

/** What goes into one certificate, which is built from it and compared with it afterwards. */
export interface Contents {
  readonly kind: 'ca' | Role;
  readonly subject: asn.Name;
  readonly issuer: asn.Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: asn.SubjectPublicKeyInfo;
  readonly keyType: KeyType;
  readonly authorityKeyIdentifier: Buffer;
  readonly dnsNames: readonly string[];
  readonly permittedDomains: readonly string[];
}

/** `digest` is null if the algorithm includes its own. */
function algorithmOf(digest: string | null, algorithm: string, parameters?: null) {
  return { digest, algorithm: new asn.AlgorithmIdentifier({ algorithm, ...(parameters === null && { parameters }) }) };
}

const rsaSha256 = algorithmOf('sha256', '1.2.840.113549.1.1.11', null);

/**
 * How a CA with a key of this type signs.
 * @source RFC 5758 3.2 (ECDSA, no parameters), RFC 4055 5 (RSA, NULL), RFC 8410 3 (Ed25519, no parameters)
 */
export const signatures: Readonly<Record<KeyType, ReturnType<typeof algorithmOf>>> = {
  'ecdsa-p256': algorithmOf('sha256', '1.2.840.10045.4.3.2'),
  'ecdsa-p384': algorithmOf('sha384', '1.2.840.10045.4.3.3'),
  'rsa-2048': rsaSha256,
  'rsa-3072': rsaSha256,
  'rsa-4096': rsaSha256,
  ed25519: algorithmOf(null, '1.3.101.112'),
};

/** The octets to sign (RFC 5280 4.1.1.1 tbsCertificate). `serial` has a positive INTEGER's octets. */
export function buildTbs(contents: Contents, serial: Buffer, signature: asn.AlgorithmIdentifier): Buffer {
  return serialize(
    new asn.TBSCertificate({
      version: asn.Version.v3,
      serialNumber: arrayBufferOf(serial),
      signature,
      issuer: contents.issuer,
      validity: new asn.Validity({ notBefore: contents.notBefore, notAfter: contents.notAfter }),
      subject: contents.subject,
      subjectPublicKeyInfo: contents.spki,
      extensions: new asn.Extensions(buildExtensions(contents)),
    }),
  );
}

/** DER of one of the typed objects. */
export function serialize(value: unknown): Buffer {
  return Buffer.from(AsnConvert.serialize(value));
}

/** The keyUsage that the contents ask for, as the bits of asn.KeyUsage. */
export function keyUsageFlagsOf({ kind, keyType }: Contents): number {
  const { keyUsage, rsaKeyUsage } = profiles[kind];
  const bits = keyType.startsWith('rsa-') ? [...keyUsage, ...rsaKeyUsage] : keyUsage;
  return bits.reduce<number>((flags, bit) => flags | asn.KeyUsageFlags[bit], 0);
}

function buildExtensions(contents: Contents): asn.Extension[] {
  // A root is its own authority.
  const { dnsNames, permittedDomains, authorityKeyIdentifier: authority } = contents;
  const { isCa, pathLength, extendedKeyUsage } = profiles[contents.kind];
  const extensions = [
    extension(
      asn.id_ce_basicConstraints,
      true,
      new asn.BasicConstraints({ cA: isCa, ...(pathLength !== undefined && { pathLenConstraint: pathLength }) }),
    ),
    extension(asn.id_ce_keyUsage, true, new asn.KeyUsage(keyUsageFlagsOf(contents))),
    extension(asn.id_ce_subjectKeyIdentifier, false, identifier(isCa ? authority : keyIdentifierOf(contents.spki))),
    extension(
      asn.id_ce_authorityKeyIdentifier,
      false,
      new asn.AuthorityKeyIdentifier({ keyIdentifier: identifier(authority) }),
    ),
  ];
  if (extendedKeyUsage.length > 0) {
    extensions.push(extension(asn.id_ce_extKeyUsage, false, new asn.ExtendedKeyUsage([...extendedKeyUsage])));
  }
  if (dnsNames.length > 0) {
    const names = dnsNames.map((dNSName) => new asn.GeneralName({ dNSName }));
    // RFC 5280 4.2.1.6: critical if the subject is empty.
    const isCritical = contents.subject.length === 0;
    extensions.push(extension(asn.id_ce_subjectAltName, isCritical, new asn.SubjectAlternativeName(names)));
  }
  if (permittedDomains.length > 0) {
    // RFC 5280 4.2.1.10: a dNSName subtree has no leading dot; all addresses are 8 or 32 zero octets.
    const constraints = new asn.NameConstraints({
      permittedSubtrees: subtrees(permittedDomains.map((dNSName) => ({ dNSName }))),
      excludedSubtrees: subtrees([{ iPAddress: '0.0.0.0/0' }, { iPAddress: '::/0' }]),
    });
    extensions.push(extension(asn.id_ce_nameConstraints, true, constraints));
  }
  return extensions;
}

function identifier(octets: Buffer): asn.KeyIdentifier {
  return new asn.KeyIdentifier(arrayBufferOf(octets));
}

function subtrees(bases: readonly Partial<asn.GeneralName>[]): asn.GeneralSubtrees {
  return new asn.GeneralSubtrees(bases.map((base) => new asn.GeneralSubtree({ base: new asn.GeneralName(base) })));
}

function extension(extnID: string, critical: boolean, value: unknown): asn.Extension {
  return new asn.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** One attribute per RDN, the widest first. RFC 5280 4.1.2.4: country is a PrintableString, the others UTF8String. */
export function buildName(subject: Subject, commonName: string | undefined): asn.Name {
  const attributes: readonly (readonly [type: string, value: string])[] = [
    ['2.5.4.6', subject.country],
    ['2.5.4.8', subject.state],
    ['2.5.4.7', subject.locality],
    ['2.5.4.10', subject.organization],
    ['2.5.4.11', subject.organizationalUnit],
    ['2.5.4.3', commonName ?? ''],
  ];
  const names = attributes
    .filter(([, text]) => text !== '')
    .map(([type, text]) => {
      const value = new asn.AttributeValue(type === '2.5.4.6' ? { printableString: text } : { utf8String: text });
      return new asn.RelativeDistinguishedName([new asn.AttributeTypeAndValue({ type, value })]);
    });
  return new asn.Name(names);
}

/** A DER SubjectPublicKeyInfo as the typed object. */
export function readSpki(spki: Buffer): asn.SubjectPublicKeyInfo {
  return AsnConvert.parse(spki, asn.SubjectPublicKeyInfo);
}

/** RFC 7093 2, method 1: the leftmost 160 bits of the SHA-256 of the subjectPublicKey's octets. */
export function keyIdentifierOf(spki: asn.SubjectPublicKeyInfo): Buffer {
  return hash('sha256', Buffer.from(spki.subjectPublicKey), 'buffer').subarray(0, 20);
}

/** The subject of a CA's certificate; its leaves' issuer must equal it octet for octet (RFC 5280 4.1.2.4). */
export function readName(der: Buffer): asn.Name {
  return AsnConvert.parse(der, asn.Name);
}

function arrayBufferOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
