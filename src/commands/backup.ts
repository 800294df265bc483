// `relaycerts backup`: everything that must not be lost, in one OpenPGP file. It succeeds only after the file was read
// back from the disk and opened, and the CA's key was opened with nothing but its contents. In the project, only the
// note of the last backup changes.

import { resolve } from 'node:path';
import { findOpeningKey, largestBackup, openBackup, recipientsForBackup } from '../custody/backup-file.js';
import { readPassphraseFd } from '../custody/passphrase.js';
import { openPassphraseFile } from '../custody/passphrase-file.js';
import type { RecipientKey } from '../custody/recipient-key.js';
import { sealBytes } from '../custody/seal.js';
import { RelaycertsError, quotePath, type Hint } from '../errors.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { writeAnswer } from '../json-text.js';
import { Secret } from '../secret.js';
import { collectBackup, parseBackup } from '../store/backup.js';
import { recordOf, writeBackupRecord } from '../store/backup-record.js';
import { writeTar } from '../store/tar.js';
import { readFile, writeNewFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { openCaKey } from './ca-key.js';
import { assertNewFile, obtainNewPassword } from './new-file.js';
import { contradiction, reading, type CaOptions, type Work } from './run.js';
import { readProject } from './known-clients.js';

export interface BackupOptions extends CaOptions {
  /** As typed. */
  readonly file: string;
  /** Under a password, even if there are recipients. */
  readonly password: boolean;
  /** A file descriptor to read that password from; undefined: it is asked for. */
  readonly passwordFd: number | undefined;
}

/** @throws settings, usage, contradiction, recipient, passphrase, tool, files, permissions, interrupted */
export async function backup(options: BackupOptions, sys: Sys): Promise<void> {
  if (options.file === '-') {
    throw new RelaycertsError('usage', 'a backup is proven where it was written, so not on standard output', {
      hint: { run: ['backup', 'FILE'] },
    });
  }
  const path = resolve(sys.cwd, options.file);
  const given = options.passphraseFd === undefined ? undefined : await readPassphraseFd(options.passphraseFd);
  const { settings, found: inventory, at } = await reading(options, sys, (one) => readProject(one, sys), true);
  if (inventory.problems.length > 0) throw contradiction(inventory.problems);
  const { caKey, caCertificate } = inventory;
  if (caKey === undefined || caCertificate === undefined) {
    throw new RelaycertsError(
      'contradiction',
      "there is nothing to back up: the CA's key or its certificate is not here",
      {
        hint: { run: ['make', '--dry-run'], before: 'to see what is missing:' },
      },
    );
  }
  await assertNewFile(path, ['backup', 'FILE'], sys);
  const work = { settings, inventory, sys, at };
  const ownKey = await findOpeningKey(work);
  const record = await recordOf(settings, inventory, at);
  const { files, left } = await collectBackup(settings, inventory, ownKey && inventory.operatorKey, record);
  for (const one of left)
    sys.warn(`${quotePath(one)} is not in the backup: it is not a regular file with a plain name`);
  const opener = await chooseOpener(options, work);
  const archive = writeTar(files, at);
  if (archive.length > largestBackup) {
    throw new RelaycertsError('files', `a backup would have ${archive.length} bytes, more than ${largestBackup}`, {
      hint: 'split the clients into several projects',
    });
  }
  const bytes = await sealBytes(archive, opener, at);
  await writeNewFile(path, bytes, 0o600, (temporary) =>
    proveBackup(temporary, { from: path, archive, opener, given, work }),
  );
  const fingerprint = fingerprintOf(caCertificate.info, 'certificate', 'sha256');
  const recipients = opener instanceof Secret ? [] : opener.map((key) => key.fingerprint);
  if (options.json) {
    const value = { file: path, made: record.made, files: files.length, recipients, authority: fingerprint };
    sys.write(writeAnswer('backup', value));
  }
  sys.say(`made the backup, and opened the CA's key from it; ${describeOpeners(opener)}`, path);
  sys.say(`  it holds the CA ${fingerprint}; keep it on another machine`);
  try {
    await writeBackupRecord(settings, record);
  } catch (error) {
    // Backups are wanted most when a disk is full or read-only; without the record, status only asks for another one.
    if (!(error instanceof RelaycertsError)) throw error;
    sys.warn(`status will ask for a backup again: ${error.message}`);
  }
}

function describeOpeners(opener: Secret | readonly RecipientKey[]): string {
  if (opener instanceof Secret) return 'it opens with its password only';
  return `it opens for ${opener.map(({ fingerprint, userId }) => userId || fingerprint).join(', ')}`;
}

/** The keys or the password that open the backup. @throws usage, recipient, passphrase, tool, interrupted */
async function chooseOpener(options: BackupOptions, work: Work): Promise<Secret | readonly RecipientKey[]> {
  const { sys } = work;
  const { passwordFd, file } = options;
  if (passwordFd === undefined && !options.password) {
    const recipients = await recipientsForBackup(work);
    for (const { warnings } of recipients) for (const warning of warnings) sys.warn(warning);
    if (recipients.length > 0) return recipients;
  }
  const why = 'the backup holds the key that opens it here, so it gets a password of its own: write it down';
  return obtainNewPassword({ file: 'backup', passwordFd, run: ['backup', file], why }, sys);
}

interface Proof {
  /** The file's future name, for errors. */
  readonly from: string;
  readonly archive: Buffer;
  readonly opener: Secret | readonly RecipientKey[];
  /** The CA's passphrase, if it was given. */
  readonly given: Secret | undefined;
  readonly work: Work;
}

/** Opens the backup from the disk, and the CA's key from the backup. @throws passphrase, tool, contradiction */
async function proveBackup(path: string, { from, archive, opener, given, work }: Proof): Promise<void> {
  const { settings, sys, at, inventory } = work;
  const bytes = readFile(path, { limit: largestBackup + 65_536 });
  if (bytes === undefined) throw new RelaycertsError('files', `${quotePath(path)} has disappeared`);
  const password = async (): Promise<Secret> => {
    if (opener instanceof Secret) return Promise.resolve(opener);
    throw new Error('a backup for recipients has a password');
  };
  const cure: Hint = {
    run: ['backup', 'FILE', '--password'],
    before: 'run it where its secret key is, or use a password:',
  };
  const back = await openBackup({ bytes, from, run: sys.run, tty: sys.tty, password, cure });
  if (!back.equals(archive)) throw new Error('the backup that was just made holds something else');
  const found = parseBackup(back, { ...sys, file: settings.file });
  if ('flaw' in found) throw new Error(`the backup that was just made is not one: ${found.flaw}`);
  const caKey = found.files.find((file) => file.path === inventory.caKeyPath)?.bytes;
  const { passphraseFile, operatorKey } = found;
  const custody = { settings, sys, at, inventory: { ...inventory, passphraseFile, operatorKey } };
  const passphrase = given ?? (await openPassphraseFile(custody));
  await openCaKey(settings, { ...inventory, caKey: caKey && Buffer.from(caKey) }, passphrase);
}
