// `relaycerts renew --ca`: a new certificate for the CA's key and name. What the CA signed verifies against the old and
// the new one alike, so hosts may be installed one after the other; that is checked before anything is replaced.

import { parseCertificate, type CertificateInfo } from '../certificate/certificate.js';
import { checkLeaf } from '../certificate/verify.js';
import { openPassphraseFile } from '../custody/passphrase-file.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { caStageOf } from '../plan/ca-rekey.js';
import { describeFinding } from '../plan/findings.js';
import type { Inventory } from '../plan/inventory.js';
import { clockWarnings } from '../plan/warnings.js';
import { renderCaRenewal } from '../render/ca-renewal.js';
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
        throw new RelaycertsError('contradiction', 'the CA is getting a new key, and has two certificates until then', {
          hint: { run: ['renew', '--ca', '--rekey'], before: 'to go on with it:' },
        });
      }
      for (const { message, hint } of clockWarnings(inventory, at)) sys.warn(message, hint);
      const keyPair = await openCaKey(settings, inventory, given ?? (await openPassphraseFile(work)));
      const { reissueCa } = await import('../issue/x509.js');
      const { validDays, permittedDomains } = settings.ca;
      const info = parseCertificate(await reissueCa(before, { keyPair, at, validDays, permittedDomains }));
      const refused = leavesRefused(inventory, info, path, at);
      if (refused.length > 0) throw contradiction(refused);
      const hosts = inventory.hosts
        .filter(({ isRevoked, certificate }) => !isRevoked && certificate !== undefined)
        .map(({ host }) => host);
      const name = info.commonName ?? settings.ca.commonName;
      const row = { host: name, serial: info.serial, expires: info.notAfter };
      const install = hosts.map(({ hostname }) => hostname);
      await commit({
        after: { ...inventory, caCertificate: { path, info } },
        entries: [entryOf('renewed', 'ca', name, info, at)],
        keeps: [],
        removes: [],
        tell: () =>
          options.json
            ? `${JSON.stringify({ renewed: [row], install }, undefined, 2)}\n`
            : renderCaRenewal(settings, before, info, hosts),
        done: [`made a new CA certificate for the same key, ${validDays} days: ${path}`],
      });
    },
    { fixes: ['expired', 'not-yet-valid'] },
  );
}

/** What would stop verifying with this CA certificate. A leaf that is expired or not yet valid is no worse off. */
function leavesRefused({ hosts }: Inventory, ca: CertificateInfo, caPath: string, at: Date): readonly Problem[] {
  return hosts.flatMap(({ host, certificate, previous, isRevoked }) =>
    (isRevoked ? [] : [certificate, previous]).flatMap((found) => {
      if (found === undefined) return [];
      return checkLeaf(found.info, ca, host, at)
        .filter(({ code }) => code !== 'expired' && code !== 'not-yet-valid')
        .map((finding) => ({
          message: `with a new CA certificate, ${describeFinding(finding, host.hostname, found.path).message}`,
          hint:
            finding.code === 'outlives-ca'
              ? `set ca.validDays in the settings to ${daysBetween(ca.notBefore, found.info.notAfter)} or more; nothing was changed`
              : `nothing was changed: ${quotePath(caPath)} is what it was`,
        }));
    }),
  );
}

/** Whole days, so that what begins at the one ends after the other. */
function daysBetween(from: Date, until: Date): number {
  return Math.ceil((until.getTime() + 1000 - from.getTime()) / 86_400_000);
}
