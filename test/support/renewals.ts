// What tests of `renew` and `retire` need to know about a project. They rely on what openssl and node:crypto read in
// keys and certificates, not on what is printed.

import { X509Certificate, createHash } from 'node:crypto';
import { certificatesOf } from './answer.js';
import { openssl } from './openssl.js';
import type { Project, Result } from './project.js';

export const day = 86_400_000;
export const home = 'mailhost.example.org';
export const relay = 'relayhost.example.org';
export const tableFile = `hosts/${relay}/relay_clientcerts`;
export const homeCertificate = `certs/smtp-client/${home}.crt.pem`;
export const oldCertificate = `certs/smtp-client/${home}.old.crt.pem`;

interface Read {
  readonly x509: X509Certificate;
  readonly serial: string;
  readonly notAfter: number;
  /** SHA-256 of its public key. */
  readonly pin: string;
}

interface Line {
  readonly event: string;
  readonly name: string;
  readonly serial: string;
}

interface Row {
  readonly host: string;
  readonly role: string;
  readonly state: string;
  readonly daysLeft: number;
  readonly why: string | null;
}

/** The rows of `status --json` about certificates. */
export const rowsOf = (result: Result): readonly Row[] =>
  certificatesOf<Row>(result).filter(({ role }) => role !== 'passphrase');

/** The command run this many days from now. */
export function inDays(project: Project, days: number, args: readonly string[]): Promise<Result> {
  return project.run(args, { now: new Date(Date.now() + days * day) });
}

/** A certificate of the project; by default the home host's. */
export function certificateIn(project: Project, path = homeCertificate): Read {
  const x509 = new X509Certificate(project.read(path));
  const spki = x509.publicKey.export({ type: 'spki', format: 'der' });
  const digest = createHash('sha256').update(spki).digest('hex').toUpperCase();
  return {
    x509,
    serial: x509.serialNumber.toLowerCase(),
    notAfter: Date.parse(x509.validTo),
    pin: digest.replaceAll(/..(?!$)/gu, '$&:'),
  };
}

/** The pins that the relay's bundle lists, as [pin, name]. */
export function pinsListed(project: Project): readonly (readonly string[])[] {
  const lines = project.read(tableFile).trimEnd().split('\n');
  return lines.filter((line) => !line.startsWith('#')).map((line) => line.split(' '));
}

export function ledgerOf(project: Project): readonly Line[] {
  const lines = project.read('certs/ca/issued.jsonl').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Event and name of the ledger's lines from this one on. */
export function eventsFrom(project: Project, count: number): readonly (readonly string[])[] {
  return ledgerOf(project)
    .slice(count)
    .map(({ event, name }) => [event, name]);
}

/** openssl accepts the certificate for its purpose, this many days from now. */
export function expectVerified(project: Project, path = homeCertificate, purpose = 'sslclient', days = 0): void {
  const ca = project.path('certs/ca/example.org-ca.crt.pem');
  const at = String(Math.floor(Date.now() / 1000) + days * 86_400);
  openssl(['verify', '-x509_strict', '-attime', at, '-purpose', purpose, '-CAfile', ca, project.path(path)]);
}
