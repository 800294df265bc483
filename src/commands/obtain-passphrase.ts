// The passphrase file, as make uses it: opened when the CA's key is needed, made and sealed to its recipients before any
// key depends on it, and sealed anew where the recipients in the settings have changed.

import { dirname } from 'node:path';
import { makeOperatorKey, operatorRecipient } from '../custody/operator-key.js';
import type { RecipientKey } from '../custody/recipient-key.js';
import { recipientsOf } from '../custody/recipients.js';
import { sealPassphrase } from '../custody/seal.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { appeared, createFile, makeFolder, readNamedFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { describeStep } from '../plan/describe-step.js';
import type { Secret } from '../secret.js';
import { pathWord } from '../shell-word.js';
import { operatorKeyPlace } from '../store/layout.js';
import type { StepOf, Work } from './work.js';
import { custodianOf, openWithCustodian, opensCaKey, opensNothing } from './passphrase-open.js';
import { resealPassphrase } from './passphrase-seal.js';

/** Opens the passphrase file. @throws passphrase, tool, files */
export async function openPassphraseFile({
  settings,
  inventory,
  sys,
}: Pick<Work, 'settings' | 'inventory' | 'sys'>): Promise<Secret> {
  return openWithCustodian(custodianOf(settings, sys, inventory));
}

/**
 * Seals the passphrase that is there to the recipients of the settings, and gives it.
 * @throws recipient, passphrase, tool, files - and then the file is what it was
 */
export async function resealPassphraseFile(work: Work, step: StepOf<'reseal'>): Promise<Secret> {
  const { settings, inventory, sys, at, passphrase: given } = work;
  const custodian = custodianOf(settings, sys, inventory);
  const { caKey } = inventory;
  // Without a CA key there is nothing but the file that a given passphrase could be held against.
  const passphrase = caKey !== undefined && given !== undefined ? given : await openWithCustodian(custodian);
  if (caKey !== undefined && !(await opensCaKey(caKey, passphrase))) throw await opensNothing(settings);
  await resealPassphrase(custodian, step, passphrase, at);
  return passphrase;
}

/**
 * A new CA key must not be made under a given passphrase that the file which is there does not hold.
 * @throws passphrase
 */
export async function assertGivenInFile({ settings, inventory, sys, passphrase: given }: Work): Promise<void> {
  if (given === undefined || inventory.caKey !== undefined || inventory.passphraseFile === undefined) return;
  const file = quotePath(settings.passphrase.file);
  let held: Secret;
  try {
    held = await openWithCustodian(custodianOf(settings, sys, inventory));
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code === 'interrupted') throw error;
    sys.warn(`whether ${file} holds the given passphrase cannot be told here: ${error.message}`);
    return;
  }
  if (held.equals(given)) return;
  throw new RelaycertsError('passphrase', `${file} holds another passphrase than the given one`, {
    hint: 'run it without --passphrase-fd, or name another passphrase.file in the settings',
  });
}

/** Seals a passphrase into its file, durable when this returns. @throws recipient, passphrase, tool, files */
export async function sealPassphraseFile(
  { settings, inventory, sys, at }: Work,
  passphrase: Secret,
  operatorStep: StepOf<'operator-key'> | undefined,
  passphraseStep: StepOf<'passphrase'>,
): Promise<void> {
  let operatorRecipients: readonly RecipientKey[] = [];
  if (operatorStep !== undefined) {
    const place = operatorKeyPlace(sys.configHome);
    const made = await makeOperatorKey(at, `relaycerts operator key`, await offerPassword(sys));
    await makeFolder(dirname(place.path), 0o700, { followLink: true });
    if (!(await createFile(place.path, made.armored.revealBytes(), place.mode))) throw appeared(place.path);
    operatorRecipients = [made.recipient];
    sys.say(`made ${describeStep(operatorStep)}`);
    sys.say(`  it opens the CA's passphrase: back it up; GnuPG takes it with: gpg --import ${pathWord(place.path)}`);
  }
  const { operatorKey } = custodianOf(settings, sys, inventory);
  if (passphraseStep.recipients.length === 0 && operatorKey !== undefined) {
    operatorRecipients = [await operatorRecipient(operatorKey, at)];
  }
  const context = { folder: settings.folder, home: sys.home, at, run: sys.run, readFile: readNamedFile };
  const found = await recipientsOf(passphraseStep.recipients, context);
  const sealed = await sealPassphrase(passphrase, [...operatorRecipients, ...found], at);
  for (const warning of sealed.warnings) sys.warn(warning);
  await makeFolder(dirname(passphraseStep.path), 0o700, { followLink: true });
  if (!(await createFile(passphraseStep.path, sealed.bytes, 0o600))) throw appeared(passphraseStep.path);
  sys.say(`made ${describeStep(passphraseStep)}`);
}

/** The operator key's own password, where there is a terminal and the user wants one. */
async function offerPassword(sys: Sys): Promise<Secret | undefined> {
  if (!sys.interactive) return undefined;
  sys.say('a password for the operator key keeps stolen files shut; make then');
  sys.say('  asks for it whenever it issues a certificate');
  const password = await sys.askNewSecret('Password of the new operator key (Enter: none):');
  return password.revealBytes().length === 0 ? undefined : password;
}
