// `relaycerts passphrase` and its commands.

import type { Command } from 'commander';
import { RelaycertsError } from '../errors.js';
import { example, fileDescriptor, passphraseFdOption, unknownCommand, type WithSys } from './options.js';

export function addPassphrase(program: Command, withSys: WithSys): void {
  const group = program
    .command('passphrase')
    .description("the CA's passphrase: who can open it, print it, change it; the operator key that opens it")
    .helpCommand(false)
    .addHelpText(
      'after',
      example(
        'relaycerts passphrase recipients                   who can open the passphrase file',
        'relaycerts passphrase change                       a new passphrase, for the same CA',
        'umask 077; relaycerts passphrase export-key --yes > operator-key-backup.asc',
      ),
    )
    .action(async () => {
      const [word] = group.args;
      if (word !== undefined) throw await unknownCommand(group, word, ['passphrase']);
      const names = group.commands.map((command) => command.name()).join(', ');
      throw new RelaycertsError('usage', `passphrase needs one of ${names}`, {
        hint: { run: ['passphrase', '--help'] },
      });
    });
  const yes = ['--yes', 'do not ask'] as const;
  group
    .command('recipients')
    .description('print who can open the passphrase file')
    .addHelpText('after', example('relaycerts passphrase recipients', 'relaycerts passphrase recipients --json'))
    .action(
      withSys(async (sys, global) => {
        const { printRecipients } = await import('../commands/passphrase-recipients.js');
        await printRecipients(global, sys);
      }),
    );
  group
    .command('show')
    .description('print the passphrase')
    .option(...yes)
    .addHelpText(
      'after',
      example(
        'relaycerts passphrase show',
        'relaycerts passphrase show --yes | openssl pkey -in certs/ca/example.org-ca.key.pem -passin stdin -noout -text_pub',
      ),
    )
    .action(
      withSys(async (sys, global, flags: { yes?: true }) => {
        const { showPassphrase } = await import('../commands/passphrase-show.js');
        await showPassphrase({ ...global, yes: flags.yes === true }, sys);
      }),
    );
  group
    .command('change')
    .description("encrypt the CA's key under a new passphrase")
    .addOption(passphraseFdOption())
    .addOption(fileDescriptor('--new-passphrase-fd <n>', 'read the new passphrase from this file descriptor'))
    .addHelpText(
      'after',
      example(
        'relaycerts passphrase change',
        'relaycerts passphrase change --passphrase-fd 3 --new-passphrase-fd 4 3< old 4< new',
      ),
    )
    .action(
      withSys(async (sys, global, flags: { passphraseFd?: number; newPassphraseFd?: number }) => {
        const { passphraseFd: fd, newPassphraseFd: newFd } = flags;
        const { changePassphrase } = await import('../commands/passphrase-change.js');
        await changePassphrase({ ...global, passphraseFd: fd, newPassphraseFd: newFd }, sys);
      }),
    );
  group
    .command('export-key')
    .description('print the operator key, a private key, for a backup')
    .option(...yes)
    .addHelpText(
      'after',
      example(
        'umask 077; relaycerts passphrase export-key --yes > operator-key-backup.asc',
        'relaycerts passphrase export-key --yes | gpg --import',
      ),
    )
    .action(
      withSys(async (sys, global, flags: { yes?: true }) => {
        const { exportKey } = await import('../commands/passphrase-show.js');
        await exportKey({ ...global, yes: flags.yes === true }, sys);
      }),
    );
  group
    .command('operator-password')
    .description("set, change or remove the operator key's own password")
    .addHelpText('after', example('relaycerts passphrase operator-password'))
    .action(
      withSys(async (sys) => {
        const { changeOperatorPassword } = await import('../commands/passphrase-operator.js');
        await changeOperatorPassword(sys);
      }),
    );
}
