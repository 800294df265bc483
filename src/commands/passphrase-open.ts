// Opening the passphrase file, for every command that needs the passphrase. A `passphrase change` that was cut off is
// settled here: its new passphrase lies, encrypted, beside the CA's key until both files are replaced, and which of the
// two opens the key says which of the two holds. Nothing is removed before that is known.

import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openPassphrase } from '../custody/open.js';
import type { OperatorKeyFile } from '../custody/operator-key.js';
import type { SealedPassphrase } from '../custody/sealed-to.js';
import { RelaycertsError, listSome, quotePath, systemCode } from '../errors.js';
import { makeFolder, readFile, removeFile, statFile, syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { decryptPrivateKey } from '../issue/pbes2.js';
import type { Inventory } from '../plan/inventory.js';
import { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { guardWriting } from '../store/guard-writing.js';
import { keepAside, keptPassphrases } from '../store/kept-passphrases.js';
import { layoutOf, operatorKeyPlace, type Place } from '../store/layout.js';
import { withTurn } from '../store/turn.js';

/** What opening needs. */
export interface Custodian {
  readonly settings: Settings;
  readonly sys: Sys;
  /** The encrypted key's PEM. */
  readonly caKey: Buffer | undefined;
  readonly passphraseFile: Buffer | undefined;
  readonly operatorKey: OperatorKeyFile | undefined;
}

/** The custodian of an inventory that was read already. */
export function custodianOf(settings: Settings, sys: Sys, inventory: Inventory): Custodian {
  const { caKey, passphraseFile, operatorKey, operatorKeyPath } = inventory;
  return { settings, sys, caKey, passphraseFile, operatorKey: withPassword(operatorKey, operatorKeyPath, sys) };
}

/** The custodian alone, for commands that look at no certificate. @throws files, permissions */
export async function readCustodian(settings: Settings, sys: Sys): Promise<Custodian> {
  return {
    settings,
    sys,
    caKey: await readFile(layoutOf(settings).caKey.path),
    passphraseFile: await readFile(settings.passphrase.file, { followLink: true }),
    operatorKey: await readOperatorKeyFile(sys),
  };
}

/** The operator key's file; undefined where there is none. @throws files, permissions - others can read it */
export async function readOperatorKeyFile(sys: Sys): Promise<OperatorKeyFile | undefined> {
  const { path } = operatorKeyPlace(sys.configHome);
  const state = await statFile(path);
  if (state?.kind === 'file' && (state.mode & 0o077) !== 0) {
    throw new RelaycertsError(
      'permissions',
      `the operator key ${quotePath(path)} can be read or changed by others, and where others were on this machine, it is lost to them`,
      {
        hint: `chmod 600 ${shellWord(path)}`,
      },
    );
  }
  return withPassword(await readFile(path), path, sys);
}

/** The error for an operator key that is not there; make makes one for a first passphrase alone. */
export function noOperatorKey(path: string): RelaycertsError {
  return new RelaycertsError('files', `there is no operator key ${quotePath(path)}`, {
    hint: 'where there was one, restore it from a backup; with a first CA, relaycerts make makes it where passphrase.recipients names nobody',
  });
}

/** Asks for the key's own password where it is needed, once, and only on a terminal. */
function withPassword(bytes: Buffer | undefined, from: string, sys: Sys): OperatorKeyFile | undefined {
  if (bytes === undefined) return undefined;
  let asked: Promise<Secret> | undefined;
  const ask = (): Promise<Secret> => (asked ??= sys.askSecret(`Password of the operator key ${from}:`));
  return { armored: new Secret(bytes), from, password: sys.interactive ? ask : undefined };
}

/** Where a change keeps the new passphrase, encrypted, until it is done. */
export function pendingPlace(settings: Settings): Place {
  return layoutOf(settings).pendingPassphrase;
}

/**
 * The passphrase in the passphrase file, after ending a change that was cut off. Only while holding the lock: without
 * it, what is pending may be a change that is under way.
 * @throws passphrase, tool, files
 */
export async function openWithCustodian(custodian: Custodian): Promise<Secret> {
  const pending = await readFile(pendingPlace(custodian.settings).path);
  return pending === undefined ? openFile(custodian) : settle(custodian, pending);
}

/**
 * The same for a command that holds no lock: it takes it where there is a change to end.
 * @throws passphrase, tool, files, lock
 */
export async function openUnlocked(settings: Settings, sys: Sys): Promise<Secret> {
  const custodian = await readCustodian(settings, sys);
  if ((await statFile(pendingPlace(settings).path)) === undefined) return openFile(custodian);
  // Ending it writes.
  await guardWriting(settings, sys);
  return withTurn(settings, sys, async () => openWithCustodian(await readCustodian(settings, sys)));
}

async function openFile(custodian: Custodian): Promise<Secret> {
  const { settings, passphraseFile } = custodian;
  const { file } = settings.passphrase;
  if (passphraseFile === undefined) {
    throw new RelaycertsError('passphrase', `the passphrase file ${quotePath(file)} does not exist`, {
      hint: 'bring it back from a backup, or name its place as passphrase.file in the settings; make, renew and sign take the passphrase itself with --passphrase-fd N',
    });
  }
  return openPassphrase(sealedBy(custodian, passphraseFile, file));
}

/**
 * Ends a change that was cut off, for a command that needs no passphrase: until then the passphrase file alone may open
 * nothing. Where nobody here can open it, that is said. Only while holding the lock. @throws files, interrupted
 */
export async function endPendingChange(custodian: Custodian): Promise<void> {
  const { settings, sys } = custodian;
  const { path } = pendingPlace(settings);
  if ((await statFile(path)) === undefined) return;
  try {
    await openWithCustodian(custodian);
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code === 'files' || error.code === 'interrupted') throw error;
    sys.warn(
      `a change of the passphrase was cut off, and could not be ended here (${error.message}): keep ${quotePath(path)}`,
      'where a recipient can open it: relaycerts passphrase show',
    );
  }
}

/** Whether the passphrase opens the CA's key. @throws certificate - the key is damaged */
export async function opensCaKey(caKey: Buffer, passphrase: Secret): Promise<boolean> {
  try {
    await decryptPrivateKey(caKey, passphrase);
    return true;
  } catch (error) {
    if (error instanceof RelaycertsError && error.code === 'passphrase') return false;
    throw error;
  }
}

/** The error for a passphrase that does not open the CA's key; `why` is what there is to say about it. @throws files */
export async function opensNothing(
  settings: Settings,
  why = `the passphrase does not open the CA's key ${quotePath(layoutOf(settings).caKey.path)}`,
): Promise<RelaycertsError> {
  const kept = await keptPassphrases(settings.passphrase.file);
  const older =
    kept.length === 0
      ? ''
      : `; where that is one that a passphrase change has kept (${listSome(kept.map((path) => quotePath(path)))}), name a copy of it as passphrase.file in the settings`;
  return new RelaycertsError('passphrase', why, {
    hint: `use the passphrase file that was made together with this key${older}`,
  });
}

/** Replaces the passphrase file (where it is a link, what the link names) whole and durably. @throws files */
export async function replacePassphraseFile(settings: Settings, bytes: Uint8Array): Promise<string> {
  const path = await resolveLink(settings.passphrase.file);
  await makeFolder(dirname(path), 0o700, { followLink: true });
  await writeFile(path, bytes, 0o600);
  await syncFolder(dirname(path));
  return path;
}

/** Removes what a change left beside the CA's key. @throws files */
export async function removePending(settings: Settings): Promise<void> {
  const { path } = pendingPlace(settings);
  if (await removeFile(path)) await syncFolder(dirname(path));
}

async function settle(custodian: Custodian, pending: Buffer): Promise<Secret> {
  const { settings, sys, caKey, passphraseFile } = custodian;
  const { path } = pendingPlace(settings);
  let failure: unknown = await opensNothing(settings);
  if (passphraseFile !== undefined) {
    try {
      const passphrase = await openPassphrase(sealedBy(custodian, passphraseFile, settings.passphrase.file));
      if (caKey === undefined || (await opensCaKey(caKey, passphrase))) {
        await removePending(settings);
        sys.say(`a change of the passphrase was cut off: removed ${path}; ${settings.passphrase.file} holds`);
        return passphrase;
      }
    } catch (error) {
      if (!(error instanceof RelaycertsError)) throw error;
      failure = error;
    }
  }
  const passphrase = await openPassphrase(sealedBy(custodian, pending, path));
  if (caKey === undefined || !(await opensCaKey(caKey, passphrase))) throw failure;
  await keepAside(settings.passphrase.file);
  const file = await replacePassphraseFile(settings, pending);
  await removePending(settings);
  sys.say(`a change of the passphrase was cut off: finished it; ${file} now holds the new passphrase`);
  return passphrase;
}

/** The bytes of a passphrase file with what may open it; `from` names them in errors. */
export function sealedBy({ sys, operatorKey }: Custodian, bytes: Uint8Array, from: string): SealedPassphrase {
  const operatorKeyPath = operatorKeyPlace(sys.configHome).path;
  return { bytes, from, operatorKey, operatorKeyPath, run: sys.run, tty: sys.tty };
}

async function resolveLink(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path;
    throw error;
  }
}
