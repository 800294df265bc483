// The part of `make` that comes before any host: the passphrase file, the operator key and the CA itself. It returns
// the state that includes them, and the CA opened for signing; nothing is written here.

import { parseCertificate } from '../certificate/certificate.js';
import { isWeak, newPassphrase } from '../custody/passphrase.js';
import {
  assertGivenInFile,
  openPassphraseFile,
  recipientsOfSettings,
  sealAgain,
  sealFirst,
} from '../custody/passphrase-file.js';
import { commandText, quotePath, type Problem } from '../errors.js';
import { generateKey, type KeyPair } from '../issue/keys.js';
import { encryptPrivateKey } from '../issue/pbes2.js';
import type { Issuer } from '../issue/x509.js';
import { describeStep } from '../plan/describe-step.js';
import type { Inventory } from '../plan/inventory.js';
import { isHostStep, type Step, type StepOf } from '../plan/plan.js';
import { weakPassphrase } from '../plan/warnings.js';
import type { Secret } from '../secret.js';
import { shellWord } from '../shell-word.js';
import { planKept } from '../store/kept-passphrases.js';
import { entryOf, type DkimEntry, type LedgerEntry } from '../store/ledger.js';
import type { FileWrite } from '../store/transaction.js';
import { openCaKey } from './ca-key.js';
import { shownPath } from '../sys/shown-path.js';
import type { Done, Work } from './run.js';

export interface PreparedCa {
  readonly after: Inventory;
  readonly entries: readonly (LedgerEntry | DkimEntry)[];
  readonly keeps: readonly FileWrite[];
  readonly done: readonly Done[];
  /** For use after the change. */
  readonly warnings: readonly Problem[];
  /** The passphrase is encrypted to an operator key made for it. */
  readonly isOperatorKeyNew: boolean;
  /** The CA, ready to sign; only if a step needs it. */
  readonly issuer: () => Issuer | Promise<Issuer>;
}

/**
 * `adopted`: the key of an existing CA, for a `ca-key` step, in place of a new one.
 * @throws passphrase, recipient, tool, certificate, interrupted
 */
export async function prepareCa(
  work: Work,
  steps: readonly Step[],
  given: Secret | undefined,
  adopted?: KeyPair,
): Promise<PreparedCa> {
  const find = <Kind extends Step['kind']>(kind: Kind): StepOf<Kind> | undefined =>
    steps.find((step): step is StepOf<Kind> => step.kind === kind);
  const caKeyStep = find('ca-key');
  const caKey = caKeyStep && Promise.resolve(adopted ?? generateKey(caKeyStep.keyType));
  caKey?.catch(() => undefined);
  const custody = await prepareCustody(work, find('reseal'), find('passphrase'), given);
  const needsCa = caKeyStep !== undefined || find('ca-certificate') !== undefined || steps.some(isHostStep);
  if (!needsCa)
    return { ...custody, entries: [], issuer: async () => Promise.reject(new TypeError('no step needs the CA')) };
  const open = custody.passphrase ?? given;
  const passphrase = open ?? (await openPassphraseFile(work));
  let after = custody.after;
  const done = [...custody.done];
  const warnings = [...custody.warnings];
  let pair: KeyPair;
  if (caKey === undefined) {
    pair = await openCaKey(work.settings, work.inventory, passphrase);
  } else {
    pair = await caKey;
    // A passphrase that a person may have chosen has to resist guessing.
    const strength = custody.isRandom ? 'random' : 'typed';
    const source = given === undefined ? `in ${quotePath(work.settings.passphrase.file)}` : 'that was given';
    if (isWeak(passphrase)) warnings.push(weakPassphrase(source));
    after = { ...after, caKey: Buffer.from(await encryptPrivateKey(pair.privateKey, passphrase, strength)) };
    if (open === undefined) {
      const what = 'used the existing passphrase file, which other projects may share';
      done.push({ what, path: work.settings.passphrase.file });
    }
  }
  const issued = await issueMissingCa(work, after, pair);
  return {
    ...custody,
    after: issued.after,
    warnings,
    entries: issued.entries,
    done: [...done, ...steps.filter(({ kind }) => kind.startsWith('ca-')).map(madeStep)],
    issuer: () => ({ certificatePem: issued.after.caCertificate.info.pem, privateKey: pair.privateKey }),
  };
}

export function madeStep(step: Step): Done {
  return { what: `made ${describeStep(step)}`, path: step.path };
}

async function issueMissingCa({ settings, at }: Work, state: Inventory, keyPair: KeyPair) {
  const { caCertificate, caCertificatePath: path } = state;
  if (caCertificate !== undefined) return { after: { ...state, caCertificate }, entries: [] };
  const { issueCa } = await import('../issue/x509.js');
  const { commonName, validDays, permittedDomains } = settings.ca;
  const pem = await issueCa({ commonName, subject: settings.subject, keyPair, at, validDays, permittedDomains });
  const info = parseCertificate(pem, { from: 'the new CA certificate' });
  return {
    after: { ...state, caCertificate: { path, info } },
    entries: [entryOf('issued', 'ca', commonName, info, at)],
  };
}

interface PreparedCustody extends Pick<PreparedCa, 'after' | 'keeps' | 'done' | 'warnings' | 'isOperatorKeyNew'> {
  /** Undefined if the passphrase was not opened. */
  readonly passphrase: Secret | undefined;
  /** It is new, with 256 random bits. */
  readonly isRandom: boolean;
}

async function prepareCustody(
  work: Work,
  reseal: StepOf<'reseal'> | undefined,
  first: StepOf<'passphrase'> | undefined,
  given: Secret | undefined,
): Promise<PreparedCustody> {
  const { settings, inventory } = work;
  const none = { passphrase: undefined, isRandom: false, isOperatorKeyNew: false };
  const plain = { after: inventory, keeps: [], done: [], warnings: [], ...none };
  if (reseal !== undefined) return resealed(work, reseal, given);
  if (first === undefined) {
    const isNewCa = inventory.caKey === undefined && inventory.caCertificate === undefined;
    if (given !== undefined && isNewCa && inventory.passphraseFile !== undefined) await assertGivenInFile(work, given);
    return plain;
  }
  const passphrase = given ?? newPassphrase();
  const { passphraseFile, operatorKey = inventory.operatorKey } = await sealFirst(work, passphrase);
  const path = inventory.operatorKeyPath;
  const isNew = operatorKey !== inventory.operatorKey;
  return {
    ...plain,
    after: { ...inventory, passphraseFile, operatorKey },
    done: [
      ...(isNew
        ? [
            madeStep({ kind: 'operator-key', path }),
            '  back it up; to have it in GnuPG too:',
            `  gpg --import ${shownPath(path, work.sys)}`,
            '  it has no password; to give it one:',
            `  ${commandText(settings.program, ['passphrase', 'operator-password'])}`,
          ]
        : []),
      madeStep(first),
    ],
    passphrase,
    isRandom: given === undefined,
    isOperatorKeyNew: isNew,
  };
}

/** The existing passphrase, sealed to the recipients that the settings name now. */
async function resealed(work: Work, step: StepOf<'reseal'>, given: Secret | undefined): Promise<PreparedCustody> {
  const { settings, inventory } = work;
  const { passphraseFile, passphrasePath } = inventory;
  // The file's passphrase must open this CA, or another project's passphrase would go to these recipients.
  const passphrase = given ?? (await openPassphraseFile(work));
  await openCaKey(settings, inventory, passphrase);
  const isKnown = given === undefined || (await assertGivenInFile(work, given));
  const { bytes, isProven } = await sealAgain(work, passphrase, await recipientsOfSettings(work));
  const isSafe = (isProven && isKnown) || passphraseFile === undefined;
  const kept = isSafe ? undefined : planKept(passphrasePath, passphraseFile);
  const warnings: Problem[] = [];
  if (kept !== undefined && isProven) {
    const message = `the passphrase file that was there could not be opened, so it may be another project's: it is kept as ${quotePath(kept.path)}`;
    warnings.push({ message, hint: `if nothing needs it: rm ${shellWord(kept.path)}` });
  } else if (kept !== undefined) {
    warnings.push({
      message: `no secret key here can open the new passphrase file, so it is not proven to open; the old one is ${quotePath(kept.path)}`,
      hint: `once a recipient has opened the new one with gpg --decrypt: rm ${shellWord(kept.path)}`,
    });
  }
  if (step.removed.length > 0) {
    warnings.push({
      message: `those who could open the old passphrase file (${step.removed.join(', ')}) may still know the passphrase`,
      hint: { run: ['passphrase', 'change'] },
    });
  }
  return {
    after: { ...inventory, passphraseFile: bytes },
    keeps: kept === undefined ? [] : [kept],
    done: [madeStep(step)],
    warnings,
    passphrase,
    isRandom: false,
    isOperatorKeyNew: false,
  };
}
