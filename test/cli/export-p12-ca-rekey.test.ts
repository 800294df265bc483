// `relaycerts export p12` during a CA rekey: the file has the CAs of the host's CA file, the one that signed first, as
// openssl, keytool and GnuTLS find them.

import { X509Certificate } from 'node:crypto';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runTool } from '../support/openssl.js';
import { makeProject, type Project } from '../support/project.js';

const home = 'mailhost.example.org';
const secret = 'correct-horse-battery-staple';

let project: Project;
beforeAll(async () => {
  project = makeProject();
  await succeed('make');
});
afterAll(() => {
  project.remove();
});

async function succeed(...words: readonly string[]): Promise<void> {
  const result = words.includes('--password-fd') ? project.spawn(words, { input: secret }) : await project.run(words);
  expect(result.status, result.stderr).toBe(0);
}

const certificatesIn = (text: string): readonly string[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/gu) ?? []).map(
    (pem) => new X509Certificate(pem).fingerprint256,
  );

/** The certificates of a new export, as read by one program after the other. */
async function readExport(): Promise<{
  readonly openssl: readonly string[];
  readonly gnutls: readonly string[];
  readonly java: string;
}> {
  const file = project.path('out.p12');
  rmSync(file, { force: true });
  await succeed('export', 'p12', 'mailhost', '--out', 'out.p12', '--password-fd', '0');
  const openssl = runTool('openssl', ['pkcs12', '-in', file, '-passin', 'stdin', '-nokeys'], secret);
  const gnutls = runTool('certtool', ['--p12-info', '--inder', '--infile', file, '--password', secret]);
  const java = runTool('keytool', ['-list', '-v', '-storetype', 'PKCS12', '-keystore', file, '-storepass', secret]);
  expect([openssl.status, gnutls.status, java.status]).toEqual([0, 0, 0]);
  return { openssl: certificatesIn(openssl.stdout), gnutls: certificatesIn(gnutls.stdout), java: java.stdout };
}

const inBundle = (name: string): readonly string[] => certificatesIn(project.read('hosts', home, name));

it.each([1, 2, 3])('stage %i', async (stage) => {
  await succeed('renew', '--ca', '--rekey');
  const [leaf] = inBundle(`${home}.crt.pem`);
  const cas = inBundle('example.org-ca.crt.pem');
  expect(cas).toHaveLength(stage === 3 ? 1 : 2);
  const [signer] = certificatesIn(project.read('certs/ca/example.org-ca.crt.pem'));
  const expected = [leaf, signer, ...cas.filter((ca) => ca !== signer)];
  const { openssl, gnutls, java } = await readExport();
  expect(openssl).toEqual(expected);
  expect(gnutls).toEqual(expected);
  // Java reads the key's chain, which ends with the CA that signed it.
  expect(java).toContain('Certificate chain length: 2\n');
  expect([leaf, signer].every((each) => java.includes(each ?? '?'))).toBe(true);
});

it('of a revoked host is refused, with what brings it back', async () => {
  await succeed('revoke', 'mailhost');
  const result = project.spawn(['export', 'p12', 'mailhost', '--out', 'revoked.p12', '--password-fd', '0'], {
    input: secret,
  });
  expect([result.status, result.stderr]).toEqual([
    1,
    `relaycerts: error: ${home} is revoked
relaycerts: hint: to let it relay again, with a new key: relaycerts make --again ${home}
`,
  ]);
});
