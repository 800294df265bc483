// How every certificate stands: a pure judgement of what was read, the most urgent first. It prints nothing: the forms of
// `status` are in render/status.ts.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { samePublicKey } from '../certificate/public-key.js';
import { checkCa, checkLeaf } from '../certificate/verify.js';
import type { Role, Settings } from '../settings/settings.js';
import { caProblems } from './ca-problems.js';
import { caStageOf, isOfFormerCa, renewCaArgs, signerOf } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import type { HostInventory, Inventory, IssuedCertificate } from './inventory.js';
import { daysLeft } from './leaf-days.js';
import { endsWithCa, isBlocked } from './renew.js';
import { newThing } from './retirement.js';
import { isCutting } from './warnings.js';

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
  /** Why it is not ok, in words, and the command that mends it; of what is ok, what should be done in time. */
  readonly why: string | undefined;
}

interface Issued {
  readonly issued: readonly IssuedCertificate[];
}

/** The status of the CA and of every host; `warnDays` before it expires a certificate is due. */
export function statusOf(
  settings: Settings,
  inventory: Inventory,
  issued: readonly IssuedCertificate[],
  { at, warnDays }: { readonly at: Date; readonly warnDays: number },
): readonly CertificateStatus[] {
  const rows = [
    caStatus(settings, inventory, at, warnDays),
    ...inventory.hosts.map((host) => hostStatus(settings, { ...inventory, issued }, host, at, warnDays)),
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
  const word = settings.program;
  if (found === undefined) return { ...blank, ...absent, state: 'missing', why: whyNoCa(settings, inventory, at) };
  const findings = checkCa(found.info, settings.ca, at);
  const wrong = findings.find(({ code }) => code !== 'expired' && code !== 'not-yet-valid');
  const renewCa = `${word} ${renewCaArgs(inventory).join(' ')}, then install every host`;
  const isExpired = findings.some(({ code }) => code === 'expired');
  const facts = factsOf(found.info, at, settings);
  const next = caRekeyNext(settings, inventory);
  if (isExpired) {
    const why = 'no host takes its certificates any more';
    return { ...blank, ...facts, state: 'expired', why: next === undefined ? `${why}: ${renewCa}` : `${why}; ${next}` };
  }
  if (wrong !== undefined) {
    return { ...blank, ...facts, state: 'mismatched', why: describeFinding(wrong, 'ca', found.path).message };
  }
  if (inventory.caKey === undefined) return { ...blank, ...facts, state: 'mismatched', why: 'its key is missing' };
  if (at < found.info.notBefore) {
    return {
      ...blank,
      ...facts,
      state: 'not-yet-valid',
      why: whyNotYet(found.info, `${word} ${renewCaArgs(inventory).join(' ')}`),
    };
  }
  // What is due and on its way to be replaced needs nothing but the next stage.
  if (next !== undefined) return { ...blank, ...facts, state: 'pending', why: next };
  const ends = `expires in ${facts.daysLeft} days`;
  if (facts.daysLeft < warnDays) return { ...blank, ...facts, state: 'due', why: `${ends}: ${renewCa}` };
  const why = isCutting(settings, facts.daysLeft) ? `${ends}, and with it all that it signs: ${renewCa}` : undefined;
  return { ...blank, ...facts, state: 'ok', why };
}

/** `make` makes a CA where there never was one, and a certificate for a key that has signed nothing; it refuses the rest. */
function whyNoCa(settings: Settings, inventory: Inventory, at: Date): string {
  const make = `${settings.program} make`;
  if (caProblems(settings, inventory, at).length > 0) {
    return `its certificate is missing: ${make} says how to bring it back`;
  }
  return inventory.caKey === undefined ? `there is no CA yet: ${make}` : `its certificate is missing: ${make}`;
}

/** What goes on with a rekey of the CA; undefined where none is under way. */
function caRekeyNext({ program }: Settings, inventory: Inventory): string | undefined {
  const again = `${program} renew --ca --rekey`;
  switch (caStageOf(inventory)) {
    case 0:
      return undefined;
    case 1:
      return `a new CA waits beside it; when every host has the CA file with both: ${again}`;
    case 2:
      return inventory.hosts.some((found) => isOfFormerCa(found, inventory))
        ? `some certificates are still of the CA before it: ${program} make`
        : `the CA before it is still trusted; when every host has its new certificate: ${again}`;
  }
}

function hostStatus(
  settings: Settings,
  inventory: Inventory & Issued,
  found: HostInventory,
  at: Date,
  warnDays: number,
): CertificateStatus {
  const { host, certificate, key, request } = found;
  const word = settings.program;
  const blank = { name: host.hostname, role: host.role };
  if (found.isRevoked) {
    const gone = revokedFacts(settings, inventory, found);
    return { ...blank, ...gone, state: 'revoked', why: 'make does not make it again by itself' };
  }
  if (certificate === undefined) return { ...blank, ...absent, state: 'missing', why: `run ${word} make` };
  const facts = factsOf(certificate.info, at, settings);
  const expected = {
    role: host.role,
    hostname: host.hostname,
    altNames: host.altNames,
  };
  const ca = signerOf(certificate.info, inventory)?.info;
  const findings = ca === undefined ? [] : checkLeaf(certificate.info, ca, expected, at);
  const mend = renewalOf(settings, inventory, found, at);
  if (findings.some(({ code }) => code === 'expired')) {
    return { ...blank, ...facts, state: 'expired', why: `mail waits in the queue: ${mend}` };
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
    return {
      ...blank,
      ...facts,
      state: 'not-yet-valid',
      why: whyNotYet(certificate.info, mendAhead(settings, inventory, found, at)),
    };
  }
  if (isOfFormerCa(found, inventory)) {
    return { ...blank, ...facts, state: 'pending', why: `its certificate is of the CA before: ${word} make` };
  }
  if (facts.daysLeft < warnDays) {
    return { ...blank, ...facts, state: 'due', why: `expires in ${facts.daysLeft} days: ${mend}` };
  }
  if (found.previous !== undefined) return { ...blank, ...facts, state: 'pending', why: retirementOf(settings, found) };
  return { ...blank, ...facts, state: 'ok', why: undefined };
}

/** Of the last certificate that was revoked; how many days it would have left does not matter any more. */
function revokedFacts(
  { postfix }: Settings,
  { issued }: Issued,
  { host: { role, hostname } }: HostInventory,
): Pick<CertificateStatus, 'daysLeft' | 'expires' | 'serial' | 'pin'> {
  const last = issued.findLast((one) => one.role === role && one.name === hostname && one.revokedAt !== undefined);
  if (last === undefined) return absent;
  const { notAfter, serial, certificateSha256, publicKeySha256 } = last;
  const pin = postfix.pin === 'certificate' ? certificateSha256 : publicKeySha256;
  return { daysLeft: undefined, expires: notAfter, serial, pin };
}

export type IssuedState = 'valid' | 'expired' | 'retired' | 'revoked';

/** What became of a certificate. One that was renewed for the same key stays valid. */
export function issuedState({ revokedAt, retiredAt, notAfter }: IssuedCertificate, at: Date): IssuedState {
  if (revokedAt !== undefined) return 'revoked';
  if (notAfter !== undefined && notAfter < at) return 'expired';
  return retiredAt === undefined ? 'valid' : 'retired';
}

/** What gives a host's certificate a later end, in words. */
function renewalOf(settings: Settings, inventory: Inventory, found: HostInventory, at: Date): string {
  const word = settings.program;
  const [ca, leaf] = [inventory.caCertificate?.info, found.certificate?.info];
  // What --warn calls due may not be due to `renew`.
  const isEarly = leaf !== undefined && daysLeft(leaf, at) >= settings.certificates.renewBeforeDays;
  const renew = `${word} renew ${found.host.hostname}${isEarly ? ' --force' : ''}`;
  const isCaFirst = ca !== undefined && leaf !== undefined && (endsWithCa(leaf, ca) || ca.notAfter < at);
  const first = isCaFirst ? [`${word} ${renewCaArgs(inventory).join(' ')}`] : [];
  // The second stage of the CA's rekey signs every certificate anew.
  const own = isCaFirst && caStageOf(inventory) > 0 ? [] : [renew];
  if (found.previous === undefined) return [...first, ...own].join(', then ');
  if (!isBlocked(found, settings)) return `${[...first, ...own].join(', then ')}; ${retirementOf(settings, found)}`;
  return [retirementOf(settings, found), ...first, ...own].join(', then ');
}

/** What ends the time with two pins, in words. */
function retirementOf(settings: Settings, { host: { hostname } }: HostInventory): string {
  const anew = newThing(settings);
  return `its pin before the new ${anew} is listed too; the relays are installed first, then ${hostname}; when mail flows with the new ${anew}: ${settings.program} retire ${hostname}`;
}

/** What replaces a host's certificate that begins later, in words: of a CA that begins later too, none can be made yet. */
function mendAhead(settings: Settings, inventory: Inventory, { host }: HostInventory, at: Date): string {
  const word = settings.program;
  const renew = `${word} renew ${host.hostname} --force`;
  const ca = inventory.caCertificate?.info;
  if (ca === undefined || at >= ca.notBefore) return renew;
  const first = `${word} ${renewCaArgs(inventory).join(' ')}`;
  // The second stage of the CA's rekey signs every certificate anew.
  return caStageOf(inventory) > 0 ? first : `${first}, then ${renew}`;
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
    daysLeft: daysLeft(info, at),
    expires: info.notAfter,
    serial: info.serial,
    pin: fingerprintOf(info, postfix.pin, 'sha256'),
  };
}
