// Any chain that is issued verifies at every instant inside its validity and at none outside: by our own check at many
// instants, and by openssl at a few.

import * as fc from '../support/fast-check.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateKey, type KeyPair } from '../../src/issue/keys.js';
import { parseCertificate } from '../../src/certificate/certificate.js';
import { encodeSpki } from '../../src/certificate/public-key.js';
import { fingerprintOf } from '../../src/certificate/fingerprint.js';
import { checkCa, checkLeaf } from '../../src/certificate/verify.js';
import { issueCa, issueLeaf } from '../../src/issue/x509.js';
import { type HostName, parseCountryCode, parseHostName } from '../../src/names.js';
import { roles } from '../../src/settings/settings.js';
import { makeScratch, runTool } from '../support/openssl.js';

const scratch = makeScratch();
afterAll(() => {
  scratch.remove();
});

let keys: readonly KeyPair[] = [];
beforeAll(async () => {
  keys = await Promise.all([generateKey('ecdsa-p256'), generateKey('ed25519'), generateKey('ecdsa-p384')]);
});

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/u).filter((text) => !text.slice(2).startsWith('--'));
const name = fc
  .array(label, { minLength: 1, maxLength: 5 })
  .map((labels) => parseHostName(`${labels.join('.')}.example.org`));
const attribute = fc.oneof(
  fc.constant(''),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 64 }).filter((text) => !/\p{Cc}/u.test(text)),
);
const instant = fc.date({
  min: new Date('2000-01-01T00:00:00Z'),
  max: new Date('2080-01-01T00:00:00Z'),
  noInvalidDate: true,
});

const chain = fc.record({
  caAt: instant,
  caDays: fc.integer({ min: 1, max: 20_000 }),
  // ms; the shortest CA ends 22:59:59 after the second in which it was made.
  leafDelay: fc.integer({ min: -7_200_000, max: 86_399_000 - 3_600_000 - 1000 }),
  leafDays: fc.integer({ min: 1, max: 9000 }),
  role: fc.constantFrom(...roles),
  hostname: name,
  isInbound: fc.boolean(),
  altNames: fc.array(name, { maxLength: 4 }),
  constrained: fc.boolean(),
  caKey: fc.integer({ min: 0, max: 2 }),
  leafKey: fc.integer({ min: 0, max: 2 }),
  subject: fc.record({
    country: fc.constantFrom('' as const, parseCountryCode('DE')),
    state: attribute,
    locality: attribute,
    organization: attribute,
    organizationalUnit: attribute,
  }),
  instants: fc.array(fc.double({ min: -0.5, max: 1.5, noNaN: true }), { minLength: 5, maxLength: 20 }),
});

type Chain = typeof chain extends fc.Arbitrary<infer Value> ? Value : never;

async function issue(given: Chain) {
  const [caKey, leafKey] = [keys[given.caKey], keys[given.leafKey]];
  if (caKey === undefined || leafKey === undefined) throw new Error('no key');
  const permittedDomains: readonly HostName[] = given.constrained ? [parseHostName('example.org')] : [];
  const commonName = 'a relay CA';
  const { subject, role, isInbound, hostname, altNames } = given;
  const caPem = await issueCa({
    commonName,
    subject,
    keyPair: caKey,
    at: given.caAt,
    validDays: given.caDays,
    permittedDomains,
  });
  const leaf = await issueLeaf({
    role,
    isInbound,
    hostname,
    altNames,
    subject,
    spki: encodeSpki(leafKey.publicKey),
    validDays: given.leafDays,
    ca: { certificatePem: caPem, privateKey: caKey.privateKey },
    at: new Date(given.caAt.getTime() + given.leafDelay),
  });
  return { ca: parseCertificate(caPem), leaf: parseCertificate(leaf.pem), commonName, permittedDomains };
}

test('our check agrees at every instant, and the contents come back', async () => {
  await fc.assert(
    fc.asyncProperty(chain, async (given) => {
      const { ca, leaf, commonName, permittedDomains } = await issue(given);
      expect(leaf.notBefore >= ca.notBefore && leaf.notAfter <= ca.notAfter && leaf.notBefore < leaf.notAfter).toBe(
        true,
      );
      const length = leaf.notAfter.getTime() - leaf.notBefore.getTime();
      const drawn = given.instants.map((share) => Math.round(leaf.notBefore.getTime() + share * length));
      const ends = [leaf.notBefore, leaf.notAfter].flatMap((end) => [-1, 0, 1].map((more) => end.getTime() + more));
      for (const time of [...drawn, ...ends]) {
        const at = new Date(time);
        const isInside = at >= leaf.notBefore && at < leaf.notAfter;
        const findings = [
          ...checkLeaf(leaf, ca, given, at),
          ...checkCa(ca, { commonName, permittedDomains }, at).filter(() => isInside),
        ];
        expect(findings.map(({ code }) => code)).toEqual(
          isInside ? [] : [at < leaf.notBefore ? 'not-yet-valid' : 'expired'],
        );
      }
      expect(leaf.dnsNames).toEqual([...new Set([given.hostname, ...given.altNames])]);
      expect(leaf.commonName).toBe(given.hostname.length > 64 ? undefined : given.hostname);
      expect(fingerprintOf(leaf, 'certificate', 'sha256')).toBe(leaf.x509.fingerprint256);
    }),
    { numRuns: process.env['RELAYCERTS_DEEP'] === '1' ? 2000 : 60 },
  );
});

test('openssl agrees at a few instants', async () => {
  await fc.assert(
    fc.asyncProperty(chain, async (given) => {
      const { ca, leaf } = await issue(given);
      const caFile = scratch.write('ca.pem', ca.pem);
      const leafFile = scratch.write('leaf.pem', leaf.pem);
      const purpose = given.role === 'smtpd-server' ? 'sslserver' : 'sslclient';
      const first = leaf.notBefore.getTime() / 1000;
      const last = leaf.notAfter.getTime() / 1000;
      for (const seconds of [first - 1, first, Math.floor((first + last) / 2), last - 1, last]) {
        const run = runTool('openssl', [
          'verify',
          '-x509_strict',
          '-no-CAfile',
          '-no-CApath',
          '-no-CAstore',
          '-purpose',
          purpose,
          '-attime',
          seconds.toString(),
          '-verify_hostname',
          given.hostname,
          '-CAfile',
          caFile,
          leafFile,
        ]);
        expect(run.status === 0, `${seconds}: ${run.stderr}`).toBe(seconds >= first && seconds < last);
      }
    }),
    { numRuns: process.env['RELAYCERTS_DEEP'] === '1' ? 200 : 12 },
  );
});
