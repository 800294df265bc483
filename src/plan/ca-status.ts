// The state of the CA's certificate, the reason, and the cure. Pure. The other rows of `status` are in status.ts and
// host-status.ts.

import { caFlaws } from '../certificate/ca-flaws.js';
import type { CertificateInfo } from '../certificate/certificate.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import { checkCa } from '../certificate/verify.js';
import { howMany, listSome, timeText, type Command, type Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { caProblems, isNextCaUseless } from './ca-problems.js';
import { caStageOf, isOfFormerCa, renewCaArgs } from './ca-rekey.js';
import { unappliedToCa } from './drift.js';
import { describeFlaw } from './findings.js';
import type { Inventory } from './inventory.js';
import { daysLeft, isValidAt } from './leaf-days.js';
import type { Basis, Verdict } from './states.js';
import { isCutting } from './warnings.js';

const rekey: Command = { run: ['renew', '--ca', '--rekey'] };

export function judgeCa({ settings, inventory, at, warnDays }: Basis): Verdict {
  const found = inventory.caCertificate;
  if (found === undefined) return ['missing', whyNoCa(settings, inventory, at)];
  const findings = checkCa(found.info, settings.ca, at);
  const [wrong] = caProblems(settings, inventory, at, ['expired', 'not-yet-valid']);
  const renewCa = renewCaArgs(inventory);
  const install: Command = { run: renewCa, after: ', then install every host' };
  const next = caRekeyNext(settings, inventory, at);
  if (findings.some(({ code }) => code === 'expired')) {
    const message = 'hosts no longer accept its certificates';
    if (next === undefined) return ['expired', { message, hint: install }];
    return ['expired', { ...next, message: `${message}; ${next.message}` }];
  }
  if (wrong !== undefined) return ['mismatched', wrong];
  if (next === undefined && keyTypeOfSpki(found.info.spki) === undefined) {
    const message = 'its key type signs nothing here, and many hosts refuse it';
    return ['mismatched', { message, hint: rekey }];
  }
  if (at < found.info.notBefore) return ['not-yet-valid', whyNotYet(found.info, { run: renewCa })];
  // A certificate that is due but about to be replaced needs only the next stage.
  if (next !== undefined) return ['pending', next];
  const left = daysLeft(found.info, at);
  if (left < warnDays) return ['due', { message: `expires in ${howMany(left, 'day')}`, hint: install }];
  const [other] = unappliedToCa(settings.ca, found);
  if (other !== undefined) return ['pending', other];
  if (isCutting(settings, left)) {
    return ['ok', { message: `expires in ${howMany(left, 'day')}, and so does everything it signs`, hint: install }];
  }
  const flaws = caFlaws(found.info).map(describeFlaw);
  if (flaws.length === 0) return ['ok'];
  return ['ok', { message: `works, but has ${listSome(flaws)}`, hint: install }];
}

/** For a certificate that is not valid yet; `cure` replaces it. */
export function whyNotYet({ notBefore }: CertificateInfo, cure: Command): Problem {
  const message = `not valid before ${timeText(notBefore)}`;
  return { message, hint: { ...cure, before: 'if the clock was ahead when it was made:' } };
}

/**
 * `make` makes a CA if there never was one, and a certificate for a key that has signed nothing; otherwise it refuses.
 */
function whyNoCa(settings: Settings, inventory: Inventory, at: Date): Problem {
  const isLost = caProblems(settings, inventory, at).length > 0;
  const message = isLost || inventory.caKey !== undefined ? 'its certificate is missing' : 'there is no CA yet';
  return { message, hint: { run: ['make'], ...(isLost ? { after: 'says how to restore it' } : {}) } };
}

/** What continues a rekey of the CA; undefined if none is in progress. */
function caRekeyNext(settings: Settings, inventory: Inventory, at: Date): Problem | undefined {
  switch (caStageOf(inventory)) {
    case 0:
      return undefined;
    case 1: {
      const isUsable = inventory.caCertificate !== undefined && isValidAt(inventory.caCertificate.info, at);
      if (isNextCaUseless(settings, inventory, at)) {
        const message = 'the new CA beside it cannot take over, or does not match the settings';
        return { message, hint: { ...rekey, before: 'to make another:' } };
      }
      // A CA that is not valid now is replaced at once.
      return {
        message: 'a new CA waits beside it',
        hint: isUsable ? { ...rekey, before: 'when every host has the CA file with both:' } : rekey,
      };
    }
    case 2:
      return inventory.hosts.some((found) => isOfFormerCa(found, inventory))
        ? { message: 'some certificates are still from the previous CA', hint: { run: ['make'] } }
        : {
            message: 'the previous CA is still trusted',
            hint: { ...rekey, before: 'when every host has its new certificate:' },
          };
  }
}
