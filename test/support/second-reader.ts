// Every certificate that a test makes, read and verified by @peculiar/x509. The program itself reads the first of each
// kind with the smaller half of it.

import assert from 'node:assert/strict';
// oxlint-disable-next-line import/no-unassigned-import -- must run before @peculiar/x509 does
import './reflect.js';
import { X509Certificate } from '@peculiar/x509';
import type { CertificateInfo } from '../../src/certificate/certificate.js';

/** Fails if @peculiar/x509 reads something else in a certificate, or finds no signature of the CA on it. */
export async function readAgain(info: CertificateInfo, ca: CertificateInfo): Promise<void> {
  const read = new X509Certificate(info.pem);
  const issuer = new X509Certificate(ca.pem);
  assert.equal(read.serialNumber, info.serial);
  assert.equal(read.notBefore.getTime(), info.notBefore.getTime());
  assert.equal(read.notAfter.getTime(), info.notAfter.getTime());
  assert.deepEqual(Buffer.from(read.publicKey.rawData), info.spki);
  assert.equal(read.issuer, issuer.subject);
  assert.equal(await read.verify({ publicKey: issuer.publicKey, signatureOnly: true }), true);
}
