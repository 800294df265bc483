// `relaycerts passphrase change`: the CA's key under a new passphrase, with no instant at which nothing opens it. First
// the new passphrase, encrypted, lies durable beside the key; it is opened from there, and the key encrypted under it is
// opened with that; the old passphrase file is kept aside; then the key is replaced, then the passphrase file, and what
// lay beside the key goes last. A crash leaves one of the two passphrases with the key that it opens: passphrase-open.ts
// goes on from there.

import { dirname } from 'node:path';
import { proveSealed } from '../custody/open.js';
import { newPassphrase, readPassphraseFd } from '../custody/passphrase.js';
import { sealPassphrase } from '../custody/seal.js';
import { samePublicKey } from '../certificate/public-key.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { readFile, statFile, syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { decryptPrivateKey, encryptPrivateKey } from '../issue/pbes2.js';
import type { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { keepAside, keptPassphrases } from '../store/kept-passphrases.js';
import { layoutOf } from '../store/layout.js';
import { guardWriting } from '../store/guard-writing.js';
import { withTurn } from '../store/turn.js';
import { readInventory } from '../store/read.js';
import { assertRoom } from '../store/room.js';
import { sweepTemporaries } from '../store/sweep.js';
import { openCaKey } from './apply-make.js';
import type { GlobalOptions } from './options.js';
import {
  type Custodian,
  custodianOf,
  openWithCustodian,
  pendingPlace,
  removePending,
  replacePassphraseFile,
  sealedBy,
} from './passphrase-open.js';
import { recipientsForChange } from './passphrase-seal.js';

export interface ChangeOptions extends GlobalOptions {
  /** File descriptors to read the passphrases from; undefined: the file is opened, and a new one made. */
  readonly passphraseFd: number | undefined;
  readonly newPassphraseFd: number | undefined;
}

/** @throws settings, usage, lock, contradiction, passphrase, recipient, tool, files */
export async function changePassphrase(options: ChangeOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const { passphraseFd, newPassphraseFd } = options;
  if (passphraseFd !== undefined && passphraseFd === newPassphraseFd) {
    throw new RelaycertsError('usage', `both passphrases from one file descriptor: ${passphraseFd}`, {
      hint: 'relaycerts passphrase change --passphrase-fd 3 --new-passphrase-fd 4 3< OLD 4< NEW',
    });
  }
  const old = passphraseFd === undefined ? undefined : await readPassphraseFd(passphraseFd);
  const next =
    newPassphraseFd === undefined ? undefined : await readPassphraseFd(newPassphraseFd, '--new-passphrase-fd');
  await guardWriting(settings, sys);
  await assertRoom(settings, sys, { hosts: 0, custody: true });
  await withTurn(settings, sys, () => change(settings, sys, old, next));
  if (options.json) sys.write(`${JSON.stringify({ changed: layoutOf(settings).caKey.path })}\n`);
}

async function change(
  settings: Settings,
  sys: Sys,
  old: Secret | undefined,
  chosen: Secret | undefined,
): Promise<void> {
  const at = sys.now();
  const inventory = await readInventory(settings, sys);
  if (inventory.problems.length > 0) {
    const message = inventory.problems.map((problem) => problem.message).join('; ');
    throw new RelaycertsError('contradiction', message, { problems: inventory.problems });
  }
  if (inventory.caKey === undefined) {
    throw new RelaycertsError('contradiction', `there is no CA's key ${quotePath(inventory.caKeyPath)} yet`, {
      hint: 'relaycerts make',
    });
  }
  if (inventory.nextCa !== undefined || inventory.formerCa !== undefined || inventory.isCaCut) {
    throw new RelaycertsError(
      'contradiction',
      'the CA is being rekeyed, and both of its keys are under this passphrase',
      {
        hint: 'finish that first: relaycerts renew --ca --rekey',
      },
    );
  }
  await sweepTemporaries(settings, sys, at);
  const custodian = custodianOf(settings, sys, inventory);
  const passphrase = old ?? (await openWithCustodian(custodian));
  const { privateKey } = await openCaKey(settings, inventory, passphrase);
  if (old !== undefined) await settleWithGiven(custodian, old, at);

  const recipients = await recipientsForChange(custodian, at);
  const next = chosen ?? newPassphrase();
  const sealed = await sealPassphrase(next, recipients, at);
  for (const warning of sealed.warnings) sys.warn(warning);
  const { path: pending, mode } = pendingPlace(settings);
  const { caKey } = layoutOf(settings);
  try {
    await writeFile(pending, sealed.bytes, mode);
    await syncFolder(dirname(pending));
    const proven = await provePending(custodian, pending, next, chosen !== undefined);
    const pem = await encryptPrivateKey(privateKey, proven, chosen === undefined ? 'random' : 'typed');
    if (!samePublicKey(await decryptPrivateKey(pem, proven), privateKey)) {
      throw new Error('the CA key that was just encrypted opens to another key');
    }
    await keepAside(settings.passphrase.file);
    await writeFile(caKey.path, pem, caKey.mode);
  } catch (error) {
    // Where the key could not be replaced, the old pair is whole; where that is not known, the pending file must stay.
    if (error instanceof RelaycertsError) await dropPendingOf(settings, inventory.caKey);
    throw error;
  }
  await syncFolder(dirname(caKey.path));
  const file = await replacePassphraseFile(settings, sealed.bytes);
  await removePending(settings);
  sys.say(`changed the passphrase: the CA's key ${caKey.path} is encrypted under a new one, which ${file} holds`);
  sys.say(
    `  make a new backup of both: a copy of the CA's key from before opens only with a copy of the file from before`,
  );
  for (const path of await keptPassphrases(settings.passphrase.file)) {
    sys.warn(
      `${quotePath(path)} holds an old passphrase: other projects that share the passphrase file, and copies of the CA's key from before, open with it alone`,
      `where nothing needs it any more: rm ${shellWord(path)}`,
    );
  }
}

/** The passphrase as read back from the file that will replace the old one. */
async function provePending(custodian: Custodian, pending: string, next: Secret, isGiven: boolean): Promise<Secret> {
  const { settings, sys } = custodian;
  const bytes = await readFile(pending);
  if (bytes === undefined) {
    throw new RelaycertsError('files', `${quotePath(pending)} is gone, which was written just now`, {
      hint: 'see what else is at work in this folder, and run the same command again',
    });
  }
  const proof = await proveSealed(sealedBy(custodian, bytes, settings.passphrase.file), next);
  if (proof !== undefined) return proof;
  if (isGiven) {
    sys.warn('nobody here can open the new passphrase file, so that it opens could not be proven: keep the passphrase');
    return next;
  }
  throw new RelaycertsError(
    'passphrase',
    `nothing was changed: no secret key of the recipients is here, and a passphrase in a file that could not be opened would be a risk`,
    { hint: 'run it where a recipient can open it, or give the new passphrase with --new-passphrase-fd N' },
  );
}

async function dropPendingOf(settings: Settings, caKeyBefore: Buffer): Promise<void> {
  // What cannot be read is not known to be the old key; the error that is told is the one before.
  const now = await readFile(layoutOf(settings).caKey.path).catch(() => undefined);
  if (now?.equals(caKeyBefore) === true) await removePending(settings);
}

/** With the passphrase given, an older change that was cut off is ended by sealing what was given, which opens the key. */
async function settleWithGiven(custodian: Custodian, given: Secret, at: Date): Promise<void> {
  const { settings, sys } = custodian;
  if ((await statFile(pendingPlace(settings).path)) === undefined) return;
  const { bytes } = await sealPassphrase(given, await recipientsForChange(custodian, at), at);
  await keepAside(settings.passphrase.file);
  const file = await replacePassphraseFile(settings, bytes);
  await removePending(settings);
  sys.say(`a change of the passphrase was cut off: ended it; ${file} holds the given passphrase, which opens the key`);
}
