// `relaycerts renew --ca`: a new certificate for the CA's key and name. What the CA signed verifies against the old and the
// new one alike, so hosts may be installed one after the other; that it does is proven before anything is replaced. With
// --rekey, rekey-ca.ts goes one stage further to a CA with a new key.

import { parseCertificate, type CertificateInfo } from '../certificate/certificate.js';
import { checkLeaf } from '../certificate/verify.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { describeFinding } from '../plan/findings.js';
import type { Inventory } from '../plan/inventory.js';
import { renderCaRenewal } from '../render/ca-renewal.js';
import { readSettings } from '../settings/load.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { assertRoom } from '../store/room.js';
import { openCaKey } from './apply-make.js';
import { certifiedCa, changeCertificates } from './change.js';
import { contradiction, readGivenPassphrase } from './make.js';
import { openPassphraseFile } from './obtain-passphrase.js';
import type { GlobalOptions } from './options.js';
import { rekeyCa } from './rekey-ca.js';
import { clockWarnings } from '../plan/warnings.js';
import type { CaWork } from './work.js';

export interface RenewCaOptions extends GlobalOptions {
  readonly rekey: boolean;
  /** A file descriptor to read the CA's passphrase from. */
  readonly passphraseFd: number | undefined;
}

/** @throws settings, usage, contradiction, lock, passphrase, certificate, tool, files */
export async function renewCa(options: RenewCaOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const passphrase = await readGivenPassphrase(options.passphraseFd);
  if (options.rekey) {
    await rekeyCa(settings, sys, passphrase, options.json);
    return;
  }
  const {
    result: before,
    inventory,
    told,
  } = await changeCertificates(
    settings,
    sys,
    (found, at) => replace({ settings, inventory: found, sys, at, passphrase }),
    { mends: ['expired', 'not-yet-valid'] },
  );
  const renewed = inventory.caCertificate?.info;
  if (renewed === undefined) throw new TypeError('no CA after it was renewed');
  const hosts = inventory.hosts.filter(({ isRevoked, certificate }) => !isRevoked && certificate !== undefined);
  if (options.json) {
    const { serial, notAfter: expires, commonName } = renewed;
    const install = hosts.map(({ host: { hostname } }) => hostname);
    const row = { host: commonName ?? settings.ca.commonName, serial, expires };
    sys.write(`${JSON.stringify({ renewed: [row], install }, undefined, 2)}\n`);
  } else {
    sys.write(
      renderCaRenewal(
        settings,
        before,
        renewed,
        hosts.map((found) => found.host),
      ),
    );
  }
  await told();
}

/** Resolves with the certificate that was replaced. */
async function replace(work: CaWork): Promise<CertificateInfo> {
  const { settings, inventory, sys, at } = work;
  const { info: before, path } = certifiedCa(inventory);
  if (inventory.nextCa !== undefined || inventory.formerCa !== undefined) {
    throw new RelaycertsError(
      'contradiction',
      'the CA is getting a new key, and has two certificates until that is done',
      {
        hint: 'go on with it: relaycerts renew --ca --rekey',
      },
    );
  }
  await assertRoom(settings, sys, { hosts: inventory.hosts.length, custody: false });
  for (const { message, hint } of clockWarnings(inventory, at)) sys.warn(message, hint);
  const passphrase = work.passphrase ?? (await openPassphraseFile(work));
  const keyPair = await openCaKey(settings, inventory, passphrase);
  const { reissueCa } = await import('../issue/x509.js');
  const { validDays, permittedDomains } = settings.ca;
  const pem = await reissueCa(before, { keyPair, at, validDays, permittedDomains });
  const info = parseCertificate(pem);
  const refused = leavesRefused(inventory, info, path, at);
  if (refused.length > 0) throw contradiction(refused);

  const layout = layoutOf(settings);
  await appendLedger(layout, [entryOf('renewed', 'ca', info.commonName ?? settings.ca.commonName, info, at)]);
  await writeFile(layout.caCertificate.path, pem, layout.caCertificate.mode);
  await syncFolder(layout.caFolder);
  sys.say(`made the CA's certificate anew, for the same key, ${validDays} days: ${path}`);
  return before;
}

/** What would stop to verify, were this the CA's certificate. A leaf whose validity is over, or has not begun, is no worse off. */
function leavesRefused({ hosts }: Inventory, ca: CertificateInfo, caPath: string, at: Date): readonly Problem[] {
  return hosts.flatMap(({ host, certificate, previous, isRevoked }) => {
    if (isRevoked) return [];
    const expected = {
      role: host.role,
      hostname: host.hostname,
      altNames: host.altNames,
    };
    return [certificate, previous].flatMap((found) => {
      if (found === undefined) return [];
      const findings = checkLeaf(found.info, ca, expected, at).filter(
        ({ code }) => code !== 'expired' && code !== 'not-yet-valid',
      );
      return findings.map((finding) => ({
        message: `with a new CA certificate, ${describeFinding(finding, host.hostname, found.path).message}`,
        hint:
          finding.code === 'outlives-ca'
            ? `set ca.validDays in the settings to ${daysBetween(ca.notBefore, found.info.notAfter)} or more; nothing was changed`
            : `nothing was changed: ${quotePath(caPath)} is what it was`,
      }));
    });
  });
}

/** Whole days, so that what begins at the one ends after the other. */
function daysBetween(from: Date, until: Date): number {
  return Math.ceil((until.getTime() + 1000 - from.getTime()) / 86_400_000);
}
