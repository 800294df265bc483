// `relaycerts renew --ca --rekey`: a CA with a new key, in three stages (plan/ca-rekey.ts), one per run. Every host is
// installed between two stages. Each stage is one change, so there are no states between stages.

import { caNameOf, generationOf } from '../certificate/ca-name.js';
import { parseCertificate } from '../certificate/certificate.js';
import { openPassphraseFile } from '../custody/passphrase-file.js';
import { RelaycertsError, commandText, listSome } from '../errors.js';
import { generateKey } from '../issue/keys.js';
import { encryptPrivateKey } from '../issue/pbes2.js';
import type { Issuer } from '../issue/x509.js';
import { curedByRenewal, isNextCaUseless } from '../plan/ca-problems.js';
import { caStageOf, isOfFormerCa, renewCaArgs, trustedCas } from '../plan/ca-rekey.js';
import { CertificateStep } from '../plan/host-step.js';
import { judgeInstallation } from '../plan/installed.js';
import type { FoundCa, Inventory } from '../plan/inventory.js';
import { isValidAt, leafDays } from '../plan/leaf-days.js';
import { isBlocked, retiredWords, stillListed } from '../plan/retirement.js';
import { clockWarnings } from '../plan/warnings.js';
import { renderCaStage, type CaStage } from '../render/ca-renewal.js';
import { renewalAnswer } from '../render/renewal.js';
import type { Secret } from '../secret.js';
import { layoutOf, type Layout } from '../store/layout.js';
import { entryOf } from '../store/ledger.js';
import { putAway, type Decision } from '../store/state-change.js';
import type { Sys } from '../sys/sys.js';
import { openCaKey, openIssuer } from './ca-key.js';
import { certify, madeLines } from './certify.js';
import { deployedHosts } from './deployed-hosts.js';
import { certifiedCa, withHosts } from './hosts.js';
import { changing, type CaOptions, type Done, type Work } from './run.js';

type Stage = Decision & { readonly stage: CaStage['stage']; readonly done: readonly Done[] };

/** Carries out the next stage. @throws settings, usage, contradiction, lock, passphrase, certificate, tool, files */
export async function rekeyCa(options: CaOptions, sys: Sys): Promise<void> {
  await changing(
    options,
    sys,
    async ({ commit, given, ...work }) => {
      const { settings, inventory, at } = work;
      certifiedCa(inventory);
      const { stage, ...step } = await nextStage(work, given);
      const told: CaStage = {
        stage,
        trusted: trustedCas(step.after).map(({ info }) => info.commonName ?? ''),
        isInvalid: !isValidAt(certifiedCa(step.after).info, at),
      };
      await commit({
        ...step,
        answer: (install) =>
          renewalAnswer(inventory, step.after, {
            rekey: true,
            ca: { info: certifiedCa(step.after).info, trusted: told.trusted, stage },
            install: told.isInvalid ? [] : install,
            retire: [],
            next: stage === 3 ? null : commandText(settings.program, renewCaArgs(step.after)),
          }),
        tell: (install) => renderCaStage(settings, told, install),
      });
    },
    { fixes: curedByRenewal },
  );
}

async function nextStage(work: Work, given: Secret | undefined): Promise<Stage> {
  switch (caStageOf(work.inventory)) {
    case 0:
      return makeNext(work, given);
    case 1:
      // A new CA that is unusable is made again: it has signed nothing.
      return isNextCaUseless(work.settings, work.inventory, work.at) ? makeNext(work, given) : takeOver(work, given);
    case 2:
      return retireFormer(work);
  }
}

/**
 * Stage 1: key and certificate of the new CA, under the passphrase that opens the old one. An earlier new CA is put
 * away.
 */
async function makeNext(work: Work, given: Secret | undefined): Promise<Stage> {
  const { settings, inventory, sys, at } = work;
  const layout = layoutOf(settings);
  const { nextCaKey, nextCaCertificate } = layout;
  const { keyType, validDays, permittedDomains, commonName: base } = settings.ca;
  for (const { message, hint } of clockWarnings(inventory, at)) sys.warn(message, hint);
  const commonName = caNameOf(base, (generationOf(base, certifiedCa(inventory).info.commonName) ?? 1) + 1);
  const passphrase = given ?? (await openPassphraseFile(work));
  await openCaKey(settings, inventory, passphrase);
  const keyPair = await generateKey(keyType);
  const { issueCa } = await import('../issue/x509.js');
  const { subject } = settings;
  const info = parseCertificate(await issueCa({ commonName, subject, keyPair, at, validDays, permittedDomains }));
  const key = Buffer.from(await encryptPrivateKey(keyPair.privateKey, passphrase, 'typed'));
  const before = inventory.nextCa;
  if (before !== undefined) {
    const path = layout.retiredCaCertificate(before.certificate.info.serial).path;
    const why = 'could not take over, or was not what the settings ask for';
    sys.warn(`the earlier new CA ${why}; another is made, and it is put away: ${path}`);
  }
  const nextCa = { keyPath: nextCaKey.path, key, certificate: { path: nextCaCertificate.path, info } };
  return {
    stage: 1,
    after: { ...inventory, nextCa },
    entries: [
      ...(before === undefined ? [] : [entryOf('retired', 'ca', commonName, before.certificate.info, at)]),
      entryOf('rekeyed', 'ca', commonName, info, at),
    ],
    keeps: before === undefined ? [] : putAwayCa(layout, before),
    removes: [],
    done: [{ what: `made the key and certificate of a new CA, ${keyType}`, path: nextCaCertificate.path }],
  };
}

/** Stage 2: the new CA takes the old one's place and signs every leaf again, for the same keys. */
async function takeOver(work: Work, given: Secret | undefined): Promise<Stage> {
  const { settings, inventory, at } = work;
  const layout = layoutOf(settings);
  const { nextCa, caCertificate, caKey } = inventory;
  if (nextCa === undefined || caCertificate === undefined) throw new TypeError('there is no new CA to take over');
  const pending = inventory.hosts.find((found) => isBlocked(found, settings));
  if (pending !== undefined) {
    const { message, hint } = stillListed(settings, pending.host);
    throw new RelaycertsError('contradiction', message, { hint });
  }
  // With a CA that is not valid now, no host talks to another, and deploy would bring them nothing that works.
  if (isValidAt(caCertificate.info, at)) assertInstalled(work, 1);
  const state: Inventory = {
    ...inventory,
    caKey: nextCa.key,
    caCertificate: { path: layout.caCertificate.path, info: nextCa.certificate.info },
    formerCa: { keyPath: layout.formerCaKey.path, key: caKey, certificate: caCertificate },
    nextCa: undefined,
  };
  const issuer = (): Promise<Issuer> =>
    openIssuer({ ...work, inventory: { ...state, caKeyPath: nextCa.keyPath } }, given);
  const validDays = leafDays(settings, state.caCertificate?.info, at);
  const steps = state.hosts
    .filter((found) => isOfFormerCa(found, state))
    .map((found) => new CertificateStep(found, 'renewed', validDays));
  const { progress } = work.sys;
  progress.begin('certificates', steps.length);
  const certified = await certify(settings, state, steps, { issuer, keys: new Map(), at, progress });
  return {
    ...certified,
    stage: 2,
    keeps: [],
    removes: [],
    done: [{ what: 'the new CA signs from now on', path: layout.caCertificate.path }, ...madeLines(steps)],
  };
}

/** Stage 3: the old CA is removed, and with it the old pins that are useless without it. */
async function retireFormer(work: Work): Promise<Stage> {
  const { settings, inventory, at } = work;
  const layout = layoutOf(settings);
  const { formerCa } = inventory;
  if (formerCa === undefined) throw new TypeError('there is no old CA to retire');
  const behind = inventory.hosts.find((found) => isOfFormerCa(found, inventory));
  if (behind !== undefined) {
    throw new RelaycertsError(
      'contradiction',
      `the certificate of ${behind.host.hostname} is still signed by the old CA`,
      { hint: { run: ['make'], after: ', then install what it prints' } },
    );
  }
  assertInstalled(work, 2);
  const { info } = formerCa.certificate;
  const ca = certifiedCa(inventory);
  const old = inventory.hosts.flatMap(({ host, previous, isRevoked }) =>
    isRevoked || previous === undefined || previous.info.isSignedBy(ca.info) ? [] : [{ host, info: previous.info }],
  );
  const names = old.map(({ host }) => host.hostname);
  return {
    stage: 3,
    after: { ...withHosts(inventory, names, { previous: undefined }), formerCa: undefined },
    entries: [
      entryOf('retired', 'ca', info.commonName ?? settings.ca.commonName, info, at),
      ...old.map((one) => entryOf('retired', one.host.role, one.host.hostname, one.info, at)),
    ],
    keeps: [
      ...putAwayCa(layout, formerCa),
      ...old.map((one) => putAway(layout.retired(one.host.hostname, one.info.serial), one.info.pem)),
    ],
    removes: [],
    done: [
      { what: 'the old CA is put away, its key still encrypted', path: layout.retiredCaKey(info.serial).path },
      ...retiredWords(old.map((one) => ({ host: one.host.hostname, serial: one.info.serial }))),
    ],
  };
}

/** What hosts have from a stage. */
const partOf = { 1: 'authorities', 2: 'certificate' } as const;

/** A host that lacks a stage could not talk to those that have the next one. @throws contradiction */
function assertInstalled({ settings, inventory }: Work, stage: keyof typeof partOf): void {
  const late = deployedHosts(settings, inventory).filter(({ expected, seen }) => {
    const judged = judgeInstallation(expected, seen);
    return judged.kind === 'differs' && judged.parts.includes(partOf[stage]);
  });
  if (late.length === 0) return;
  const names = listSome(late.map(({ hostname }) => hostname));
  throw new RelaycertsError('contradiction', `stage ${stage} of 3 was not seen installed on ${names}`, {
    hint: { run: ['deploy'], before: 'first:', after: ', or check if it is' },
  });
}

function putAwayCa(layout: Layout, { key, certificate: { info } }: FoundCa): Stage['keeps'] {
  return [
    ...(key === undefined ? [] : [putAway(layout.retiredCaKey(info.serial), key)]),
    putAway(layout.retiredCaCertificate(info.serial), info.pem),
  ];
}
