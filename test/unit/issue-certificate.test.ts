// Reading certificates: the fields, the bounds, and what is refused.

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { parseCertificate, parseCertificates } from '../../src/certificate/certificate.js';
import {
  DerError,
  readElement,
  readElements,
  readOid,
  writeElement,
  writeInteger,
  writeOid,
} from '../../src/certificate/der.js';
import { encodePrivateKey } from '../../src/issue/keys.js';
import { writePem } from '../../src/certificate/pem.js';
import { encodeSpki, keyTypeOfSpki, samePublicKey } from '../../src/certificate/public-key.js';
import { makeCa, makeLeaf } from '../support/chain.js';

test('the fields of our own certificates', async () => {
  const at = new Date('2026-03-01T12:34:56.789Z');
  const ca = await makeCa({ at, validDays: 3650, permittedDomains: ['example.org', 'xn--bcher-kva.example'] });
  expect(ca.info).toMatchObject({
    pem: ca.pem,
    commonName: 'example.org relay CA',
    dnsNames: [],
    otherNameCount: 0,
    notBefore: new Date('2026-03-01T11:34:56Z'),
    notAfter: new Date('2036-02-27T11:34:55Z'),
    isCa: true,
    keyUsage: ['keyCertSign', 'cRLSign'],
    extendedKeyUsage: [],
    permittedDomains: ['example.org', 'xn--bcher-kva.example'],
  });
  expect(ca.info.subject.equals(ca.info.issuer)).toBe(true);
  const leaf = await makeLeaf(ca, { at, role: 'smtpd-server', altNames: ['mx.example.org', 'mailhost.example.org'] });
  expect(leaf.info).toMatchObject({
    commonName: 'mailhost.example.org',
    dnsNames: ['mailhost.example.org', 'mx.example.org'],
    notBefore: new Date('2026-03-01T11:34:56Z'),
    notAfter: new Date('2027-04-03T11:34:55Z'),
    isCa: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    permittedDomains: undefined,
    authorityKeyIdentifier: ca.info.subjectKeyIdentifier,
  });
  expect(leaf.info.issuer.equals(ca.info.subject)).toBe(true);
  expect(samePublicKey(leaf.info.publicKey, leaf.keyPair.privateKey)).toBe(true);
  expect(keyTypeOfSpki(encodeSpki(leaf.info.publicKey))).toBe('ecdsa-p256');
});

test('serials are 20 octets, positive, and never the same', async () => {
  const ca = await makeCa();
  const { keyPair } = await makeLeaf(ca);
  const serials = new Set<string>();
  for (let count = 0; count < 50; count += 1) serials.add((await makeLeaf(ca, { keyPair })).info.serial);
  expect(serials.size).toBe(50);
  for (const serial of serials) {
    expect(serial).toMatch(/^[0-7][0-9a-f]{39}$/u);
    expect(serial).not.toMatch(/^00/u);
  }
});

test('a chain file gives all its certificates, with any text between them', async () => {
  const ca = await makeCa();
  const leaf = await makeLeaf(ca);
  const chain = `${encodePrivateKey(leaf.keyPair.privateKey).revealText()}subject=x\n${leaf.pem}\n${ca.pem.replaceAll('\n', '\r\n')}`;
  const found = parseCertificates(Buffer.from(chain), { from: 'chain.pem' });
  expect(found.map(({ serial }) => serial)).toEqual([leaf.info.serial, ca.info.serial]);
  expect(parseCertificate(chain).serial).toBe(leaf.info.serial);
  expect(parseCertificate(leaf.info.der).pem).toBe(leaf.pem);
});

test('anything but a certificate is refused, with the file named', async () => {
  const ca = await makeCa();
  const { der } = ca.info;
  const bent = (from: string, to: string): Buffer => {
    const hex = der.toString('hex');
    expect(hex).toContain(from);
    return Buffer.from(hex.replace(from, to), 'hex');
  };
  for (const [input, words] of [
    ['', 'holds no certificate'],
    ['garbage', 'holds no certificate'],
    [encodePrivateKey(ca.keyPair.privateKey).revealText(), 'holds no certificate'],
    [writePem('CERTIFICATE', randomBytes(300)), 'is damaged'],
    [writePem('CERTIFICATE', der.subarray(0, -1)), 'is damaged'],
    [Buffer.concat([der, Buffer.of(0)]), 'is damaged'],
    [der.subarray(0, 100), 'is damaged'],
    [ca.pem.replace('-----END', '----END'), 'does not end'],
    [ca.pem.replace('MII', 'M\u0001I'), 'is not base64'],
    // The month of notBefore changed to 13; and one extension's OID changed to another's, so that it occurs twice.
    [
      bent(Buffer.from(timeText(ca.info.notBefore)).toString('hex'), Buffer.from('261301000000Z').toString('hex')),
      'is damaged',
    ],
    [bent('0603551d0e', '0603551d23'), 'is damaged'],
    [Buffer.alloc(2 ** 20 + 1, 0x30), 'more than 1048576'],
  ] as const) {
    const parse = (): unknown => parseCertificates(input, { from: 'some.pem' });
    expect(parse).toThrow(RelaycertsError);
    expect(parse).toThrow(words);
    expect(parse).toThrow('some.pem');
  }
});

function timeText(date: Date): string {
  return date
    .toISOString()
    .replaceAll(/[-:T]|\.\d+/gu, '')
    .slice(2);
}

test('any cut or changed octet is read or refused, and never breaks out', async () => {
  const { der } = (await makeCa({ permittedDomains: ['example.org'] })).info;
  for (let at = 0; at < der.length; at += 1) {
    for (const bytes of [der.subarray(0, at), flip(der, at, 0xff), flip(der, at, 0x01), flip(der, at, 0x80)]) {
      try {
        expect(parseCertificate(bytes).serial).toMatch(/^(?:[0-9a-f]{2})+$/u);
      } catch (error) {
        expect(error).toMatchObject({ code: 'certificate' });
      }
    }
  }
});

function flip(bytes: Buffer, at: number, mask: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}

test.each([
  '1.2.840.113549.1.5.13',
  '2.16.840.1.101.3.4.1.42',
  '2.5.29.17',
  '1.3.6.1.4.1.11591.4.11',
  '2.999.3',
  '0.9.2342',
])('the object identifier %s survives DER', (oid) => {
  expect(readOid(readElement(writeOid(oid), 0x06))).toBe(oid);
});

test('DER lengths and integers are the shortest', () => {
  expect(writeElement(0x04, Buffer.alloc(127)).subarray(0, 2).toString('hex')).toBe('047f');
  expect(writeElement(0x04, Buffer.alloc(128)).subarray(0, 3).toString('hex')).toBe('048180');
  expect(writeElement(0x04, Buffer.alloc(65536)).subarray(0, 5).toString('hex')).toBe('0483010000');
  expect([0, 127, 128, 256, 16384].map((value) => writeInteger(value).toString('hex'))).toEqual([
    '020100',
    '02017f',
    '02020080',
    '02020100',
    '02024000',
  ]);
});

test.each(['30', '3080', '308101', '1f8101', '30850100000000', '0203ff', '0601', '06'])('%s is not DER', (hex) => {
  expect(() => readElements(Buffer.from(hex, 'hex')).map((element) => readOid(element))).toThrow(DerError);
});
