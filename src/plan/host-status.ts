// The state of a host's certificate, the reason, and the cure: first what is here, then whether the host has it. Pure.
// The other rows of `status` are in status.ts and ca-status.ts.

import type { CertificateInfo } from '../certificate/certificate.js';
import { isKeyOf } from '../certificate/private-key.js';
import { checkLeaf, type CertificateFindingCode } from '../certificate/verify.js';
import { commandText, howMany, listSome, renderHint, type Command, type Problem } from '../errors.js';
import { agoText } from './ago.js';
import { caStageOf, isOfFormerCa, renewCaArgs, signerOf } from './ca-rekey.js';
import { whyNotYet } from './ca-status.js';
import { describeFinding } from './findings.js';
import type { Installation, InstalledPart } from './installed.js';
import { isKnownRight, type HostInventory } from './inventory.js';
import { daysLeft, endsWithCa } from './leaf-days.js';
import { heldBack, isCuredByMake } from './reissue.js';
import { isBlocked, newThing } from './retirement.js';
import type { HostSettings } from '../settings/settings.js';
import type { Basis, Verdict } from './states.js';

export function judgeHost(basis: Basis, found: HostInventory): Verdict {
  const { settings, inventory, at, warnDays } = basis;
  if (isKnownRight(found, inventory)) return judgeDates(basis, found);
  const { host, certificate, key, request, previous } = found;
  const { hostname } = host;
  if (found.isRevoked) {
    const again = inventory.revoked.ownKey.has(hostname) ? 'sign --again has its new request' : 'make --again names it';
    return ['revoked', { message: `make skips it, unless ${again}` }];
  }
  const hold = heldBack(settings, inventory, found);
  const cure = hold ?? { message: 'there is no certificate yet', hint: { run: ['make'] } };
  if (certificate === undefined) return ['missing', cure];
  const { info, path } = certificate;
  const ca = signerOf(info, inventory)?.info;
  const findings = ca === undefined ? [] : checkLeaf(info, ca, host, at);
  if (findings.some(({ code }) => code === 'expired')) {
    return ['expired', whyRenew(basis, found, info, 'mail waits in the queue')];
  }
  // The other findings are about a certificate that works as it is.
  const [wrong, other] = [
    findings.find((one) => !isCuredByMake(one, info, host) && !waiting.includes(one.code)),
    findings.find((one) => isCuredByMake(one, info, host) || one.code === 'outside-constraints'),
  ];
  if (wrong !== undefined) return ['mismatched', describeFinding(wrong, hostname, path)];
  if (key !== undefined && !isKeyOf(key, info)) return ['mismatched', { message: 'its key does not match' }];
  if (request !== undefined && !request.info.spki.equals(info.spki)) {
    return ['mismatched', { message: 'it is not for the key of its request' }];
  }
  if (key === undefined && request === undefined) return ['mismatched', { message: 'its key is missing' }];
  if (at < info.notBefore) return ['not-yet-valid', whyNotYet(info, renewalAhead(basis, found))];
  if (isOfFormerCa(found, inventory)) {
    return ['pending', { message: 'its certificate is from the previous CA', hint: { run: ['make'] } }];
  }
  const left = daysLeft(info, at);
  if (left < warnDays) return ['due', whyRenew(basis, found, info, `expires in ${howMany(left, 'day')}`)];
  if (other !== undefined) {
    const { message } = describeFinding(other, hostname, path);
    if (hold === undefined) return ['pending', { message, hint: { run: ['make'] } }];
    return ['pending', { ...hold, message: `${message}: ${hold.message}` }];
  }
  if (previous !== undefined) return ['pending', whyRetire(basis, found)];
  return judgeInstalled(basis, found, info);
}

/** For a client whose files are known to be right, only the dates matter. */
function judgeDates(basis: Basis, found: HostInventory): Verdict {
  const { at, warnDays } = basis;
  if (found.certificate === undefined) throw new TypeError('a client without a certificate is not right');
  const { info } = found.certificate;
  if (at >= info.notAfter) return ['expired', whyRenew(basis, found, info, 'mail waits in the queue')];
  if (at < info.notBefore) return ['not-yet-valid', whyNotYet(info, renewalAhead(basis, found))];
  const left = daysLeft(info, at);
  if (left < warnDays) return ['due', whyRenew(basis, found, info, `expires in ${howMany(left, 'day')}`)];
  return judgeInstalled(basis, found, info);
}

/** States that depend on time or on the CA. */
const waiting: readonly CertificateFindingCode[] = ['not-yet-valid', 'outside-constraints'];

const words: Readonly<Record<InstalledPart, string>> = {
  certificate: 'certificate',
  authorities: 'CA file',
  table: 'relay_clientcerts',
  configuration: 'configuration',
  dkim: 'DKIM key',
};

function judgeInstalled(basis: Basis, found: HostInventory, { serial, notBefore }: CertificateInfo): Verdict {
  const { at, issued, installation } = basis;
  const state = installation(found);
  if (state === undefined || state.kind === 'installed') return ['ok'];
  const { container } = found.host;
  const hint = installCommand(found.host);
  // The ledger is a log, and may have been lost.
  const made = `made ${agoText(issued.issuedAt(serial) ?? notBefore, at)}`;
  if (state.kind === 'never-seen') {
    const where = container === undefined ? 'seen on the host' : 'exported for its container';
    return ['not-installed', { message: `${made}, but not ${where}`, hint }];
  }
  const other = listSome(state.parts.map((part) => words[part]));
  const seen = container === undefined ? 'seen' : 'exported';
  const message = `${made}; ${seen} ${agoText(state.seen, at)} with another ${other}${whoseStillRelay(basis, state)}`;
  return ['not-installed', { message, hint }];
}

/** Of all hosts: deploy knows which come first, and looks first at what is there. */
function installCommand({ container, hostname }: HostSettings): Command {
  return { run: container === undefined ? ['deploy'] : ['export', 'docker', hostname] };
}

/** Clients revoked after this relay was seen with its present table. */
function whoseStillRelay({ issued, inventory }: Basis, state: Extract<Installation, { kind: 'differs' }>): string {
  if (!state.parts.includes('table')) return '';
  const names = inventory.hosts.flatMap(({ host: { role, hostname }, isRevoked }) => {
    const at = isRevoked && role === 'smtp-client' ? issued.lastRevoked(role, hostname)?.revokedAt : undefined;
    return at !== undefined && new Date(at) > state.seen ? [hostname] : [];
  });
  return names.length === 0 ? '' : `, so revoked clients may still relay (${listSome(names)})`;
}

/** What extends the validity of a host's certificate. */
function whyRenew(basis: Basis, found: HostInventory, leaf: CertificateInfo, message: string): Problem {
  const { settings, inventory, at } = basis;
  const ca = inventory.caCertificate?.info;
  // A certificate may be due by --warn but not yet for `renew`.
  const isEarly = daysLeft(leaf, at) >= settings.certificates.renewBeforeDays;
  const isCaFirst = ca !== undefined && (endsWithCa(leaf, ca) || ca.notAfter < at);
  const renew = renewCommand(basis, found, isCaFirst, isEarly);
  if (found.previous === undefined) return { message, hint: renew };
  if (!isBlocked(found, settings)) return { message: `${message}; its old pin is still listed`, hint: renew };
  // A host does not take a certificate that has expired.
  const isNowhere = at >= leaf.notAfter;
  const retire = whyRetire(isNowhere ? { ...basis, installation: () => undefined } : basis, found);
  const after = retire.hint.run[0] === 'retire' ? `, then ${renderHint(renew, settings.program)}` : '';
  return { message: `${message}; ${retire.message}`, hint: { ...retire.hint, after } };
}

/**
 * What replaces a host's certificate that is not valid yet: if the CA is not valid yet either, none can be made now.
 */
function renewalAhead(basis: Basis, found: HostInventory): Command {
  const ca = basis.inventory.caCertificate?.info;
  return renewCommand(basis, found, ca !== undefined && basis.at < ca.notBefore, true);
}

function renewCommand(
  { settings: { program }, inventory }: Basis,
  { host }: HostInventory,
  isCaFirst: boolean,
  force: boolean,
): Command {
  const renew = ['renew', host.hostname, ...(force ? ['--force'] : [])];
  if (!isCaFirst) return { run: renew };
  const run = renewCaArgs(inventory);
  // The second stage of the CA's rekey signs every certificate again.
  return caStageOf(inventory) > 0 ? { run } : { run, after: `, then ${commandText(program, renew)}` };
}

interface RetireProblem extends Problem {
  readonly hint: Command;
}

/** The command that ends the period with two pins, once the hosts that lack a pin or the new key are installed. */
function whyRetire({ settings, inventory, relays, installation }: Basis, found: HostInventory): RetireProblem {
  const { hostname, role } = found.host;
  const thing = newThing(settings, found.host);
  const hint = { run: ['retire', hostname], before: `when mail flows with the new ${thing}:` };
  const isRelay = role === 'smtpd-server';
  const homes = inventory.hosts.filter(({ host }) => host.role === 'smtp-client' && host.isInbound);
  const late = [...(isRelay ? homes : relays), found].find(
    (one) => (installation(one)?.kind ?? 'installed') !== 'installed',
  );
  const message = `${thing} change in progress, both pins listed`;
  if (late === undefined) return { message, hint };
  const first = isRelay ? homes.map(({ host }) => host.hostname).join(', ') : 'the relays';
  const order = first === '' ? '' : `; install ${first} first, then ${hostname}`;
  return { message: `${message}${order}`, hint: installCommand(late.host) };
}
