// A CA and leaves for tests, made by the code under test with short arguments.

import { type CertificateInfo, parseCertificate } from '../../src/certificate/certificate.js';
import { generateKey, type KeyPair } from '../../src/issue/keys.js';
import { encodeSpki } from '../../src/certificate/public-key.js';
import { issueCa, issueLeaf } from '../../src/issue/x509.js';
import { type HostName, parseHostName } from '../../src/names.js';
import type { KeyType, Role, Subject } from '../../src/settings/settings.js';
import { readAgain } from './second-reader.js';

export const noSubject: Subject = { country: '', state: '', locality: '', organization: '', organizationalUnit: '' };

/** The time of issue in tests that do not care: now, because certtool and keytool have no other clock. */
export const issuedAt = new Date();

export interface TestCa {
  readonly pem: string;
  readonly info: CertificateInfo;
  readonly keyPair: KeyPair;
}

export interface TestLeaf {
  readonly pem: string;
  readonly info: CertificateInfo;
  readonly keyPair: KeyPair;
}

export interface CaOptions {
  readonly keyType?: KeyType;
  readonly commonName?: string;
  readonly subject?: Subject;
  readonly at?: Date;
  readonly validDays?: number;
  readonly permittedDomains?: readonly string[];
}

export async function makeCa(options: CaOptions = {}): Promise<TestCa> {
  const keyPair = await generateKey(options.keyType ?? 'ecdsa-p256');
  const pem = await issueCa({
    commonName: options.commonName ?? 'example.org relay CA',
    subject: options.subject ?? noSubject,
    keyPair,
    at: options.at ?? issuedAt,
    validDays: options.validDays ?? 3650,
    permittedDomains: (options.permittedDomains ?? []).map(parseHostName),
  });
  const info = parseCertificate(pem);
  await readAgain(info, info);
  return { pem, info, keyPair };
}

export interface LeafOptions {
  readonly keyType?: KeyType;
  readonly keyPair?: KeyPair;
  readonly role?: Role;
  readonly isInbound?: boolean;
  readonly hostname?: string;
  readonly altNames?: readonly string[];
  readonly subject?: Subject;
  readonly at?: Date;
  readonly validDays?: number;
}

export async function makeLeaf(ca: TestCa, options: LeafOptions = {}): Promise<TestLeaf> {
  const keyPair = options.keyPair ?? (await generateKey(options.keyType ?? 'ecdsa-p256'));
  const info = await issueLeaf({
    role: options.role ?? 'smtp-client',
    isInbound: options.isInbound ?? false,
    hostname: hostName(options.hostname ?? 'mailhost.example.org'),
    altNames: (options.altNames ?? []).map(hostName),
    subject: options.subject ?? noSubject,
    spki: encodeSpki(keyPair.publicKey),
    ca: { certificatePem: ca.pem, privateKey: ca.keyPair.privateKey },
    at: options.at ?? issuedAt,
    validDays: options.validDays ?? 398,
  });
  await readAgain(info, ca.info);
  return { pem: info.pem, info: parseCertificate(info.pem), keyPair };
}

export function hostName(name: string): HostName {
  return parseHostName(name);
}
