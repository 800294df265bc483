// Fingerprints of certificates and public keys: the pins of relay_clientcerts (postconf(5)), and four ways to print
// them. Everything printed has passed a parser of names.ts or is hexadecimal, so a foreign certificate cannot add a
// line to a table. It reads and writes no files.

import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { timeText } from '../errors.js';
import { answerParts } from '../json-text.js';
import { findHostName, type Fingerprint, type HostName } from '../names.js';
import { inPieces, oneByOne } from '../pieces.js';
import { type CertificateInfo, parseCertificates } from './certificate.js';
import { boundInput, inputError, looksLikePem, readPemOrDer } from './pem.js';
import type { Digest, FingerprintFormat, PinKind } from './pin-kinds.js';
import { encodeSpki } from './public-key.js';

/** A certificate, which has both kinds of fingerprint, or a public key by itself. */
export type Pinned = CertificateInfo | KeyObject;

/**
 * The digest of the DER certificate or of its DER SubjectPublicKeyInfo (postconf(5) smtpd_tls_fingerprint_digest).
 * @throws RelaycertsError `certificate` for the certificate fingerprint of a public key
 */
export function fingerprintOf(pinned: Pinned, of: PinKind, digest: Digest): Fingerprint {
  // Some certificates know these without their octets.
  if (digest === 'sha256' && 'der' in pinned) return pinOfDigest(pinned.digest(of));
  const spki = 'der' in pinned ? pinned.spki : encodeSpki(pinned);
  const octets = of === 'public-key' ? spki : 'der' in pinned ? pinned.der : undefined;
  if (octets === undefined) {
    const hint = 'give the certificate, or ask for the public key: --of public-key';
    throw inputError('a public key has no certificate fingerprint', hint);
  }
  return pinOfDigest(hash(digest, octets, 'buffer'));
}

/** The same for a DER SubjectPublicKeyInfo. */
export function spkiFingerprint(spki: Buffer): Fingerprint {
  return pinOfDigest(hash('sha256', spki, 'buffer'));
}

const digits = Buffer.from('0123456789ABCDEF');

/** A digest in the form that a table uses. */
export function pinOfDigest(octets: Buffer): Fingerprint {
  const text = Buffer.alloc(octets.length * 3 - 1, ':');
  for (const [index, octet] of octets.entries()) {
    text[index * 3] = digits[octet >> 4] ?? 0;
    text[index * 3 + 1] = digits[octet & 15] ?? 0;
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- hexadecimal octets by construction
  return text.toString('latin1') as Fingerprint;
}

/** The name beside a pin: the first DNS name or the commonName, if it is a host name. */
export function pinnedNameOf(pinned: Pinned): HostName | undefined {
  return 'der' in pinned ? findHostName(pinned.dnsNames[0] ?? pinned.commonName) : undefined;
}

/**
 * The certificates of a PEM or DER file or, if it holds none, its public keys (`PUBLIC KEY`). At least one.
 * `from` names the file in errors.
 * @throws RelaycertsError `certificate`
 */
export function parsePinned(bytes: Uint8Array | string, { from }: { from: string }): readonly Pinned[] {
  const input = boundInput(bytes, from);
  const isPem = looksLikePem(input);
  const publicKeys = readPemOrDer(input, from, ['PUBLIC KEY']);
  if (publicKeys.length === 0 || (isPem && readPemOrDer(input, from, ['CERTIFICATE']).length > 0)) {
    return parseCertificates(input, { from });
  }
  try {
    return publicKeys.map((key) => createPublicKey({ key, format: 'der', type: 'spki' }));
  } catch (error) {
    // A DER file without a public key is a certificate.
    if (!isPem) return parseCertificates(input, { from });
    const message = `the public key in ${from} is damaged or of an unknown kind`;
    throw inputError(message, 'write it again: openssl pkey -in KEYFILE -pubout', error);
  }
}

/** One pin and what is known about it; undefined fields are unknown for a public key. */
export interface Pin {
  readonly fingerprint: Fingerprint;
  readonly of: PinKind;
  readonly digest: Digest;
  readonly name: HostName | undefined;
  readonly notAfter: Date | undefined;
  /** The fingerprint of the other kind, with the same digest. */
  readonly other: Fingerprint | undefined;
}

/**
 * One pin and what is known about it; `name`: of the host, if it is known. @throws RelaycertsError `certificate` as
 * fingerprintOf
 */
export function pinOf(pinned: Pinned, of: PinKind, digest: Digest, name = pinnedNameOf(pinned)): Pin {
  const fingerprint = fingerprintOf(pinned, of, digest);
  const pin = { fingerprint, of, digest, name, notAfter: undefined, other: undefined };
  if (!('der' in pinned)) return pin;
  const otherKind = of === 'certificate' ? 'public-key' : 'certificate';
  return { ...pin, notAfter: pinned.notAfter, other: fingerprintOf(pinned, otherKind, digest) };
}

/** The pins as text, one per line, in pieces; `postfix` can be used as relay_clientcerts. */
export function renderPins(pins: Iterable<Pin>, format: FingerprintFormat): Iterable<string> {
  if (format === 'json') return answerParts('fingerprint', { pins: oneByOne(pins, pinAsJson) });
  return inPieces(oneByOne(pins, renderers[format]));
}

const renderers: Readonly<Record<Exclude<FingerprintFormat, 'json'>, (pin: Pin) => string>> = {
  postfix: renderPostfix,
  openssl: ({ digest, fingerprint }) => `${digest} Fingerprint=${fingerprint}\n`,
  hex: ({ fingerprint }) => `${fingerprint.replaceAll(':', '').toLowerCase()}\n`,
};

/** A `#` line for people, then `FINGERPRINT name`: a texthash table ignores lines without a value. */
function renderPostfix({ fingerprint, of, name: known, notAfter, other }: Pin): string {
  const name: string = known ?? 'unnamed';
  const expiry = notAfter === undefined ? '' : `, expires ${timeText(notAfter)}`;
  const twin = other === undefined ? '' : `, ${of === 'certificate' ? 'public key' : 'certificate'} ${other}`;
  return `# ${name}${expiry}${twin}\n${fingerprint} ${name}\n`;
}

function pinAsJson({ fingerprint, of, digest, name, notAfter, other }: Pin): Record<string, string | null> {
  const isOfKey = of === 'public-key';
  return {
    name: name ?? null,
    of,
    digest,
    fingerprint,
    publicKeyFingerprint: isOfKey ? fingerprint : (other ?? null),
    certificateFingerprint: isOfKey ? (other ?? null) : fingerprint,
    expires: notAfter?.toISOString() ?? null,
  };
}
