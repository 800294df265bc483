// `relaycerts restore`: a project from a backup, into an empty folder, with the passphrase file and the operator key in
// their places. It is one change, and replaces nothing. Bundles are left to make, which needs no passphrase for them.

import { basename, dirname, resolve } from 'node:path';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { brokenBackup, findOpeningKey, largestBackup, openBackup } from '../custody/backup-file.js';
import { operatorRecipient, readOperatorKey } from '../custody/operator-key.js';
import { openPassphraseFile, operatorKeyOf, sealAgain, type CustodyWork } from '../custody/passphrase-file.js';
import { readPassphraseFd } from '../custody/passphrase.js';
import { readSealedTo } from '../custody/sealed-to.js';
import { RelaycertsError, listSome, quote, quotePath, timeText } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { custodyWarnings } from '../plan/warnings.js';
import type { Secret } from '../secret.js';
import { pathWord } from '../shell-word.js';
import { parseBackup, type BackupContent } from '../store/backup.js';
import { readBackupAge } from '../store/backup-record.js';
import { changeFolder } from '../store/journal.js';
import { restoredInstalled } from '../store/installed.js';
import { layoutOf, operatorKeyPlace } from '../store/layout.js';
import type { FileWrite } from '../store/transaction.js';
import { listFolder, readFile } from '../sys/files.js';
import { followLinks } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';
import { warnSome } from '../sys/warn-some.js';
import { assertWritable } from '../wizard/settings-file.js';
import { isShut, judgeOpening } from './custody.js';
import { commitChangeWithWords, inNewProject } from './locked.js';
import type { GlobalOptions } from './run.js';
import { readProject } from './known-clients.js';

export interface RestoreOptions extends GlobalOptions {
  /** As typed. */
  readonly file: string;
  /** A file descriptor to read the backup's password from; undefined: it is asked for. */
  readonly passwordFd: number | undefined;
}

/**
 * Exit code 3 if the CA's key does not open here. @throws usage, settings, passphrase, tool, files, permissions, lock,
 * interrupted
 */
export async function restore(options: RestoreOptions, sys: Sys): Promise<void> {
  const from = resolve(sys.cwd, options.file);
  const folder = dirname(options.settings);
  await assertEmpty(folder, from);
  const bytes = readFile(from, { limit: largestBackup, followLink: true });
  if (bytes === undefined) {
    throw new RelaycertsError('files', `there is no file ${quotePath(from)}`, { hint: 'name the file of the backup' });
  }
  const password = (): Promise<Secret> => obtainPassword(options, sys);
  const cure = `import the secret key that it is encrypted to, until this works: gpg --decrypt ${pathWord(from)} | tar -t`;
  const archive = await openBackup({ bytes, from, run: sys.run, tty: sys.tty, password, cure });
  const content = parseBackup(archive, { ...sys, file: options.settings });
  if ('flaw' in content) throw brokenBackup(from, content.flaw);
  const { settings } = content;
  await assertPlace(settings.passphrase.file, from);
  await inNewProject(settings, sys, async (lock) => {
    await assertEmpty(folder, from);
    const { installed } = layoutOf(settings);
    const project = content.files.map(({ path, bytes: saved, mode }) => {
      const restored = path === installed.path ? restoredInstalled(saved, settings) : saved;
      return { path, bytes: restored, mode, folderMode: 0o700, isNew: true } as const;
    });
    const writes = [...project, ...(await custodyWrites(content, sys))];
    await commitChangeWithWords(settings, sys, lock, { writes, appends: [], removes: [], empties: [] }, '');
  });
  const inventory = await readProject(settings, sys);
  const { caCertificate } = inventory;
  const authority = caCertificate && fingerprintOf(caCertificate.info, 'certificate', 'sha256');
  const made = (await readBackupAge(settings, inventory))?.made ?? null;
  const opening = await judgeOpening({ settings, inventory, sys, at: sys.now() }, 'unasked');
  if (options.json) {
    const { file, domain } = settings;
    sys.write(
      writeAnswer('restore', {
        settings: file,
        domain,
        made,
        files: content.files.length,
        authority: authority ?? null,
      }),
    );
  }
  sys.say(
    `restored ${content.files.length} files of ${settings.domain}, as of ${made === null ? 'an unknown day' : timeText(made)}: ${folder}`,
  );
  sys.say(`  its CA is ${authority ?? 'missing'}; compare that with what backup printed`);
  sys.say('  hosts revoked since then are back: revoke them again before you install anything');
  const warnings = custodyWarnings(opening, `in ${quotePath(settings.passphrase.file)}`);
  warnSome([...inventory.problems, ...warnings], sys);
  if (isShut(opening)) sys.endWith(3);
  sys.say(`  next, for the hosts' bundles: ${settings.program} make`);
  sys.say(`  then, to see what the hosts have now: ${settings.program} check`);
}

/** @throws files - the project's folder has something in it, other than the backup itself */
async function assertEmpty(folder: string, from: string): Promise<void> {
  const own = [
    '.relaycerts.lock',
    basename(changeFolder(folder)),
    ...(dirname(from) === folder ? [basename(from)] : []),
  ];
  const there = (await listFolder(folder)).filter((name) => !own.includes(name));
  if (there.length === 0) return;
  const names = listSome(there.map((name) => quote(name)));
  throw new RelaycertsError('files', `${quotePath(folder)} is not empty, and nothing is overwritten: ${names}`, {
    hint: { before: 'mkdir restored && cd restored &&', run: ['restore', from] },
  });
}

/** @throws permissions - the settings are another user's, whose passphrase file is where this user may not write */
async function assertPlace(file: string, from: string): Promise<void> {
  try {
    await assertWritable(file);
  } catch (error) {
    const message = `the settings in the backup have the passphrase file at ${quotePath(file)}, where this user cannot write`;
    const hint = `unpack it, and change passphrase.file in project/settings.json: gpg --decrypt ${pathWord(from)} | tar -x`;
    throw new RelaycertsError('permissions', message, { hint, cause: error });
  }
}

/** @throws usage, passphrase, interrupted */
async function obtainPassword({ passwordFd, file }: RestoreOptions, sys: Sys): Promise<Secret> {
  if (passwordFd !== undefined) return readPassphraseFd(passwordFd, '--password-fd', 'password of the backup');
  if (sys.interactive) return sys.askSecret('Password of the backup:');
  throw new RelaycertsError('usage', 'the backup has a password, and there is no terminal to ask on', {
    hint: { run: ['restore', file, '--password-fd', '3'], after: '3< PASSWORD-FILE' },
  });
}

/**
 * The passphrase files and the operator key, each with its path. If another operator key is already here, it stays,
 * because it opens other passphrases. @throws files, passphrase, recipient, tool, interrupted
 */
async function custodyWrites(content: BackupContent, sys: Sys): Promise<readonly FileWrite[]> {
  const { settings, kept, operatorKey } = content;
  const place = operatorKeyPlace(sys.configHome);
  const present = readFile(place.path);
  const passphraseFile = await sealForHere(content, present, sys);
  for (const bytes of [...(passphraseFile ? [passphraseFile] : []), ...kept.values()]) {
    readSealedTo(bytes, { from: settings.passphrase.file });
  }
  const path = followLinks(settings.passphrase.file);
  const files: readonly (readonly [string, Buffer | undefined])[] = [
    [path, passphraseFile],
    ...[...kept].map(([end, bytes]) => [`${path}${end}`, bytes] as const),
    [place.path, present === undefined ? operatorKey : undefined],
  ];
  const writes: FileWrite[] = [];
  for (const [to, bytes] of files) {
    const found = bytes && readFile(to, { followLink: true });
    if (bytes === undefined || found?.equals(bytes) === true) continue;
    if (found !== undefined) throw inTheWayError(to);
    writes.push({ path: to, bytes, mode: 0o600, folderMode: 0o700, isNew: true });
  }
  return writes;
}

/**
 * The passphrase file of a backup; if only the backup's operator key opens it and this machine has another one, it is
 * sealed again to that one. @throws passphrase, recipient, interrupted
 */
async function sealForHere(
  { settings, passphraseFile, operatorKey }: BackupContent,
  present: Buffer | undefined,
  sys: Sys,
): Promise<Buffer | undefined> {
  if (operatorKey === undefined || passphraseFile === undefined) return passphraseFile;
  const at = sys.now();
  const { path: operatorKeyPath } = operatorKeyPlace(sys.configHome);
  const workWith = (key: Buffer): CustodyWork => ({
    settings,
    sys,
    at,
    inventory: { passphraseFile, operatorKey: key, operatorKeyPath },
  });
  const own = await findOpeningKey(workWith(operatorKey));
  if (own === undefined) {
    throw new RelaycertsError('passphrase', "the backup's operator key does not open its passphrase file", {
      hint: 'take another backup; nothing was restored',
    });
  }
  const { keyIds } = readSealedTo(passphraseFile, { from: settings.passphrase.file });
  if (present === undefined || keyIds.some((id) => !own.keyIds.includes(id))) return passphraseFile;
  const here = operatorKeyOf({ inventory: { operatorKey: present, operatorKeyPath }, sys });
  const found =
    here && (await readOperatorKey(here).catch((error: unknown) => refuseUnreadable(error, operatorKeyPath)));
  if (here === undefined || found?.fingerprint === own.fingerprint) return passphraseFile;
  const passphrase = await openPassphraseFile(workWith(operatorKey));
  const { bytes } = await sealAgain(workWith(present), passphrase, [await operatorRecipient(here, at)]);
  sys.say(`the operator key ${operatorKeyPath} stays, and opens the passphrase file from now on`);
  return bytes;
}

/** The backup has an operator key, but the one that is there is never overwritten. */
function refuseUnreadable(error: unknown, path: string): never {
  if (!(error instanceof RelaycertsError)) throw error;
  const { hint } = inTheWayError(path);
  throw new RelaycertsError(error.code, error.message, { hint, cause: error });
}

function inTheWayError(path: string): RelaycertsError {
  return new RelaycertsError('files', `${quotePath(path)} exists with other content and is not overwritten`, {
    hint: `if nothing needs it: mv ${pathWord(path)} ${pathWord(`${path}.other`)}`,
  });
}
