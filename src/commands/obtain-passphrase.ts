// Where the CA's passphrase comes from: from --passphrase-fd, from the passphrase file, or made now and sealed to the
// recipients before any key depends on it.

import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { OperatorKeyFile } from '../custody/passphrase.js';
import { appeared, createFile, makeFolder } from '../host/files.js';
import { describeStep } from '../plan/plan.js';
import { Secret } from '../secret.js';
import type { Inventory } from '../plan/inventory.js';
import { operatorKeyPlace } from '../store/layout.js';
import type { StepOf, Work } from './apply-make.js';

/** The passphrase; `typed` where a person may have chosen it, so that the key's encryption has to resist guessing.
 * @throws passphrase, recipient, tool, files */
export async function obtainPassphrase(
  { settings, inventory, host, at, passphrase: given }: Work,
  operatorStep: StepOf<'operator-key'> | undefined,
  passphraseStep: StepOf<'passphrase'> | undefined,
): Promise<{ readonly passphrase: Secret; readonly typed: boolean }> {
  if (passphraseStep === undefined) {
    if (given !== undefined) return { passphrase: given, typed: true };
    const { openPassphrase } = await import('../custody/passphrase.js');
    const passphrase = await openPassphrase({
      bytes: inventory.passphraseFile ?? Buffer.alloc(0),
      from: settings.passphrase.file,
      operatorKey: operatorKeyOf(inventory),
      gpg: { run: host.run, tty: host.tty },
    });
    return { passphrase, typed: true };
  }
  const { makeOperatorKey, operatorRecipient, sealPassphrase } = await import('../custody/seal.js');
  const { newPassphrase } = await import('../custody/passphrase.js');
  const { findRecipient } = await import('../custody/recipients.js');
  let operatorKey = operatorKeyOf(inventory)?.armored;
  if (operatorStep !== undefined) {
    const place = operatorKeyPlace(host.configHome);
    const made = await makeOperatorKey(at, `relaycerts operator key`);
    await makeFolder(dirname(place.path), 0o700);
    if (!(await createFile(place.path, made.armored.revealBytes(), place.mode))) throw appeared(place.path);
    operatorKey = made.armored;
    host.say(`made ${describeStep(operatorStep)}`);
    host.say(`  it opens the CA's passphrase: back it up; GnuPG takes it with: gpg --import ${place.path}`);
  }
  const recipients =
    passphraseStep.recipients.length > 0
      ? await Promise.all(
          passphraseStep.recipients.map((name) =>
            findRecipient(name, { folder: settings.folder, home: host.home, at, run: host.run, readFile }),
          ),
        )
      : [[await operatorRecipient(operatorKey ?? new Secret(''), at, inventory.operatorKeyPath)]];
  const passphrase = given ?? newPassphrase();
  const sealed = await sealPassphrase(passphrase, recipients.flat(), at);
  for (const warning of sealed.warnings) host.warn(warning);
  await makeFolder(dirname(passphraseStep.path), 0o700);
  if (!(await createFile(passphraseStep.path, sealed.bytes, 0o600))) throw appeared(passphraseStep.path);
  host.say(`made ${describeStep(passphraseStep)}`);
  return { passphrase, typed: given !== undefined };
}

function operatorKeyOf({ operatorKey, operatorKeyPath }: Inventory): OperatorKeyFile | undefined {
  if (operatorKey === undefined) return undefined;
  return { armored: new Secret(operatorKey), from: operatorKeyPath, password: undefined };
}
