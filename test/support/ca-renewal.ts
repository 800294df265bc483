// What the tests of `renew --ca` need to know about a project: its CA files, who trusts and issued what, and openssl's
// verdict.

import { X509Certificate } from 'node:crypto';
import { expect } from 'vitest';
import { certificatesOf } from './answer.js';
import { runTool } from './openssl.js';
import { treeOf, type Project, type Result } from './project.js';
import { succeed } from './succeed.js';

export const home = 'mailhost.example.org';
export const relay = 'relayhost.example.org';
export const caFile = 'certs/ca/example.org-ca.crt.pem';
export const caKeyFile = 'certs/ca/example.org-ca.key.pem';
export const tableFile = `hosts/${relay}/relay_clientcerts`;
export const passphraseFile = '.example.org-relaycerts-passphrase.gpg';

export interface Row {
  readonly host: string;
  readonly role: string;
  readonly state: string;
  readonly why: string | null;
}

/** The command run this many days from now. */
export async function inDays(project: Project, days: number, ...args: readonly string[]): Promise<Result> {
  const now = new Date(Date.now() + days * 86_400_000);
  return project.run(args, { now });
}

export function certificatesIn(pem: string): readonly X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/gu) ?? []).map(
    (one) => new X509Certificate(one),
  );
}

export const nameOf = (certificate: X509Certificate | undefined): string =>
  /^CN=(.*)$/mu.exec(certificate?.subject ?? '')?.[1] ?? '';

/** The commonNames in a host's CA file, in order. */
export function trustedBy(project: Project, hostname: string): readonly string[] {
  return certificatesIn(project.read('hosts', hostname, 'example.org-ca.crt.pem')).map(nameOf);
}

/** openssl's verdict on a host's certificate with a host's CA file, both as in the bundles. */
export function isTaken(project: Project, leafOf: string, trustOf: string): boolean {
  const file = project.path('hosts', trustOf, 'example.org-ca.crt.pem');
  const leaf = project.path('hosts', leafOf, `${leafOf}.crt.pem`);
  const purpose = leafOf.startsWith('relayhost') ? 'sslserver' : 'sslclient';
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', file];
  return runTool('openssl', ['verify', '-x509_strict', ...trust, '-purpose', purpose, leaf]).status === 0;
}

export function issuerOf(project: Project, hostname: string): string {
  const [leaf] = certificatesIn(project.read('hosts', hostname, `${hostname}.crt.pem`));
  return /^CN=(.*)$/mu.exec(leaf?.issuer ?? '')?.[1] ?? '';
}

/** The ledger's lines: event and name. */
export function ledgerOf(project: Project): readonly string[] {
  return project
    .read('certs/ca/issued.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly event: string; readonly name: string })
    .map(({ event, name }) => `${event} ${name}`);
}

export async function rowsOf(project: Project): Promise<readonly Row[]> {
  return certificatesOf<Row>(await project.run(['status', '--json']));
}

/** Everything is finished: make has nothing to do and writes nothing, show works, and nothing is staged. */
export async function expectAtRest(project: Project): Promise<void> {
  const before = treeOf(project.folder);
  expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
  expect(succeed(await project.run(['show'])).stdout).toContain(home);
  expect(treeOf(project.folder)).toEqual(before);
  expect(Object.keys(before).filter((name) => name.includes('.relaycerts'))).toEqual(['.relaycerts.lock']);
}
