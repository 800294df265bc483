// `relaycerts renew --ca --rekey`: a CA with a new key, in three stages (plan/ca-rekey.ts), one with each run. Every stage
// is finished before the next one begins: what was cut off, and bundles that were not written, are made whole first, and
// the same stage is told again, because nobody can have installed it yet.

import { parseCertificate } from '../certificate/certificate.js';
import { caNameOf, generationOf } from '../certificate/ca-name.js';
import { syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { generateKey } from '../issue/keys.js';
import { encryptPrivateKey } from '../issue/pbes2.js';
import { caStageOf, isOfFormerCa, trustedCas } from '../plan/ca-rekey.js';
import { bundleNames } from '../plan/bundle-names.js';
import { isSignedBy } from '../certificate/verify.js';
import { leafDays } from '../plan/leaf-days.js';
import { staleFiles } from '../plan/stale-files.js';
import { clockWarnings } from '../plan/warnings.js';
import type { FoundCa, Inventory } from '../plan/inventory.js';
import { bundlesOf } from '../render/bundle.js';
import { caStageJson, renderCaStage, type CaStage } from '../render/ca-renewal.js';
import type { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';
import { putFormerCaAway, swapCaIn } from '../store/ca-rekey.js';
import { appendLedger, entryOf, readLedger } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import type { ToInstall } from '../store/to-install.js';
import { putRetired } from '../store/rekey.js';
import { assertRoom } from '../store/room.js';
import { applyMake, openCaKey } from './apply-make.js';
import { certifiedCa, changeCertificates } from './change.js';
import { assertNothingPending } from './keep-previous.js';
import { openPassphraseFile } from './obtain-passphrase.js';
import type { CaWork } from './work.js';

type Reached = Pick<CaStage, 'stage' | 'isResumed'>;

/** Goes one stage on, and prints what it did, what to install now and what comes next. @throws as renewCa */
export async function rekeyCa(
  settings: Settings,
  sys: Sys,
  passphrase: Secret | undefined,
  asJson: boolean,
): Promise<void> {
  const {
    result: reached,
    inventory,
    told,
  } = await changeCertificates(
    settings,
    sys,
    (found, at, untold) => goOn({ settings, inventory: found, sys, at, passphrase }, untold),
    {
      mends: ['expired', 'not-yet-valid', 'wrong-name', 'wrong-constraints'],
      caStage: (found, result: Reached | undefined) => result?.stage ?? stageBehind(settings, found),
    },
  );
  const installed = inventory.hosts.filter(({ isRevoked, certificate }) => !isRevoked && certificate !== undefined);
  const stage: CaStage = {
    ...reached,
    trusted: trustedCas(inventory).map(({ info }) => info.commonName ?? ''),
    hosts: installed.map((found) => found.host),
    hasExpired: certifiedCa(inventory).info.notAfter < sys.now(),
  };
  sys.write(asJson ? caStageJson(settings, stage) : renderCaStage(settings, stage));
  await told();
}

/** The stage that a run before was cut off in, of which the bundles alone are missing. */
function stageBehind(settings: Settings, inventory: Inventory): Reached['stage'] | undefined {
  return areBundlesBehind(settings, inventory) ? lastStage(inventory) : undefined;
}

/** The stage that files alone say was carried out last: with no rekey under way, the third of one that is over. */
function lastStage(inventory: Inventory): Reached['stage'] {
  const stage = caStageOf(inventory);
  return stage === 0 ? 3 : stage;
}

async function goOn(work: CaWork, { caStage: untold }: ToInstall): Promise<Reached> {
  const { settings, inventory } = work;
  certifiedCa(inventory);
  await assertRoom(settings, work.sys, { hosts: inventory.hosts.length, custody: false });
  if (inventory.hosts.some((found) => isOfFormerCa(found, inventory))) {
    await signAnew(work);
    return { stage: 2, isResumed: true };
  }
  const last = lastStage(inventory);
  if (untold === last || areBundlesBehind(settings, inventory)) {
    if (last === 3) await retireOldPins(work);
    return { stage: last, isResumed: true };
  }
  switch (caStageOf(inventory)) {
    case 0:
      await makeNext(work);
      return { stage: 1, isResumed: false };
    case 1:
      await takeOver(work);
      return { stage: 2, isResumed: false };
    case 2:
      await retireFormer(work);
      return { stage: 3, isResumed: false };
  }
}

/** True where a stage ended before its bundles were written. With no rekey under way, what is left of one is two CAs. */
function areBundlesBehind(settings: Settings, inventory: Inventory): boolean {
  const bundles = bundlesOf(settings, inventory);
  return inventory.hosts.some(({ host: { hostname }, bundle }) => {
    const wanted = bundles.get(hostname);
    if (wanted === undefined) return false;
    if (caStageOf(inventory) > 0) return staleFiles(bundle, wanted).length > 0;
    return (
      (bundle.get(bundleNames(settings.domain, hostname).ca)?.toString('latin1').split('-----BEGIN ').length ?? 0) > 2
    );
  });
}

/** Stage 1: key and certificate of the new CA, under the passphrase that opens the old one. */
async function makeNext({ settings, inventory, sys, at, passphrase: given }: CaWork): Promise<void> {
  const layout = layoutOf(settings);
  const { keyType, validDays, permittedDomains, commonName: base } = settings.ca;
  for (const { message, hint } of clockWarnings(inventory, at)) sys.warn(message, hint);
  const generation = generationOf(base, certifiedCa(inventory).info.commonName) ?? 1;
  const commonName = caNameOf(base, generation + 1);
  const passphrase = given ?? (await openPassphraseFile({ settings, inventory, sys }));
  await openCaKey(settings, inventory, passphrase);
  const keyPair = await generateKey(keyType);
  const { issueCa } = await import('../issue/x509.js');
  const pem = await issueCa({ commonName, subject: settings.subject, keyPair, at, validDays, permittedDomains });
  const { nextCaKey, nextCaCertificate, caFolder } = layout;
  await writeFile(nextCaKey.path, await encryptPrivateKey(keyPair.privateKey, passphrase, 'typed'), nextCaKey.mode);
  await syncFolder(caFolder);
  await appendLedger(layout, [entryOf('rekeyed', 'ca', commonName, parseCertificate(pem), at)]);
  await writeFile(nextCaCertificate.path, pem, nextCaCertificate.mode);
  await syncFolder(caFolder);
  sys.say(`made the key and certificate of a new CA, ${keyType}: ${nextCaCertificate.path}`);
}

/** Stage 2: the new CA takes the old one's place, and signs every leaf anew, for the same keys. */
async function takeOver(work: CaWork): Promise<void> {
  const { settings, inventory, sys, passphrase: given } = work;
  const layout = layoutOf(settings);
  const { nextCa, caCertificate, caKey } = inventory;
  if (nextCa === undefined || caCertificate === undefined) throw new TypeError('no new CA to take over');
  assertNothingPending(settings, inventory.hosts);
  const passphrase = given ?? (await openPassphraseFile({ settings, inventory, sys }));
  const { key, keyPath, certificate } = nextCa;
  await openCaKey(settings, { ...inventory, caKey: key, caKeyPath: keyPath, caCertificate: certificate }, passphrase);
  await swapCaIn(layout);
  sys.say(`the new CA signs from now on: ${layout.caCertificate.path}`);
  const formerCa: FoundCa = {
    keyPath: layout.formerCaKey.path,
    key: caKey,
    certificate: { ...caCertificate, path: layout.formerCaCertificate.path },
  };
  const current = { path: layout.caCertificate.path, info: certificate.info };
  const after = { ...inventory, caKey: key, caCertificate: current, formerCa, nextCa: undefined };
  await signAnew({ ...work, inventory: after, passphrase });
}

async function signAnew(work: CaWork): Promise<void> {
  const { inventory, settings, at } = work;
  const validDays = leafDays(settings, inventory.caCertificate?.info, at);
  const steps = inventory.hosts
    .filter((found) => isOfFormerCa(found, inventory))
    .map(({ host: { role, hostname }, certificatePath: path }) => ({
      kind: 'certificate' as const,
      event: 'renewed' as const,
      path,
      role,
      hostname,
      validDays,
    }));
  await applyMake({ ...work, plan: { steps, problems: [], warnings: [] } });
}

/** Stage 3: the old CA goes, and with it the old pins that are of no use without it. */
async function retireFormer(work: CaWork): Promise<void> {
  const { settings, inventory, sys, at } = work;
  const layout = layoutOf(settings);
  const { formerCa } = inventory;
  if (formerCa === undefined) throw new TypeError('no old CA to retire');
  const { info } = formerCa.certificate;
  const { entries } = await readLedger(layout);
  if (!entries.some(({ event, serial }) => event === 'retired' && serial === info.serial)) {
    await appendLedger(layout, [entryOf('retired', 'ca', info.commonName ?? settings.ca.commonName, info, at)]);
  }
  await putFormerCaAway(layout, info.serial);
  sys.say(`the old CA is put away, its key still encrypted: ${layout.retiredCaKey(info.serial).path}`);
  await retireOldPins(work);
}

/** After the old CA, so that pins which are left of a run that was cut off belong to no stage but the third. */
async function retireOldPins({ settings, inventory, sys, at }: CaWork): Promise<void> {
  const layout = layoutOf(settings);
  const ca = certifiedCa(inventory);
  for (const { host: one, previous, isRevoked } of inventory.hosts) {
    if (isRevoked || previous === undefined || isSignedBy(previous.info, ca.info)) continue;
    await appendLedger(layout, [entryOf('retired', one.role, one.hostname, previous.info, at)]);
    await putRetired(layout, one, previous.info);
    sys.say(`the old pin of ${one.hostname} is out of the table, serial ${previous.info.serial}`);
  }
}
