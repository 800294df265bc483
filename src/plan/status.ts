// How every certificate stands: a pure judgement of what was read, the most urgent first. It prints nothing: the forms of
// `status` are in render/status.ts.

import { basename } from 'node:path';
import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { caFlaws } from '../certificate/ca-flaws.js';
import { isKeyOf } from '../certificate/private-key.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import { checkCa, checkLeaf, type CertificateFindingCode } from '../certificate/verify.js';
import { commandText, listSome, renderHint, type Problem } from '../errors.js';
import type { Role, Settings } from '../settings/settings.js';
import { caProblems, isNextCaUseless } from './ca-problems.js';
import { caStageOf, isOfFormerCa, renewCaArgs, signerOf } from './ca-rekey.js';
import { unappliedToCa } from './drift.js';
import { describeFinding, describeFlaw } from './findings.js';
import { isKnownRight, type HostInventory, type Inventory, type IssuedCertificate, type Opening } from './inventory.js';
import { daysLeft } from './leaf-days.js';
import { heldBack, isCuredByMake } from './reissue.js';
import { endsWithCa } from './renew.js';
import { isBlocked, newThing } from './retirement.js';
import { isCutting } from './warnings.js';

/** From the most urgent to the least. */
export const states = [
  'expired',
  'not-yet-valid',
  'mismatched',
  'missing',
  'unopenable',
  'due',
  'pending',
  'revoked',
  'ok',
] as const;
export type State = (typeof states)[number];

export interface CertificateStatus {
  /** The FQDN; the CA's commonName for the CA, and the file's name for the passphrase. */
  readonly name: string;
  readonly role: 'ca' | 'passphrase' | Role;
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

/** What a certificate is judged by. */
interface Basis {
  readonly settings: Settings;
  readonly inventory: Inventory;
  readonly issued: readonly IssuedCertificate[];
  readonly at: Date;
  readonly warnDays: number;
}

/** The status of the CA, its passphrase and every host; `warnDays` before it expires a certificate is due. */
export function statusOf(
  settings: Settings,
  inventory: Inventory,
  issued: readonly IssuedCertificate[],
  { at, warnDays, opening }: Pick<Basis, 'at' | 'warnDays'> & { readonly opening: Opening | undefined },
): readonly CertificateStatus[] {
  const basis: Basis = { settings, inventory, issued, at, warnDays };
  const rows = [
    caStatus(basis),
    ...passphraseStatus(settings, opening),
    ...inventory.hosts.map((found) => hostStatus(basis, found)),
  ];
  return rows.toSorted(
    (a, b) =>
      states.indexOf(a.state) - states.indexOf(b.state) ||
      (a.daysLeft ?? Infinity) - (b.daysLeft ?? Infinity) ||
      // Not in a locale's order, whose rules take longer to load than all else here.
      Number(a.name > b.name) - Number(a.name < b.name),
  );
}

function passphraseStatus(
  { passphrase, program }: Settings,
  opening: Opening | undefined,
): readonly CertificateStatus[] {
  if (opening === undefined) return [];
  const row = { name: basename(passphrase.file), role: 'passphrase', ...absent } as const;
  switch (opening.kind) {
    case 'opened':
      return [{ ...row, state: 'ok', why: undefined }];
    case 'unasked':
      return [{ ...row, state: 'ok', why: `opens with ${opening.asksFor}; to prove it: ${program} status --open` }];
    case 'missing':
    case 'unopenable': {
      const { message, hint } = opening.problem;
      const why = hint === undefined ? message : `${message}; ${renderHint(hint, program)}`;
      return [{ ...row, state: opening.kind, why }];
    }
  }
}

/** A state, and why it is that. */
type Verdict = readonly [state: State, why?: string | undefined];

function caStatus(basis: Basis): CertificateStatus {
  const info = basis.inventory.caCertificate?.info;
  const [state, why] = judgeCa(basis);
  const name = info?.commonName ?? basis.settings.ca.commonName;
  return { name, role: 'ca', ...factsOf(info, basis), state, why };
}

function judgeCa({ settings, inventory, at, warnDays }: Basis): Verdict {
  const found = inventory.caCertificate;
  if (found === undefined) return ['missing', whyNoCa(settings, inventory, at)];
  const findings = checkCa(found.info, settings.ca, at);
  const [wrong] = caProblems(settings, inventory, at, ['expired', 'not-yet-valid']);
  const renewCa = commandText(settings.program, renewCaArgs(inventory));
  const install = `${renewCa}, then install every host`;
  const next = caRekeyNext(settings, inventory, at);
  if (findings.some(({ code }) => code === 'expired')) {
    const why = 'no host takes its certificates any more';
    return ['expired', next === undefined ? `${why}: ${install}` : `${why}; ${next}`];
  }
  if (wrong !== undefined) return ['mismatched', toldOf(settings, wrong)];
  const rekey = commandText(settings.program, ['renew', '--ca', '--rekey']);
  if (next === undefined && keyTypeOfSpki(found.info.spki) === undefined) {
    return ['mismatched', `its key is of a kind that signs nothing here, and that many hosts refuse: ${rekey}`];
  }
  if (at < found.info.notBefore) return ['not-yet-valid', whyNotYet(found.info, renewCa)];
  // What is due and about to be replaced needs only the next stage.
  if (next !== undefined) return ['pending', next];
  const left = daysLeft(found.info, at);
  if (left < warnDays) return ['due', `expires in ${left} days: ${install}`];
  const [other] = unappliedToCa(settings.ca, found);
  if (other !== undefined) return ['pending', toldOf(settings, other)];
  if (isCutting(settings, left)) return ['ok', `expires in ${left} days, and with it all that it signs: ${install}`];
  const flaws = caFlaws(found.info).map(describeFlaw);
  return flaws.length === 0 ? ['ok'] : ['ok', `works, but has ${listSome(flaws)}: ${install}`];
}

/** A problem in one line, with what fixes it. */
function toldOf({ program }: Settings, { message, hint }: Problem): string {
  return hint === undefined ? message : `${message}: ${renderHint(hint, program)}`;
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
function caRekeyNext(settings: Settings, inventory: Inventory, at: Date): string | undefined {
  const { program } = settings;
  const again = `${program} renew --ca --rekey`;
  switch (caStageOf(inventory)) {
    case 0:
      return undefined;
    case 1:
      if (isNextCaUseless(settings, inventory, at)) {
        return `the new CA beside it cannot take over, or is not what the settings ask for; to make another: ${again}`;
      }
      return `a new CA waits beside it; when every host has the CA file with both: ${again}`;
    case 2:
      return inventory.hosts.some((found) => isOfFormerCa(found, inventory))
        ? `some certificates are still of the CA before it: ${program} make`
        : `the CA before it is still trusted; when every host has its new certificate: ${again}`;
  }
}

function hostStatus(basis: Basis, found: HostInventory): CertificateStatus {
  const { hostname, role } = found.host;
  const facts = found.isRevoked ? revokedFacts(basis, found) : factsOf(found.certificate?.info, basis);
  const [state, why] = judgeHost(basis, found);
  return { name: hostname, role, ...facts, state, why };
}

function judgeHost(basis: Basis, found: HostInventory): Verdict {
  const { settings, inventory, at, warnDays } = basis;
  if (isKnownRight(found, inventory)) return judgeDates(basis, found);
  const { host, certificate, key, request, previous } = found;
  const make = commandText(settings.program, ['make']);
  if (found.isRevoked) return ['revoked', 'make does not make it again by itself'];
  const hold = heldBack(settings, inventory, found);
  const cure = hold === undefined ? `run ${make}` : toldOf(settings, hold);
  if (certificate === undefined) return ['missing', cure];
  const { info, path } = certificate;
  const ca = signerOf(info, inventory)?.info;
  const findings = ca === undefined ? [] : checkLeaf(info, ca, host, at);
  const renewal = renewalOf(basis, found, info);
  if (findings.some(({ code }) => code === 'expired')) return ['expired', `mail waits in the queue: ${renewal}`];
  // The others are of a certificate that works as it is.
  const [wrong, other] = [
    findings.find((one) => !isCuredByMake(one, info, host) && !waiting.includes(one.code)),
    findings.find((one) => isCuredByMake(one, info, host) || one.code === 'outside-constraints'),
  ];
  if (wrong !== undefined) return ['mismatched', toldOf(settings, describeFinding(wrong, host.hostname, path))];
  if (key !== undefined && !isKeyOf(key, info)) return ['mismatched', 'its key is another'];
  if (request !== undefined && !request.info.spki.equals(info.spki)) {
    return ['mismatched', 'it is not for the key of its request'];
  }
  if (key === undefined && request === undefined) return ['mismatched', 'its key is missing'];
  if (at < info.notBefore) return ['not-yet-valid', whyNotYet(info, renewalAhead(basis, found))];
  if (isOfFormerCa(found, inventory)) return ['pending', `its certificate is of the CA before: ${make}`];
  const left = daysLeft(info, at);
  if (left < warnDays) return ['due', `expires in ${left} days: ${renewal}`];
  if (other !== undefined) return ['pending', `${describeFinding(other, host.hostname, path).message}: ${cure}`];
  return previous === undefined ? ['ok'] : ['pending', retirementOf(settings, found)];
}

/** Of a client whose files are known to be right, only the dates count. */
function judgeDates(basis: Basis, found: HostInventory): Verdict {
  const { at, warnDays } = basis;
  if (found.certificate === undefined) throw new TypeError('a client without a certificate is not right');
  const { info } = found.certificate;
  if (at >= info.notAfter) return ['expired', `mail waits in the queue: ${renewalOf(basis, found, info)}`];
  if (at < info.notBefore) return ['not-yet-valid', whyNotYet(info, renewalAhead(basis, found))];
  const left = daysLeft(info, at);
  return left < warnDays ? ['due', `expires in ${left} days: ${renewalOf(basis, found, info)}`] : ['ok'];
}

/** What is a matter of time, or of the CA. */
const waiting: readonly CertificateFindingCode[] = ['not-yet-valid', 'outside-constraints'];

type Facts = Pick<CertificateStatus, 'daysLeft' | 'expires' | 'serial' | 'pin'>;

const absent: Facts = { daysLeft: undefined, expires: undefined, serial: undefined, pin: undefined };

function factsOf(info: CertificateInfo | undefined, { settings: { postfix }, at }: Basis): Facts {
  if (info === undefined) return absent;
  const pin = fingerprintOf(info, postfix.pin, 'sha256');
  return { daysLeft: daysLeft(info, at), expires: info.notAfter, serial: info.serial, pin };
}

/** Of the last certificate that was revoked; how many days it would have left does not matter any more. */
function revokedFacts({ settings: { postfix }, issued }: Basis, { host }: HostInventory): Facts {
  const { role, hostname } = host;
  const last = issued.findLast((one) => one.role === role && one.name === hostname && one.revokedAt !== undefined);
  if (last === undefined) return absent;
  const pin = postfix.pin === 'certificate' ? last.certificateSha256 : last.publicKeySha256;
  return { daysLeft: undefined, expires: last.notAfter, serial: last.serial, pin };
}

export type IssuedState = 'valid' | 'expired' | 'retired' | 'revoked';

/** What became of a certificate. One that was renewed for the same key stays valid. */
export function issuedState({ revokedAt, retiredAt, notAfter }: IssuedCertificate, at: Date): IssuedState {
  if (revokedAt !== undefined) return 'revoked';
  if (notAfter !== undefined && notAfter < at) return 'expired';
  return retiredAt === undefined ? 'valid' : 'retired';
}

/** What gives a host's certificate a later end, in words. */
function renewalOf(basis: Basis, found: HostInventory, leaf: CertificateInfo): string {
  const { settings, inventory, at } = basis;
  const ca = inventory.caCertificate?.info;
  // What --warn calls due may not be due to `renew`.
  const isEarly = daysLeft(leaf, at) >= settings.certificates.renewBeforeDays;
  const isCaFirst = ca !== undefined && (endsWithCa(leaf, ca) || ca.notAfter < at);
  const renew = renewCommands(basis, found, isCaFirst, isEarly);
  if (found.previous === undefined) return renew;
  const retire = retirementOf(settings, found);
  return isBlocked(found, settings) ? `${retire}, then ${renew}` : `${renew}; ${retire}`;
}

/** What replaces a host's certificate that begins later, in words: of a CA that begins later too, none can be made yet. */
function renewalAhead(basis: Basis, found: HostInventory): string {
  const ca = basis.inventory.caCertificate?.info;
  return renewCommands(basis, found, ca !== undefined && basis.at < ca.notBefore, true);
}

function renewCommands(
  { settings: { program }, inventory }: Basis,
  { host }: HostInventory,
  isCaFirst: boolean,
  force: boolean,
): string {
  const renew = `${program} renew ${host.hostname}${force ? ' --force' : ''}`;
  if (!isCaFirst) return renew;
  const first = `${program} ${renewCaArgs(inventory).join(' ')}`;
  // The second stage of the CA's rekey signs every certificate anew.
  return caStageOf(inventory) > 0 ? first : `${first}, then ${renew}`;
}

/** What ends the time with two pins, in words. */
function retirementOf(settings: Settings, { host: { hostname } }: HostInventory): string {
  const anew = newThing(settings);
  return `its pin before the new ${anew} is listed too; the relays are installed first, then ${hostname}; when mail flows with the new ${anew}: ${settings.program} retire ${hostname}`;
}

function whyNotYet({ notBefore }: CertificateInfo, mend: string): string {
  return `not valid before ${notBefore.toISOString()}; where the clock was ahead when it was made: ${mend}`;
}
