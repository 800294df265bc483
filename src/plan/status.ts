// How every certificate stands: a pure judgement of what was read, the most urgent first.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { samePublicKey } from '../certificate/public-key.js';
import { checkCa, checkLeaf } from '../certificate/verify.js';
import type { Role, Settings } from '../settings/settings.js';
import { caStageOf, isOfFormerCa, signerOf } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import type { HostInventory, Inventory } from './inventory.js';

/** From the most urgent to the least. */
export const states = ['expired', 'not-yet-valid', 'mismatched', 'missing', 'due', 'pending', 'revoked', 'ok'] as const;
export type State = (typeof states)[number];

export interface CertificateStatus {
  /** The FQDN; the CA's commonName for the CA. */
  readonly name: string;
  readonly role: 'ca' | Role;
  readonly state: State;
  /** Whole days until it expires, negative afterwards; undefined where there is no certificate. */
  readonly daysLeft: number | undefined;
  readonly expires: Date | undefined;
  readonly serial: string | undefined;
  /** SHA-256, of what the settings pin. */
  readonly pin: string | undefined;
  /** Why it is not ok, in words. */
  readonly why: string | undefined;
}

/** The status of the CA and of every host; `warnDays` before it expires a certificate is due. */
export function statusOf(
  settings: Settings,
  inventory: Inventory,
  at: Date,
  { warnDays }: { readonly warnDays: number },
): readonly CertificateStatus[] {
  const rows = [
    caStatus(settings, inventory, at, warnDays),
    ...inventory.hosts.map((host) => hostStatus(settings, inventory, host, at, warnDays)),
  ];
  return rows.toSorted(
    (a, b) =>
      states.indexOf(a.state) - states.indexOf(b.state) ||
      (a.daysLeft ?? 0) - (b.daysLeft ?? 0) ||
      a.name.localeCompare(b.name),
  );
}

function caStatus(settings: Settings, inventory: Inventory, at: Date, warnDays: number): CertificateStatus {
  const found = inventory.caCertificate;
  const blank = { name: found?.info.commonName ?? settings.ca.commonName, role: 'ca' as const };
  if (found === undefined) return { ...blank, ...absent, state: 'missing', why: 'there is no CA yet' };
  const findings = checkCa(found.info, settings.ca, at);
  const wrong = findings.find(({ code }) => code !== 'expired' && code !== 'not-yet-valid');
  const isExpired = findings.some(({ code }) => code === 'expired');
  const facts = factsOf(found.info, at, settings);
  if (isExpired) return { ...blank, ...facts, state: 'expired', why: 'no host takes its certificates any more' };
  if (wrong !== undefined) {
    return { ...blank, ...facts, state: 'mismatched', why: describeFinding(wrong, 'ca', found.path).message };
  }
  if (inventory.caKey === undefined) return { ...blank, ...facts, state: 'mismatched', why: 'its key is missing' };
  if (at < found.info.notBefore) {
    return { ...blank, ...facts, state: 'not-yet-valid', why: whyNotYet(found.info, 'relaycerts renew --ca') };
  }
  const state = dueOrOk(facts.daysLeft, warnDays);
  const next = caRekeyNext(inventory);
  if (next === undefined) return { ...blank, ...facts, ...state };
  // What is due and on its way to be replaced needs nothing but the next stage.
  return { ...blank, ...facts, state: 'pending', why: next };
}

/** What goes on with a rekey of the CA; undefined where none is under way. */
function caRekeyNext(inventory: Inventory): string | undefined {
  const again = 'relaycerts renew --ca --rekey';
  if (inventory.isCaCut) return 'its rekey was cut off: relaycerts make';
  switch (caStageOf(inventory)) {
    case 0:
      return undefined;
    case 1:
      return `a new CA waits beside it; when every host has the CA file with both: ${again}`;
    case 2:
      return inventory.hosts.some((found) => isOfFormerCa(found, inventory))
        ? 'some certificates are still of the CA before it: relaycerts make'
        : `the CA before it is still trusted; when every host has its new certificate: ${again}`;
  }
}

function hostStatus(
  settings: Settings,
  inventory: Inventory,
  found: HostInventory,
  at: Date,
  warnDays: number,
): CertificateStatus {
  const { host, certificate, key, request } = found;
  const blank = { name: host.hostname, role: host.role };
  if (found.isRevoked) return { ...blank, ...absent, state: 'revoked', why: 'make does not make it again by itself' };
  if (certificate === undefined) return { ...blank, ...absent, state: 'missing', why: 'run relaycerts make' };
  const facts = factsOf(certificate.info, at, settings);
  const expected = {
    role: host.role,
    hostname: host.hostname,
    altNames: host.role === 'smtpd-server' ? host.altNames : [],
  };
  const ca = signerOf(certificate.info, inventory)?.info;
  const findings = ca === undefined ? [] : checkLeaf(certificate.info, ca, expected, at);
  if (findings.some(({ code }) => code === 'expired')) {
    return { ...blank, ...facts, state: 'expired', why: 'its mail waits in the queue' };
  }
  const wrong = findings.find(({ code }) => code !== 'not-yet-valid');
  if (wrong !== undefined) {
    return {
      ...blank,
      ...facts,
      state: 'mismatched',
      why: describeFinding(wrong, host.hostname, certificate.path).message,
    };
  }
  if (key !== undefined && !samePublicKey(key.privateKey, certificate.info.publicKey)) {
    return { ...blank, ...facts, state: 'mismatched', why: 'its key is another' };
  }
  if (request !== undefined && !request.info.spki.equals(certificate.info.spki)) {
    return { ...blank, ...facts, state: 'mismatched', why: 'it is not for the key of its request' };
  }
  if (key === undefined && request === undefined) {
    return { ...blank, ...facts, state: 'mismatched', why: 'its key is missing' };
  }
  if (at < certificate.info.notBefore) {
    const mend = `relaycerts renew ${host.hostname} --force`;
    return { ...blank, ...facts, state: 'not-yet-valid', why: whyNotYet(certificate.info, mend) };
  }
  const state = dueOrOk(facts.daysLeft, warnDays);
  if (isOfFormerCa(found, inventory)) {
    return { ...blank, ...facts, state: 'pending', why: 'its certificate is of the CA before: relaycerts make' };
  }
  if (found.previous !== undefined && state.state === 'ok') {
    return {
      ...blank,
      ...facts,
      state: 'pending',
      why: `its pin before the new key is still listed: relaycerts retire ${host.hostname}`,
    };
  }
  return { ...blank, ...facts, ...state };
}

function whyNotYet({ notBefore }: CertificateInfo, mend: string): string {
  return `not valid before ${notBefore.toISOString()}; where the clock was ahead when it was made: ${mend}`;
}

const absent = { daysLeft: undefined, expires: undefined, serial: undefined, pin: undefined };

function factsOf(
  info: CertificateInfo,
  at: Date,
  { postfix }: Settings,
): Pick<CertificateStatus, 'expires' | 'serial' | 'pin'> & { readonly daysLeft: number } {
  return {
    daysLeft: Math.floor((info.notAfter.getTime() - at.getTime()) / 86_400_000),
    expires: info.notAfter,
    serial: info.serial,
    pin: fingerprintOf(info, postfix.pin, 'sha256'),
  };
}

function dueOrOk(daysLeft: number, warnDays: number): Pick<CertificateStatus, 'state' | 'why'> {
  return daysLeft < warnDays ? { state: 'due', why: `expires in ${daysLeft} days` } : { state: 'ok', why: undefined };
}
