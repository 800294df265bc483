// `relaycerts passphrase` and its subcommands: their options and help. Their code is in commands/, and loaded when it
// runs.

import type { ChangeOptions } from '../commands/passphrase-change.js';
import type { ShowSecretOptions } from '../commands/passphrase-show.js';
import { fileDescriptor, passphraseFdOption, type SysCommand } from './options.js';

export function addPassphrase(program: SysCommand): void {
  const group = program
    .command('passphrase')
    .description("the CA's passphrase: who can open it, print it, change it; the operator key that opens it")
    .examples(
      'relaycerts passphrase recipients   who can open the passphrase file',
      'relaycerts passphrase change       a new passphrase, for the same CA',
      'umask 077; relaycerts passphrase export-key --yes > operator-key-backup.asc',
    );
  group
    .command('recipients')
    .description('print who can open the passphrase file')
    .examples('relaycerts passphrase recipients', 'relaycerts passphrase recipients --json')
    .runs(async (sys, options) => {
      const { printRecipients } = await import('../commands/passphrase-recipients.js');
      await printRecipients(options, sys);
    });
  group
    .command('show')
    .description('print the passphrase')
    .option('--yes', 'do not ask')
    .examples(
      'relaycerts passphrase show',
      'relaycerts passphrase show --yes | openssl pkey -passin stdin -noout -in KEY',
    )
    .runs(async (sys, options: ShowSecretOptions) => {
      const { showPassphrase } = await import('../commands/passphrase-show.js');
      await showPassphrase(options, sys);
    });
  group
    .command('change')
    .description("encrypt the CA's key under a new passphrase")
    .addOption(passphraseFdOption())
    .addOption(fileDescriptor('--new-passphrase-fd <n>', 'read the new passphrase from this file descriptor'))
    .examples('relaycerts passphrase change', 'relaycerts passphrase change --new-passphrase-fd 3 3< new')
    .runs(async (sys, options: ChangeOptions) => {
      const { changePassphrase } = await import('../commands/passphrase-change.js');
      await changePassphrase(options, sys);
    });
  group
    .command('export-key')
    .description('print the operator key, a private key, for a backup')
    .option('--yes', 'do not ask')
    .examples(
      'umask 077; relaycerts passphrase export-key --yes > operator-key-backup.asc',
      'relaycerts passphrase export-key --yes | gpg --import',
    )
    .runs(async (sys, options: ShowSecretOptions) => {
      const { exportKey } = await import('../commands/passphrase-show.js');
      await exportKey(options, sys);
    });
  group
    .command('operator-password')
    .description("change the operator key's own password; an empty one removes it")
    .examples('relaycerts passphrase operator-password')
    .runs(async (sys, options) => {
      const { changeOperatorPassword } = await import('../commands/passphrase-operator.js');
      await changeOperatorPassword(options, sys);
    });
  group.needsOneOf('one of ');
}
