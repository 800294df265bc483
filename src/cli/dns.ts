// The command that prints and checks DNS records: its options and help. Its code is in commands/dns.ts, and loaded when
// it runs.

import { Option } from 'commander';
import type { DnsOptions } from '../commands/dns.js';
import { mtaStsModes, type MtaStsMode } from '../dns/mta-sts-mode.js';
import { dnsFormats } from '../render/dns-records.js';
import type { SysCommand } from './options.js';

export function addDns(program: SysCommand): void {
  program
    .command('dns')
    .description(
      'print the DNS records that mail of the domain needs, or check them; exit code 3 if an error or ' +
        'a warning is found',
    )
    .addOption(new Option('--check', 'look the records up: each is right, wrong or unknown').conflicts('format'))
    .addOption(
      new Option('--format <format>', 'plain for web forms, zone for a zone file').choices(dnsFormats).default('plain'),
    )
    .option('--resolver <ip>', "ask this DNS server (default: the one in the settings, or the system's)")
    .addOption(
      new Option('--dnsbl', 'also look the addresses of the relays up in block lists').implies({ check: true }),
    )
    .option('--tlsa', "also print the TLSA records of the relays' certificates, for a zone with DNSSEC")
    .addOption(
      new Option(
        '--mta-sts <mode>',
        'also print the record and the policy file of MTA-STS; start with testing',
      ).choices(mtaStsModes),
    )
    .examples(
      'relaycerts dns',
      'relaycerts dns --format zone >records.zone',
      'relaycerts dns --check',
      'relaycerts dns --check --resolver 9.9.9.9 --dnsbl',
    )
    .runs(
      async (sys, options: Omit<DnsOptions, 'resolver' | 'mtaSts'> & { resolver?: string; mtaSts?: MtaStsMode }) => {
        const { dns } = await import('../commands/dns.js');
        await dns({ ...options, resolver: options.resolver, mtaSts: options.mtaSts }, sys);
      },
    );
}
