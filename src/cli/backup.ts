// `relaycerts backup` and `restore`: their options and help. Their code is in commands/backup.ts and restore.ts, and
// loaded when it runs.

import type { BackupOptions } from '../commands/backup.js';
import type { RestoreOptions } from '../commands/restore.js';
import { fileDescriptor, passphraseFdOption, type SysCommand } from './options.js';

export function addBackup(program: SysCommand): void {
  program
    .command('backup')
    .description(
      'write everything that must not be lost into one OpenPGP file, for the recipients in the settings or under a ' +
        "password, and prove that the CA's key opens from it",
    )
    .argument('<file>', 'the new file; an existing file is not overwritten')
    .option('--password', 'encrypt it under a password, even if the settings have recipients')
    .addOption(fileDescriptor('--password-fd <n>', 'read the password of the backup from this file descriptor'))
    .addOption(passphraseFdOption())
    .examples('relaycerts backup ~/example.org.backup.gpg', 'gpg --decrypt example.org.backup.gpg | tar -t')
    .runs(async (sys, options: Omit<BackupOptions, 'file'>, file: string) => {
      const { backup } = await import('../commands/backup.js');
      await backup({ ...options, file }, sys);
    });

  program
    .command('restore')
    .description('restore a backup into an empty folder; nothing is overwritten')
    .argument('<file>', 'the backup')
    .addOption(fileDescriptor('--password-fd <n>', 'read the password of the backup from this file descriptor'))
    .examples(
      'mkdir new && cd new && relaycerts restore ~/example.org.backup.gpg',
      'relaycerts --settings example.org/settings.json restore example.org.backup.gpg',
    )
    .runs(async (sys, options: Omit<RestoreOptions, 'file'>, file: string) => {
      const { restore } = await import('../commands/restore.js');
      await restore({ ...options, file }, sys);
    });
}
