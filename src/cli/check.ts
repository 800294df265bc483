// The command that looks at hosts and relays: its options and help. Its code is in commands/check.ts, and loaded when
// it runs.

import { InvalidArgumentError, Option } from 'commander';
import type { CheckOptions } from '../commands/check.js';
import { RelaycertsError } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import type { SysCommand } from './options.js';

type Flags = Omit<CheckOptions, 'hosts' | 'from' | 'mailDomain'> & { from?: string; port25?: HostName };

export function addCheck(program: SysCommand): void {
  program
    .command('check')
    .description(
      'prove that it works: the files here, each host over ssh, and the live relay from outside, which must accept our ' +
        'clients and nobody else; exit code 3 if an error or a warning is found',
    )
    .argument('[host...]', 'the hosts, by name (default: all)')
    .option('--offline', 'only the files here')
    .addOption(
      new Option(
        '--from <host>',
        'only the connection to the relays, tried from this home host with its openssl',
      ).conflicts('offline'),
    )
    .addOption(
      new Option(
        '--port25 <domain>',
        "also check that the relays reach this domain's mail server on port 25, which some providers block",
      )
        .argParser((text) => {
          const domain = findHostName(text);
          if (domain === undefined) throw new InvalidArgumentError('Expected a domain that accepts mail.');
          return domain;
        })
        .conflicts(['offline', 'from']),
    )
    .addOption(
      new Option('--format <format>', 'nagios: the line and the codes of a monitoring plugin')
        .choices(['text', 'nagios'])
        .default('text'),
    )
    .examples(
      'relaycerts check',
      'relaycerts check relayhost',
      'relaycerts check --from mailhost',
      'relaycerts check --offline',
    )
    .runs(async (sys, options: Flags, hosts: readonly string[]) => {
      if (options.json && options.format === 'nagios') {
        throw new RelaycertsError('usage', '--json cannot be used with --format nagios, which is one line of text', {
          hint: { run: ['check', '--json'] },
        });
      }
      const { check } = await import('../commands/check.js');
      const { port25: mailDomain, from } = options;
      await check({ ...options, mailDomain, from, hosts }, sys);
    });
}
