// `relaycerts renew --ca`: a new certificate for the CA's key and name. What the CA signed verifies against the old and
// the new one alike, so hosts may be installed one after the other; that is checked before anything is replaced.

import { parseCertificate, type CertificateInfo } from '../certificate/certificate.js';
import { checkLeaf, type CertificateFinding } from '../certificate/verify.js';
import { openPassphraseFile } from '../custody/passphrase-file.js';
import { RelaycertsError, commandText, howMany, type Hint, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import { curedByRenewal } from '../plan/ca-problems.js';
import { caStageOf } from '../plan/ca-rekey.js';
import { describeFinding } from '../plan/findings.js';
import type { FoundCertificate, Inventory } from '../plan/inventory.js';
import { isForMake, outsideOf } from '../plan/reissue.js';
import { clockWarnings } from '../plan/warnings.js';
import { renderCaRenewal } from '../render/ca-renewal.js';
import { renewalAnswer } from '../render/renewal.js';
import { mostCaDays } from '../settings/file.js';
import { entryOf } from '../store/ledger.js';
import type { Sys } from '../sys/sys.js';
import { openCaKey } from './ca-key.js';
import { certifiedCa } from './hosts.js';
import { changing, contradiction, type CaOptions } from './run.js';

/** @throws settings, usage, contradiction, lock, passphrase, certificate, tool, files */
export async function renewCa(options: CaOptions, sys: Sys): Promise<void> {
  await changing(
    options,
    sys,
    async ({ commit, given, ...work }) => {
      const { settings, inventory, at } = work;
      const { info: before, path } = certifiedCa(inventory);
      if (caStageOf(inventory) > 0) {
        throw new RelaycertsError(
          'contradiction',
          'the CA is getting a new key, and has two certificates until that is finished',
          {
            hint: { run: ['renew', '--ca', '--rekey'], before: 'to continue:' },
          },
        );
      }
      for (const { message, hint } of clockWarnings(inventory, at)) sys.warn(message, hint);
      const keyPair = await openCaKey(settings, inventory, given ?? (await openPassphraseFile(work)));
      const { reissueCa } = await import('../issue/x509.js');
      const { validDays, permittedDomains } = settings.ca;
      const info = parseCertificate(await reissueCa(before, { keyPair, at, validDays, permittedDomains }));
      const refused = leavesRefused(inventory, info, at);
      if (refused.length > 0) throw contradiction(refused);
      const name = info.commonName ?? settings.ca.commonName;
      const after = { ...inventory, caCertificate: { path, info } };
      const isAwaited = after.hosts.some((one) => isForMake(one, after));
      const hasExpired = after.hosts.some(
        ({ certificate, isRevoked }) => !isRevoked && certificate !== undefined && certificate.info.notAfter <= at,
      );
      await commit({
        after,
        entries: [entryOf('renewed', 'ca', name, info, at)],
        keeps: [],
        removes: [],
        answer: (install) =>
          renewalAnswer(inventory, after, {
            rekey: false,
            ca: { info, trusted: [name], stage: null },
            install,
            retire: [],
            next: isAwaited ? commandText(settings.program, ['make']) : null,
          }),
        tell: (install) => renderCaRenewal(settings, before, install, { isAwaited, hasExpired, at }),
        done: [{ what: `made a new CA certificate for the same key, ${howMany(validDays, 'day')}`, path }],
      });
    },
    { fixes: curedByRenewal },
  );
}

/**
 * What would stop verifying with this CA certificate; anything else wrong with a certificate is no worse than before.
 * Each is judged by the names it has, because the settings may have changed since.
 */
function leavesRefused(inventory: Inventory, ca: CertificateInfo, at: Date): readonly Problem[] {
  return inventory.hosts.flatMap((one) =>
    (one.isRevoked ? [] : [one.certificate, one.previous]).flatMap((found) => {
      if (found === undefined) return [];
      const { host } = one;
      const [hostname = host.hostname, ...altNames] = found.info.dnsNames;
      // It verifies until the new CA certificate ends, and the next make replaces it: anyway, or because of this.
      const mayOutlive = isForMake(one, inventory) || daysBetween(ca.notBefore, found.info.notAfter) > mostCaDays;
      return checkLeaf(found.info, ca, { ...host, hostname, altNames }, at)
        .filter(({ code }) => ['wrong-issuer', 'outside-constraints', 'outlives-ca'].includes(code))
        .filter(({ code }) => code !== 'outlives-ca' || !mayOutlive)
        .map((finding) => ({
          message: `with a new CA certificate, ${describeFinding(finding, host.hostname, found.path).message}`,
          hint: hintFor(finding, found, ca, {
            hostname: host.hostname,
            isPrevious: found === one.previous,
            isHeld: outsideOf(inventory, one) !== undefined,
          }),
        }));
    }),
  );
}

interface Refused {
  readonly hostname: HostName;
  /** The certificate is the one from before a new key. */
  readonly isPrevious: boolean;
  /** The present CA may not sign for the host's names in the settings. */
  readonly isHeld: boolean;
}

/** What must come before a new CA certificate; nothing was changed yet. */
function hintFor(
  { code }: CertificateFinding,
  { info }: FoundCertificate,
  ca: CertificateInfo,
  { hostname, isPrevious, isHeld }: Refused,
): Hint {
  if (isPrevious && code !== 'outlives-ca') {
    return { run: ['retire', hostname], before: 'nothing was changed; once its new key is in use:' };
  }
  if (code === 'outlives-ca') {
    const days = daysBetween(ca.notBefore, info.notAfter);
    return `set ca.validDays in the settings to ${days} or more; nothing was changed`;
  }
  const after = `, and install ${hostname}`;
  if (code === 'outside-constraints' && isHeld) {
    return 'nothing was changed; keep the old domains in ca.permittedDomains until every host has its new names';
  }
  if (code === 'outside-constraints') {
    return { run: ['make'], before: 'nothing was changed; with the current names, first:', after };
  }
  // openssl makes these with `authorityKeyIdentifier = issuer:always`.
  if (info.namesCaSerial) {
    const before = 'nothing was changed; it names the serial number of the current CA certificate, so first:';
    return { run: ['make'], before, after };
  }
  return { run: ['renew', hostname, '--force'], before: 'nothing was changed; first:', after };
}

/** Whole days, so that a certificate that begins at the one ends after the other. */
function daysBetween(from: Date, until: Date): number {
  return Math.ceil((until.getTime() + 1000 - from.getTime()) / 86_400_000);
}
