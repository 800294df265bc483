// A CA's new certificate, and a CA with a new key, as other implementations judge them: OpenSSL, GnuTLS and Java's PKIX.
// For the same key, every leaf verifies against the old and the new certificate; with both CAs in one file, the leaves of
// either do, and with one of them alone only its own.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { caNameOf } from '../../src/certificate/ca-name.js';
import { parseCertificate } from '../../src/certificate/certificate.js';
import { reissueCa } from '../../src/issue/x509.js';
import type { KeyType, Role } from '../../src/settings/settings.js';
import { issuedAt, makeCa, makeLeaf, noSubject, type TestCa, type TestLeaf } from '../support/chain.js';
import { makeScratch, openssl, runTool } from '../support/openssl.js';

const scratch = makeScratch();
afterAll(() => {
  scratch.remove();
});

const purposes: Readonly<Record<Role, readonly [name: string, oid: string]>> = {
  'smtpd-server': ['sslserver', '1.3.6.1.5.5.7.3.1'],
  'smtp-client': ['sslclient', '1.3.6.1.5.5.7.3.2'],
};

const roles = ['smtpd-server', 'smtp-client'] as const;

// java runs a source file as it is. PKIX with the CAs of a file as trust anchors, then the purpose, which PKIX leaves out.
const javaProgram = `
import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

class Verify {
  public static void main(String[] words) throws Exception {
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    for (int at = 0; at < words.length; at += 3) {
      Set<TrustAnchor> anchors = new HashSet<>();
      for (Certificate ca : factory.generateCertificates(new FileInputStream(words[at])))
        anchors.add(new TrustAnchor((X509Certificate) ca, null));
      X509CertSelector target = new X509CertSelector();
      X509Certificate leaf = (X509Certificate) factory.generateCertificate(new FileInputStream(words[at + 2]));
      target.setCertificate(leaf);
      target.setExtendedKeyUsage(Set.of(words[at + 1]));
      PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
      parameters.setRevocationEnabled(false);
      parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(List.of(leaf))));
      try {
        PKIXCertPathBuilderResult built = (PKIXCertPathBuilderResult) CertPathBuilder.getInstance("PKIX").build(parameters);
        System.out.println("OK " + built.getTrustAnchor().getTrustedCert().getSerialNumber().toString(16));
      } catch (CertPathBuilderException refused) {
        System.out.println("refused");
      }
    }
  }
}
`;

interface Trial {
  readonly caPem: string;
  readonly role: Role;
  readonly leaf: TestLeaf;
}

/** For each leaf the serial of the CA certificate that Java built its path to, or `refused`. One start of Java for all. */
function javaVerify(trials: readonly Trial[]): readonly string[] {
  const words = trials.flatMap(({ caPem, role, leaf }, at) => [
    scratch.write(`java-ca-${at}.pem`, caPem),
    purposes[role][1],
    scratch.write(`java-leaf-${at}.pem`, leaf.pem),
  ]);
  const run = runTool('java', [scratch.write('Verify.java', javaProgram), ...words]);
  if (run.status !== 0) throw new Error(`java: ${run.stderr}`);
  return run.stdout.trimEnd().split('\n');
}

const builtTo = ({ info }: TestCa): string => `OK ${BigInt(`0x${info.serial}`).toString(16)}`;

/** True if OpenSSL and GnuTLS accept the leaf for its purpose with the CAs of the file; they must agree. */
function isTaken(caPem: string, role: Role, leaf: TestLeaf): boolean {
  const [name, oid] = purposes[role];
  const caFile = scratch.write('ca.pem', caPem);
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', caFile];
  const checks = ['-x509_strict', '-check_ss_sig', '-purpose', name];
  const byOpenssl = runTool('openssl', ['verify', ...checks, ...trust, scratch.write('leaf.pem', leaf.pem)]);
  const byGnutls = runTool(
    'certtool',
    ['--verify', '--verify-profile', 'medium', '--verify-purpose', oid, '--load-ca-certificate', caFile],
    leaf.pem,
  );
  expect([byOpenssl.status === 0, byOpenssl.stderr]).toEqual([byGnutls.status === 0, byOpenssl.stderr]);
  return byOpenssl.status === 0;
}

describe.each<KeyType>(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'ed25519'])('a new certificate, %s', (keyType) => {
  let before: TestCa;
  let after: TestCa;
  beforeAll(async () => {
    const subject = { ...noSubject, organization: 'Grüße & Söhne' };
    before = await makeCa({ keyType, subject, validDays: 900, at: new Date(issuedAt.getTime() - 400 * 86_400_000) });
    const { keyPair } = before;
    const pem = await reissueCa(before.info, { keyPair, at: issuedAt, validDays: 3650, permittedDomains: [] });
    after = { pem, info: parseCertificate(pem), keyPair };
  });

  test('has the same key, name and key identifier, and is another certificate', () => {
    const same = ['-noout', '-subject', '-issuer', '-pubkey', '-ext', 'subjectKeyIdentifier,basicConstraints,keyUsage'];
    expect(openssl(['x509', ...same], after.pem)).toBe(openssl(['x509', ...same], before.pem));
    expect(after.info.subject.equals(before.info.subject)).toBe(true);
    expect(after.info.serial).not.toBe(before.info.serial);
    expect(after.info.notAfter.getTime()).toBeGreaterThan(before.info.notAfter.getTime());
  });

  test('old and new leaves verify against either', async () => {
    const at = new Date(issuedAt.getTime() - 100 * 86_400_000);
    const trials: (Trial & { readonly ca: TestCa })[] = [];
    for (const role of roles) {
      for (const leaf of [await makeLeaf(before, { role, at }), await makeLeaf(after, { role })]) {
        for (const ca of [before, after]) trials.push({ ca, caPem: ca.pem, role, leaf });
      }
    }
    expect(trials.map(({ caPem, role, leaf }) => isTaken(caPem, role, leaf))).toEqual(trials.map(() => true));
    expect(javaVerify(trials)).toEqual(trials.map(({ ca }) => builtTo(ca)));
  });
});

describe.each<readonly [KeyType, KeyType]>([
  ['ecdsa-p256', 'ecdsa-p256'],
  ['rsa-2048', 'ed25519'],
])('a new key, %s to %s', (oldType, newType) => {
  test('both CAs in one file verify the leaves of either', async () => {
    const name = 'example.org relay CA';
    const former = await makeCa({ keyType: oldType, commonName: name });
    const current = await makeCa({ keyType: newType, commonName: caNameOf(name, 2) });
    const other = await makeCa({ commonName: caNameOf(name, 2) });
    const caPem = former.pem + current.pem;
    const trials: Trial[] = [];
    for (const role of roles) {
      const [old, young] = [await makeLeaf(former, { role }), await makeLeaf(current, { role })];
      const leaves = [old, young, await makeLeaf(other, { role })];
      expect(leaves.map((leaf) => isTaken(caPem, role, leaf))).toEqual([true, true, false]);
      expect([old, young].map((leaf) => isTaken(former.pem, role, leaf))).toEqual([true, false]);
      expect([old, young].map((leaf) => isTaken(current.pem, role, leaf))).toEqual([false, true]);
      trials.push(...leaves.map((leaf) => ({ caPem, role, leaf })));
    }
    const each = [builtTo(former), builtTo(current), 'refused'];
    expect(javaVerify(trials)).toEqual([...each, ...each]);
  });
});
