// The passphrase file: opened when the CA's key is needed, and made, sealed to its recipients, before any key depends
// on it.

import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openPassphrase, type OperatorKeyFile } from '../custody/passphrase.js';
import type { RecipientKey } from '../custody/recipient-key.js';
import { findRecipient } from '../custody/recipients.js';
import { makeOperatorKey, operatorRecipient, sealPassphrase } from '../custody/seal.js';
import { appeared, createFile, makeFolder } from '../host/files.js';
import { describeStep } from '../plan/plan.js';
import { Secret } from '../secret.js';
import type { Inventory } from '../plan/inventory.js';
import { operatorKeyPlace } from '../store/layout.js';
import type { StepOf, Work } from './apply-make.js';

/** Opens the passphrase file. @throws passphrase, tool */
export async function openPassphraseFile({ settings, inventory, host }: Work): Promise<Secret> {
  return openPassphrase({
    bytes: inventory.passphraseFile ?? Buffer.alloc(0),
    from: settings.passphrase.file,
    operatorKey: operatorKeyOf(inventory),
    gpg: { run: host.run, tty: host.tty },
  });
}

/** Seals a passphrase into its file, durable when this returns. @throws recipient, passphrase, tool, files */
export async function sealPassphraseFile(
  { settings, inventory, host, at }: Work,
  passphrase: Secret,
  operatorStep: StepOf<'operator-key'> | undefined,
  passphraseStep: StepOf<'passphrase'>,
): Promise<void> {
  let operatorRecipients: readonly RecipientKey[] = [];
  if (operatorStep !== undefined) {
    const place = operatorKeyPlace(host.configHome);
    const made = await makeOperatorKey(at, `relaycerts operator key`);
    await makeFolder(dirname(place.path), 0o700);
    if (!(await createFile(place.path, made.armored.revealBytes(), place.mode))) throw appeared(place.path);
    operatorRecipients = [made.recipient];
    host.say(`made ${describeStep(operatorStep)}`);
    host.say(`  it opens the CA's passphrase: back it up; GnuPG takes it with: gpg --import ${place.path}`);
  }
  const operatorKey = operatorKeyOf(inventory);
  if (passphraseStep.recipients.length === 0 && operatorKey !== undefined) {
    operatorRecipients = [await operatorRecipient(operatorKey.armored, at, operatorKey.from)];
  }
  const found = await Promise.all(
    passphraseStep.recipients.map((name) =>
      findRecipient(name, { folder: settings.folder, home: host.home, at, run: host.run, readFile }),
    ),
  );
  const sealed = await sealPassphrase(passphrase, [...operatorRecipients, ...found.flat()], at);
  for (const warning of sealed.warnings) host.warn(warning);
  await makeFolder(dirname(passphraseStep.path), 0o700);
  if (!(await createFile(passphraseStep.path, sealed.bytes, 0o600))) throw appeared(passphraseStep.path);
  host.say(`made ${describeStep(passphraseStep)}`);
}

function operatorKeyOf({ operatorKey, operatorKeyPath }: Inventory): OperatorKeyFile | undefined {
  if (operatorKey === undefined) return undefined;
  return { armored: new Secret(operatorKey), from: operatorKeyPath, password: undefined };
}
