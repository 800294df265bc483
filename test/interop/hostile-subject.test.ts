// Every character that a subject's attributes take, through certificates: openssl and GnuTLS read back the same text,
// as UTF8String within RFC 5280's upper bounds, and nothing becomes a second attribute.

import { spawnSync } from 'node:child_process';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/certificate/certificate.js';
import { keyTypes } from '../../src/settings/settings.js';
import { isTaken, textKeys } from '../support/alphabets.js';
import { smallest } from '../support/bad-settings.js';
import { blocksOf } from '../support/blocks.js';
import { makeCa, makeLeaf } from '../support/chain.js';
import { codePoints } from '../support/code-points.js';
import { makeScratch, openssl, runTool, type Scratch } from '../support/openssl.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

/** RFC 5280 appendix A.1, in characters. */
const upperBounds = { state: 128, locality: 128, organization: 64, organizationalUnit: 64, commonName: 64 } as const;
type Attribute = keyof typeof upperBounds;
const keys = Object.keys(upperBounds) as readonly Attribute[];
const opensslNames = { state: 'ST', locality: 'L', organization: 'O', organizationalUnit: 'OU', commonName: 'CN' };
const country = 'NL';

/** What the parser accepts in this attribute. */
function alphabet(key: Attribute): readonly string[] {
  const place = textKeys.find((each) => each.key.endsWith(`.${key}`));
  return codePoints.filter((character) => isTaken(place?.settings(`x${character}x`)));
}

/** Texts of at most `bound` characters that together hold the whole alphabet, a space never at an end. */
function textsOf(key: Attribute): readonly string[] {
  const characters = alphabet(key);
  const step = upperBounds[key] - 2;
  const texts: string[] = [];
  for (let at = 0; at < characters.length; at += step) texts.push(`[${characters.slice(at, at + step).join('')}]`);
  return texts;
}

const texts: Readonly<Record<Attribute, readonly string[]>> = {
  state: textsOf('state'),
  locality: textsOf('locality'),
  organization: textsOf('organization'),
  organizationalUnit: textsOf('organizationalUnit'),
  commonName: textsOf('commonName'),
};
const rounds = Math.max(...Object.values(texts).map(({ length }) => length));
/** What would be another attribute, a comment or a line to a program that takes a DN as text. */
const baits = [
  '/CN=root/O=x',
  'a, CN=root',
  'a+CN=root',
  '#0c0141',
  'a\\, CN=\\0a',
  '"a" <b>; c=d',
  '$(canary)`canary`',
  '-subj /CN=x',
  '%s%n ${ENV::HOME} @section',
];

interface Names {
  readonly state: string;
  readonly locality: string;
  readonly organization: string;
  readonly organizationalUnit: string;
  readonly commonName: string;
}

function namesOf(round: number): Names {
  const of = (key: Attribute): string => texts[key][round % texts[key].length] ?? '';
  return {
    state: of('state'),
    locality: of('locality'),
    organization: of('organization'),
    organizationalUnit: of('organizationalUnit'),
    commonName: of('commonName'),
  };
}

function baited(at: number): Names {
  const of = (index: number): string => baits[(at + index) % baits.length] ?? '';
  return { state: of(0), locality: of(1), organization: of(2), organizationalUnit: of(3), commonName: of(4) };
}

let scratch: Scratch;
beforeAll(() => {
  requireTools('openssl', 'certtool');
  scratch = makeScratch();
});
afterAll(() => {
  scratch.remove();
});

/** openssl's own reading: an attribute a line, nothing escaped. */
function subjectLines(pem: string, which: '-subject' | '-issuer' = '-subject'): readonly string[] {
  return openssl(['x509', '-noout', which, '-nameopt', 'utf8,sep_multiline,sname,space_eq'], pem)
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trimStart());
}

function expectRead(pem: string, names: Names): void {
  const wanted = [`C = ${country}`, ...keys.map((key) => `${opensslNames[key]} = ${names[key]}`)];
  expect(subjectLines(pem)).toEqual(wanted);
  // Every attribute is a UTF8String but for the country, and no longer than it may be.
  const der = new X509Certificate(pem).raw;
  const parsed = openssl(['asn1parse', '-inform', 'DER', '-dump'], der);
  const lengths = [...parsed.matchAll(/l= *(\d+) prim: (UTF8STRING|PRINTABLESTRING)/gu)].map(([, length, type]) => [
    Number(length),
    type,
  ]);
  const expected = [[2, 'PRINTABLESTRING'], ...keys.map((key) => [Buffer.byteLength(names[key]), 'UTF8STRING'])];
  for (const one of expected) expect(lengths).toContainEqual(one);
  expect(new Set(lengths.map(([, type]) => type)).size).toBe(2);
  for (const key of keys) expect(Array.from(names[key]).length).toBeLessThanOrEqual(upperBounds[key]);
  // GnuTLS takes it, and says the same: RFC 4514, with its escapes taken away.
  const { status, stdout, stderr } = runTool('certtool', ['-i'], pem);
  expect([stderr, status]).toEqual(['', 0]);
  const subject = /^\tSubject: (.*)$/mu.exec(stdout.replaceAll(/[\u2028\u2029]/gu, ''))?.[1] ?? '';
  const plain = subject.replaceAll(/\\([0-9A-Fa-f]{2}|[^\n])/gu, '$1');
  for (const key of keys) expect(plain).toContain(`=${names[key]}`);
}

describe('a subject of', () => {
  it('openssl and GnuTLS read all accepted text as it was written', async () => {
    expect(rounds).toBeGreaterThan(3);
    for (const key of keys) expect(texts[key].join('').length).toBeGreaterThan(300);
    for (let round = 0; round < rounds; round++) {
      const { commonName, ...subject } = namesOf(round);
      // The parser accepts it too.
      expect(isTaken({ ...smallest, subject, ca: { commonName } })).toBe(true);
      const ca = await makeCa({ commonName, subject: { country: country as never, ...subject } });
      expectRead(ca.pem, namesOf(round));
      const leaf = await makeLeaf(ca, { subject: { country: country as never, ...subject } });
      expect(subjectLines(leaf.pem).slice(0, -1)).toEqual(subjectLines(ca.pem).slice(0, -1));
      expect(subjectLines(leaf.pem, '-issuer')).toEqual(subjectLines(ca.pem));
      const [caFile, file] = [scratch.write('ca.pem', ca.pem), scratch.write('leaf.pem', leaf.pem)];
      expect(openssl(['verify', '-x509_strict', '-CAfile', caFile, '-purpose', 'sslclient', file])).toContain(': OK');
      const chain = scratch.write('chain.pem', leaf.pem + ca.pem);
      const said = runTool('certtool', ['--verify', '--load-ca-certificate', caFile, '--infile', chain]);
      expect([said.status, said.stdout]).toEqual([0, expect.stringContaining('The certificate is trusted.')]);
    }
  });

  it('what looks like attributes, comments and expansions is text', async () => {
    for (const at of baits.keys()) {
      const { commonName, ...subject } = baited(at);
      expect(isTaken({ ...smallest, subject, ca: { commonName } })).toBe(true);
      expectRead((await makeCa({ commonName, subject: { country: country as never, ...subject } })).pem, baited(at));
    }
  });

  it.each(keys)('%s at its upper bound is accepted, one character more is not', (key) => {
    const place = textKeys.find((each) => each.key.endsWith(`.${key}`));
    for (const character of ['a', '\u00fc', '\u4f8b', '\u{20000}']) {
      expect(isTaken(place?.settings(character.repeat(upperBounds[key])))).toBe(true);
      expect(isTaken(place?.settings(character.repeat(upperBounds[key] + 1)))).toBe(false);
    }
  });
});

describe('by make', () => {
  let project: Project;
  beforeAll(async () => {
    const { commonName, ...subject } = namesOf(0);
    project = makeProject(smallSettings({ subject: { country, ...subject }, ca: { commonName } }));
    const made = await project.run(['make', '--quiet']);
    expect([made.stderr, made.status]).toEqual(['', 0]);
  });
  afterAll(() => {
    project.remove();
  });

  it('every certificate has it, and a second make finds it right', async () => {
    expectRead(project.read('certs/ca/example.org-ca.crt.pem'), namesOf(0));
    for (const [role, name] of [
      ['smtp-client', 'mailhost'],
      ['smtpd-server', 'relayhost'],
    ]) {
      const names = { ...namesOf(0), commonName: `${name ?? ''}.example.org` };
      expectRead(project.read(`certs/${role ?? ''}/${name ?? ''}.example.org.crt.pem`), names);
    }
    expect((await project.run(['make'])).stderr).toContain('nothing to make');
    expect((await project.run(['status'])).stderr).toBe('');
  });

  it.each(keyTypes)('the printed openssl lines make a right request, %s', async (keyType) => {
    const directory = '/srv/relaycerts';
    project.settings(smallSettings({ certificates: { keyType }, postfix: { directory } }));
    const hostname = 'mailhost.example.org';
    const [block] = blocksOf((await project.run(['show', hostname, '--section', 'request'])).stdout);
    // The host's /srv goes away with the namespace; the request comes out of it as it comes from a host.
    const there = `mount -t tmpfs none /srv && { ${block?.text ?? 'exit 9'}\n} && cat ${directory}/${hostname}.csr.pem`;
    const pasted = spawnSync('unshare', ['--mount', 'sh', '-c', there]);
    expect(pasted.status, pasted.stderr.toString()).toBe(0);
    const request = pasted.stdout.toString();
    expect(openssl(['req', '-noout', '-subject', '-nameopt', 'utf8,sname'], request)).toBe(`subject=CN=${hostname}\n`);
    expect(openssl(['req', '-verify', '-noout', '-pubkey'], request)).toContain('BEGIN PUBLIC KEY');
    const key = createPublicKey(openssl(['req', '-noout', '-pubkey'], request));
    const kind = keyType === 'ed25519' ? 'ed25519' : keyType.startsWith('rsa') ? 'rsa' : 'ec';
    expect(key.asymmetricKeyType).toBe(kind);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? key.asymmetricKeyDetails?.namedCurve ?? 'none';
    const curve = keyType.endsWith('384') ? 'secp384r1' : 'prime256v1';
    expect(String(bits)).toBe({ ec: curve, rsa: keyType.slice(4), ed25519: 'none' }[kind]);
  });

  it('only the public key of a request with strange names is used', async () => {
    const name = '/CN=$(canary)/O=a\\/b`x`/emailAddress=x@y';
    const key = scratch.path('key.pem');
    openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);
    const names = 'subjectAltName=DNS:evil.example,DNS:a\\;b,email:x@y,URI:file:///etc';
    project.write('strange.csr.pem', openssl(['req', '-new', '-key', key, '-subj', name, '-addext', names]));
    const { commonName, ...subject } = namesOf(0);
    const smtpClients = [{ hostname: 'mailhost' }, { hostname: 'own' }];
    project.settings(smallSettings({ smtpClients, subject: { country, ...subject }, ca: { commonName } }));
    const signed = await project.run(['sign', 'strange.csr.pem', '--host', 'own']);
    expect(signed.status, signed.stderr).toBe(0);
    const pem = project.read('certs/smtp-client/own.example.org.crt.pem');
    expectRead(pem, { ...namesOf(0), commonName: 'own.example.org' });
    expect(parseCertificate(pem).dnsNames).toEqual(['own.example.org']);
    expect(signed.stderr).toMatch(/the request asks for [^\n]*: ignored/u);
    for (const line of signed.stderr.split('\n').slice(0, -1)) expect(line).toMatch(/^relaycerts: /u);
  });
});
