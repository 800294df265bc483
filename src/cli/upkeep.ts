// The commands of the years after: status, renew, retire, revoke, sign, export. Their options and help are here; what they
// do is in commands/, and loaded when it runs.

import { type Command, Option } from 'commander';
import { RelaycertsError, quote } from '../errors.js';
import { days, example, fileDescriptor, passphraseFdOption, unknownCommand, type WithSys } from './options.js';

export function addStatus(program: Command, withSys: WithSys): void {
  program
    .command('status')
    .description('how every certificate stands, the most urgent first; exit code 3 where something needs care')
    .addOption(
      days(
        '--warn <days>',
        'a certificate is due so many days before it expires (default: certificates.renewBeforeDays)',
      ),
    )
    .addOption(days('--critical <days>', 'critical for a monitoring plugin').default(7))
    .addOption(
      new Option('--format <format>', 'nagios: the line and the codes of a monitoring plugin')
        .choices(['table', 'nagios'])
        .default('table'),
    )
    .addHelpText(
      'after',
      example('relaycerts status', 'relaycerts status --json', 'relaycerts status --format nagios --warn 21'),
    )
    .action(
      withSys(async (sys, global, flags: { warn?: number; critical: number; format: 'table' | 'nagios' }) => {
        if (global.json && flags.format === 'nagios') {
          throw new RelaycertsError('usage', '--json cannot be used with --format nagios, which is one line of text', {
            hint: { run: ['status', '--json'] },
          });
        }
        const { status } = await import('../commands/status.js');
        await status({ ...global, warnDays: flags.warn, criticalDays: flags.critical, format: flags.format }, sys);
      }),
    );
}

export function addRenew(program: Command, withSys: WithSys): void {
  program
    .command('renew')
    .description(
      'new certificates: of all that is due, or of the hosts named; for the same key, so that the pin stays (with ' +
        'postfix.pin "certificate" it changes, and both are listed until relaycerts retire)',
    )
    .argument('[host...]', 'the hosts, by name; all that are due where none is named')
    .addOption(
      new Option('--due', 'for cron: what is due alone, as without this, and no word of what is not').conflicts([
        'force',
        'rekey',
      ]),
    )
    .option('--force', 'what is not due as well')
    .option('--rekey', 'for a new key; the old pin stays listed until relaycerts retire')
    .addOption(
      new Option(
        '--ca',
        'the CA itself: for the same key at once; with --rekey for a new key, one of three stages with each run',
      ).conflicts(['due', 'force']),
    )
    .addOption(passphraseFdOption())
    .addHelpText(
      'after',
      example(
        'relaycerts renew',
        'relaycerts --wait 600 renew --due                  from cron',
        'relaycerts renew mailhost --force',
        'relaycerts renew --rekey mailhost',
        'relaycerts renew --ca                              a new certificate of the CA, for the same key',
        'relaycerts renew --ca --rekey                      the next stage to a CA with a new key',
      ),
    )
    .action(
      withSys(
        async (
          sys,
          global,
          hosts: string[],
          flags: { ca?: true; due?: true; force?: true; rekey?: true; passphraseFd?: number },
        ) => {
          const { passphraseFd } = flags;
          const rekey = flags.rekey === true;
          if (flags.ca !== true) {
            const { renew } = await import('../commands/renew.js');
            const [due, force] = [flags.due === true, flags.force === true];
            await renew({ ...global, hosts, due, force, rekey, passphraseFd }, sys);
            return;
          }
          if (hosts.length > 0) {
            throw new RelaycertsError('usage', `--ca renews the CA alone, and not ${quote(hosts[0])}`, {
              hint: { run: rekey ? ['renew', '--ca', '--rekey'] : ['renew', '--ca'] },
            });
          }
          if (rekey) {
            const { rekeyCa } = await import('../commands/rekey-ca.js');
            await rekeyCa({ ...global, passphraseFd }, sys);
            return;
          }
          const { renewCa } = await import('../commands/renew-ca.js');
          await renewCa({ ...global, passphraseFd }, sys);
        },
      ),
    );
}

export function addRetire(program: Command, withSys: WithSys): void {
  program
    .command('retire')
    .description(
      'end a rekey, or a renewal where the certificate is pinned: take the old pin out of the table, once the new one is in use',
    )
    .argument('[host...]', 'the hosts, by name; all that are pending where none is named')
    .addHelpText('after', example('relaycerts retire mailhost'))
    .action(
      withSys(async (sys, global, hosts: string[]) => {
        const { retire } = await import('../commands/retire.js');
        await retire({ ...global, hosts }, sys);
      }),
    );
}

export function addRevoke(program: Command, withSys: WithSys): void {
  program
    .command('revoke')
    .description('take a host out for good, and print what to run on the relays')
    .argument('<host>', 'the host, by name')
    .option('--reason <text>', 'for the ledger', '')
    .addHelpText('after', example("relaycerts revoke mailhost --reason 'the disk was stolen'"))
    .action(
      withSys(async (sys, global, hostname: string, flags: { reason: string }) => {
        const { revoke } = await import('../commands/revoke.js');
        await revoke({ ...global, hostname, reason: flags.reason }, sys);
      }),
    );
}

export function addSign(program: Command, withSys: WithSys): void {
  program
    .command('sign')
    .description('sign the certificate request of a host that makes its own key')
    .argument('<file>', 'the request, PEM or DER; - is standard input')
    .requiredOption('--host <name>', 'the host whose certificate it is; its names come from the settings')
    .option('--again', 'a host that was revoked relays again, with a new key')
    .addOption(passphraseFdOption())
    .addHelpText(
      'after',
      example(
        'relaycerts show mailhost --section request         how the host makes key and request',
        'relaycerts sign mailhost.example.org.csr.pem --host mailhost',
      ),
    )
    .action(
      withSys(async (sys, global, file: string, flags: { host: string; again?: true; passphraseFd?: number }) => {
        const { sign } = await import('../commands/sign.js');
        const again = flags.again === true;
        await sign({ ...global, file, hostname: flags.host, again, passphraseFd: flags.passphraseFd }, sys);
      }),
    );
}

export function addExport(program: Command, withSys: WithSys): void {
  const group = program
    .command('export')
    .description("a host's key and certificates in one file, for programs that are no Postfix")
    .helpCommand(false)
    .addHelpText('after', example('relaycerts export p12 mailhost'))
    .action(async () => {
      const [word] = group.args;
      if (word !== undefined) throw await unknownCommand(group, word, ['export']);
      throw new RelaycertsError('usage', 'export needs a format: p12', { hint: { run: ['export', '--help'] } });
    });
  group
    .command('p12')
    .description('key, certificate and CA as PKCS#12 (.p12, .pfx), for Windows, Java, mail programs')
    .argument('<host>', 'the host, by name')
    .addOption(fileDescriptor('--password-fd <n>', 'read the password of the new file from this file descriptor'))
    .option('--out <file>', 'where to write it, instead of FQDN.p12 here; - is standard output')
    .addHelpText(
      'after',
      example(
        'relaycerts export p12 mailhost                     asks for a password, writes mailhost.example.org.p12',
        'relaycerts export p12 mailhost --out exchange.pfx --password-fd 3 3< password.txt',
      ),
    )
    .action(
      withSys(async (sys, global, name: string, flags: { passwordFd?: number; out?: string }) => {
        const { exportPkcs12 } = await import('../commands/export-p12.js');
        await exportPkcs12({ ...global, hostname: name, passwordFd: flags.passwordFd, out: flags.out }, sys);
      }),
    );
}
