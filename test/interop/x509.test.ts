// What relaycerts issues, judged by implementations that are not ours: OpenSSL, GnuTLS and Java.

import { afterAll, describe, expect, test } from 'vitest';
import { generateKey, type KeyPair } from '../../src/issue/keys.js';
import { type KeyType, keyTypes, type Role } from '../../src/settings/settings.js';
import { parseCountryCode } from '../../src/names.js';
import { makeCa, makeLeaf, noSubject, type TestCa, type TestLeaf } from '../support/chain.js';
import { makeScratch, openssl, runTool } from '../support/openssl.js';

const scratch = makeScratch();
afterAll(() => {
  scratch.remove();
});

const purposes: Readonly<Record<Role, string>> = { 'smtpd-server': 'sslserver', 'smtp-client': 'sslclient' };

function verify(ca: TestCa, leaf: TestLeaf, ...more: readonly string[]): { ok: boolean; said: string } {
  const caFile = scratch.write('ca.pem', ca.pem);
  const leafFile = scratch.write('leaf.pem', leaf.pem);
  const run = runTool('openssl', [
    'verify',
    '-x509_strict',
    '-no-CAfile',
    '-no-CApath',
    '-no-CAstore',
    '-check_ss_sig',
    ...more,
    '-CAfile',
    caFile,
    leafFile,
  ]);
  return { ok: run.status === 0, said: run.stdout + run.stderr };
}

function certtoolAccepts(ca: TestCa, leaf: TestLeaf, ...more: readonly string[]): { ok: boolean; said: string } {
  const caFile = scratch.write('ca.pem', ca.pem);
  const run = runTool(
    'certtool',
    ['--verify', '--verify-profile', 'medium', '--load-ca-certificate', caFile, ...more],
    leaf.pem,
  );
  return { ok: run.status === 0, said: run.stdout + run.stderr };
}

const leafTypes = (caType: KeyType): readonly KeyType[] =>
  caType === 'rsa-4096' ? ['ecdsa-p256'] : keyTypes.filter((type) => type !== 'rsa-4096' || caType === 'ecdsa-p256');

/** One key for all leaves of a type: RSA takes seconds to make. */
const keys = new Map<KeyType, Promise<KeyPair>>();
function keyOf(keyType: KeyType): Promise<KeyPair> {
  const key = keys.get(keyType) ?? generateKey(keyType);
  keys.set(keyType, key);
  return key;
}

describe.each(keyTypes)('a CA with a key of %s', (caType) => {
  let ca: TestCa | undefined;

  test.each(leafTypes(caType))(
    'signs leaves of %s that OpenSSL, GnuTLS and Java accept by purpose',
    async (leafType) => {
      ca ??= await makeCa({ keyType: caType });
      const keyPair = await keyOf(leafType);
      for (const role of ['smtpd-server', 'smtp-client'] as const) {
        const altNames = role === 'smtpd-server' ? ['mx.example.org'] : [];
        const leaf = await makeLeaf(ca, { role, keyPair, altNames });
        const right = verify(ca, leaf, '-purpose', purposes[role]);
        expect(right, right.said).toMatchObject({ ok: true });
        const wrong = verify(ca, leaf, '-purpose', purposes[role === 'smtp-client' ? 'smtpd-server' : 'smtp-client']);
        expect(wrong.ok).toBe(false);
        expect(wrong.said).toMatch(/unsuitable certificate purpose|unsupported certificate purpose/u);
        expect(verify(ca, leaf, '-verify_hostname', 'mailhost.example.org').ok).toBe(true);
        expect(verify(ca, leaf, '-verify_hostname', 'other.example.org').ok).toBe(false);

        const purposeOid = role === 'smtpd-server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2';
        const gnutls = certtoolAccepts(ca, leaf, '--verify-purpose', purposeOid);
        expect(gnutls, gnutls.said).toMatchObject({ ok: true });
        const otherOid = role === 'smtpd-server' ? '1.3.6.1.5.5.7.3.2' : '1.3.6.1.5.5.7.3.1';
        expect(certtoolAccepts(ca, leaf, '--verify-purpose', otherOid).ok).toBe(false);
      }
    },
  );

  test('reads in Java', async () => {
    ca ??= await makeCa({ keyType: caType });
    const leaf = await makeLeaf(ca, { role: 'smtpd-server' });
    const java = runTool('keytool', ['-printcert', '-v', '-file', scratch.write('both.pem', leaf.pem + ca.pem)]);
    expect(java.status, java.stdout + java.stderr).toBe(0);
    expect(java.stdout).toContain('Owner: CN=mailhost.example.org');
    expect(java.stdout).toContain('DNSName: mailhost.example.org');
    expect(java.stdout).toContain('serverAuth');
    expect(java.stdout).toContain('PathLen:0');
  });
});

test('another CA of the same name does not vouch for it', async () => {
  const [ca, impostor] = await Promise.all([makeCa(), makeCa()]);
  const leaf = await makeLeaf(ca);
  expect(verify(ca, leaf).ok).toBe(true);
  expect(verify(impostor, leaf).ok).toBe(false);
  expect(certtoolAccepts(impostor, leaf).ok).toBe(false);
});

test('the certificate has the profile, as OpenSSL prints it', async () => {
  const subject = {
    country: parseCountryCode('DE'),
    state: 'Bayern',
    locality: 'München',
    organization: 'Grüße & Söhne, "GmbH"',
    organizationalUnit: 'メール',
  };
  const ca = await makeCa({ subject, permittedDomains: ['example.org', 'example.net'] });
  const leaf = await makeLeaf(ca, { role: 'smtpd-server', subject, keyType: 'rsa-2048', altNames: ['mx.example.net'] });
  const names = ['-noout', '-subject', '-issuer', '-nameopt', 'utf8,sep_comma_plus,sname,show_type'];
  const printed = openssl(['x509', ...names], leaf.pem);
  const common = String.raw`C=PRINTABLESTRING:DE,ST=UTF8STRING:Bayern,L=UTF8STRING:München,O=UTF8STRING:Grüße & Söhne, "GmbH",OU=UTF8STRING:メール`;
  expect(printed).toBe(
    `subject=${common},CN=UTF8STRING:mailhost.example.org\nissuer=${common},CN=UTF8STRING:example.org relay CA\n`,
  );
  const caText = openssl(['x509', '-noout', '-text'], ca.pem);
  for (const line of [
    'Version: 3 (0x2)',
    'X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0',
    'X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign',
    'X509v3 Name Constraints: critical',
    'Permitted:\n                  DNS:example.org\n                  DNS:example.net',
    'Excluded:\n                  IP:0.0.0.0/0.0.0.0\n                  IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0',
    'Signature Algorithm: ecdsa-with-SHA256',
  ]) {
    expect(caText).toContain(line);
  }
  expect(caText).not.toMatch(/Extended Key Usage|Alternative Name|CRL Distribution|Authority Information/u);
  const leafText = openssl(['x509', '-noout', '-text'], leaf.pem);
  for (const line of [
    'X509v3 Basic Constraints: critical\n                CA:FALSE',
    'X509v3 Key Usage: critical\n                Digital Signature, Key Encipherment',
    'X509v3 Extended Key Usage: \n                TLS Web Server Authentication',
    'X509v3 Subject Alternative Name: \n                DNS:mailhost.example.org, DNS:mx.example.net',
  ]) {
    expect(leafText).toContain(line);
  }
  expect(leafText).not.toMatch(/DirName|serial:|CRL Distribution|Authority Information|Name Constraints/u);
  // RFC 7093 method 1, computed by OpenSSL: the SHA-256 of the bit string, cut to 160 bits.
  const [, offset] =
    /^ *(\d+):d=1 .*BIT STRING/mu.exec(openssl(['asn1parse'], openssl(['x509', '-noout', '-pubkey'], leaf.pem))) ?? [];
  const bits = runTool(
    'openssl',
    ['asn1parse', '-strparse', offset ?? '', '-noout', '-out', scratch.path('bits')],
    openssl(['x509', '-noout', '-pubkey'], leaf.pem),
  );
  expect(bits.status).toBe(0);
  const digest = openssl(['dgst', '-sha256', '-r', scratch.path('bits')]).slice(0, 40);
  expect(leaf.info.subjectKeyIdentifier).toBe(digest);
});

test("the signature algorithm identifiers are the RFCs', to the octet", async () => {
  for (const [keyType, hex] of [
    ['ecdsa-p256', '300a06082a8648ce3d040302'],
    ['ecdsa-p384', '300a06082a8648ce3d040303'],
    ['rsa-2048', '300d06092a864886f70d01010b0500'],
    ['ed25519', '300506032b6570'],
  ] as const) {
    const ca = await makeCa({ keyType });
    expect(ca.info.der.toString('hex').split(hex)).toHaveLength(keyType === 'ed25519' ? 4 : 3);
  }
});

test('a host name over 64 characters is only in a critical subjectAltName', async () => {
  const ca = await makeCa();
  const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.org`;
  const leaf = await makeLeaf(ca, { hostname: long, role: 'smtpd-server' });
  const text = openssl(['x509', '-noout', '-text'], leaf.pem);
  expect(text).toMatch(/Subject: *\n/u);
  expect(text).toContain(`X509v3 Subject Alternative Name: critical\n                DNS:${long}`);
  const strict = verify(ca, leaf, '-purpose', 'sslserver', '-verify_hostname', long);
  expect(strict, strict.said).toMatchObject({ ok: true });
  const gnutls = certtoolAccepts(ca, leaf, '--verify-hostname', long);
  expect(gnutls, gnutls.said).toMatchObject({ ok: true });

  const withSubject = await makeLeaf(ca, { hostname: long, subject: { ...noSubject, organization: 'Example' } });
  // RFC 2253, because OpenSSL's own way to write a name changed with 3.2.
  const subject = openssl(['x509', '-noout', '-subject', '-nameopt', 'RFC2253'], withSubject.pem);
  expect(subject).toBe('subject=O=Example\n');
  expect(openssl(['x509', '-noout', '-text'], withSubject.pem)).toContain('Subject Alternative Name: \n');
});

test('an end after 2049 is a GeneralizedTime, the start a UTCTime', async () => {
  const at = new Date('2026-03-01T12:00:00Z');
  const ca = await makeCa({ at, validDays: 365 * 40 });
  const leaf = await makeLeaf(ca, { at, validDays: 365 * 24 });
  const text = openssl(['asn1parse'], leaf.pem);
  expect(text).toContain('UTCTIME           :260301110000Z');
  expect(text).toContain('GENERALIZEDTIME   :20500223105959Z');
  expect(verify(ca, leaf, '-attime', '2529000000').ok).toBe(true);
  const dates = openssl(['x509', '-noout', '-dates'], ca.pem);
  expect(dates).toBe('notBefore=Mar  1 11:00:00 2026 GMT\nnotAfter=Feb 19 10:59:59 2066 GMT\n');
  const last = await makeLeaf(await makeCa({ at, validDays: 365 * 40 }), {
    at: new Date('2048-12-31T00:00:00Z'),
    validDays: 365,
  });
  expect(openssl(['asn1parse'], last.pem)).toContain('UTCTIME           :491230225959Z');
});

test('OpenSSL and GnuTLS enforce name constraints on domains and addresses', async () => {
  const ca = await makeCa({ permittedDomains: ['example.org'] });
  const good = await makeLeaf(ca);
  expect(verify(ca, good, '-purpose', 'sslclient').ok).toBe(true);
  expect(certtoolAccepts(ca, good).ok).toBe(true);

  // Ours refuses to issue these, so OpenSSL signs them with our CA's key.
  const caFile = scratch.write('constrained.pem', ca.pem);
  const keyFile = scratch.write('constrained.key', ca.keyPair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  for (const [altName, reason] of [
    ['DNS:mailhost.example.com', 'permitted subtree violation'],
    ['DNS:mailhost.example.org.example.com', 'permitted subtree violation'],
    ['DNS:notexample.org', 'permitted subtree violation'],
    ['DNS:mailhost.example.org,IP:192.0.2.1', 'excluded subtree violation'],
    ['DNS:mailhost.example.org,IP:2001:db8::1', 'excluded subtree violation'],
  ] as const) {
    const request = openssl(
      [
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        scratch.path('x.key'),
        '-subj',
        '/O=x',
      ],
      '',
    );
    const extensions = scratch.write(
      'ext.cnf',
      `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectAltName=${altName}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n`,
    );
    const csr = scratch.write('x.csr', request);
    const pem = openssl([
      'x509',
      '-req',
      '-in',
      csr,
      '-CA',
      caFile,
      '-CAkey',
      keyFile,
      '-CAcreateserial',
      '-days',
      '30',
      '-extfile',
      extensions,
    ]);
    const leaf = { ...good, pem };
    const refused = verify(ca, leaf);
    expect(refused.ok, altName).toBe(false);
    expect(refused.said).toContain(reason);
    const gnutls = runTool('certtool', ['--verify', '--load-ca-certificate', caFile], pem);
    expect(gnutls.status, altName + gnutls.stdout).not.toBe(0);
    expect(gnutls.stdout).toMatch(/name constraints|constraint/iu);
  }
});

const seconds = (date: Date, more: number): string => (date.getTime() / 1000 + more).toString();

test("our clock and openssl's agree on the first and the last second", async () => {
  const ca = await makeCa();
  const leaf = await makeLeaf(ca, { validDays: 10 });
  const at = (date: Date, more: number): boolean => verify(ca, leaf, '-attime', seconds(date, more)).ok;
  expect(at(leaf.info.notBefore, -1)).toBe(false);
  expect(at(leaf.info.notBefore, 0)).toBe(true);
  expect(at(leaf.info.notAfter, -1)).toBe(true);
  expect(at(leaf.info.notAfter, 0)).toBe(false);
});
