// Encrypting the passphrase to its recipients, again: to those of the settings when they have changed. The old file is
// replaced only when the new one has been opened; where nobody here can open it, the old one stays beside it.

import { proveSealed } from '../custody/open.js';
import { isSealedTo, operatorRecipient, readOperatorKey } from '../custody/operator-key.js';
import type { RecipientKey } from '../custody/recipient-key.js';
import { findInKeyring, recipientsOf } from '../custody/recipients.js';
import { sealPassphrase } from '../custody/seal.js';
import { hiddenKeyId, readSealedTo } from '../custody/sealed-to.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { readNamedFile } from '../sys/files.js';
import { describeStep } from '../plan/describe-step.js';
import type { Secret } from '../secret.js';
import { shellWord } from '../shell-word.js';
import { keepAside } from '../store/kept-passphrases.js';
import type { StepOf } from './work.js';
import { replacePassphraseFile, sealedBy, type Custodian } from './passphrase-open.js';

/**
 * Encrypts the passphrase to the recipients of the settings and replaces the file.
 * @throws recipient, passphrase, tool, files - and then the old file is whole
 */
export async function resealPassphrase(
  custodian: Custodian,
  step: StepOf<'reseal'>,
  passphrase: Secret,
  at: Date,
): Promise<void> {
  const { settings, sys } = custodian;
  const recipients = await recipientsOfSettings(custodian, at);
  const sealed = await sealPassphrase(passphrase, recipients, at);
  for (const warning of sealed.warnings) sys.warn(warning);
  const proof = await proveSealed(sealedBy(custodian, sealed.bytes, step.path), passphrase);
  const kept = proof === undefined ? await keepAside(settings.passphrase.file) : undefined;
  await replacePassphraseFile(settings, sealed.bytes);
  sys.say(`made ${describeStep(step)}`);
  if (kept !== undefined) {
    sys.warn(
      `nobody here can open the new passphrase file, so that it opens could not be proven; the old one is ${quotePath(kept)}`,
      `when a recipient has opened the new one with gpg --decrypt: rm ${shellWord(kept)}`,
    );
  }
  if (step.removed.length > 0) {
    sys.warn(
      `whoever could open the old passphrase file (${step.removed.join(', ')}) may still know the passphrase`,
      'relaycerts passphrase change',
    );
  }
}

/** The keys that passphrase.recipients names. @throws recipient, tool */
export async function recipientsOfSettings(
  { settings, sys }: Pick<Custodian, 'settings' | 'sys'>,
  at: Date,
): Promise<readonly RecipientKey[]> {
  const context = { folder: settings.folder, home: sys.home, at, run: sys.run, readFile: readNamedFile };
  return recipientsOf(settings.passphrase.recipients, context);
}

/**
 * To whom a new passphrase goes: the recipients of the settings; where there are none, whoever can open the old file;
 * without a file, the operator key.
 * @throws recipient - it cannot be told; tool
 */
export async function recipientsForChange(custodian: Custodian, at: Date): Promise<readonly RecipientKey[]> {
  const { settings, sys, passphraseFile, operatorKey } = custodian;
  const { file, recipients } = settings.passphrase;
  if (recipients.length > 0) return recipientsOfSettings(custodian, at);
  const own = operatorKey === undefined ? undefined : await readOperatorKey(operatorKey);
  if (passphraseFile === undefined) {
    if (operatorKey === undefined) throw cannotTell(`${quotePath(file)} does not exist, and there is no operator key`);
    return [await operatorRecipient(operatorKey, at)];
  }
  const sealedTo = readSealedTo(passphraseFile, { from: file });
  if (sealedTo.hasPassword) throw cannotTell(`${quotePath(file)} is encrypted to a password`);
  if (sealedTo.keyIds.includes(hiddenKeyId)) throw cannotTell(`${quotePath(file)} hides its recipients`);
  const found: RecipientKey[] = [];
  if (operatorKey !== undefined && own !== undefined && isSealedTo(sealedTo, own)) {
    found.push(await operatorRecipient(operatorKey, at));
  }
  for (const id of sealedTo.keyIds) {
    if (own?.keyIds.includes(id) === true) continue;
    found.push(...(await findInKeyring(id, { run: sys.run, at })));
  }
  return found;
}

function cannotTell(what: string): RelaycertsError {
  return new RelaycertsError('recipient', `to whom the new passphrase should be encrypted cannot be told: ${what}`, {
    hint: 'name its recipients as passphrase.recipients in the settings',
  });
}
