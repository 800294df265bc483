// The commands for later: status, renew, retire, revoke, sign, export. Their options and help are here; their code is
// in commands/, and loaded when it runs.

import { Option } from 'commander';
import type { ExportDockerOptions } from '../commands/export-docker.js';
import type { ExportAnsibleOptions } from '../commands/export-ansible.js';
import type { ExportOptions } from '../commands/export-p12.js';
import type { RenewOptions } from '../commands/renew.js';
import type { RevokeOptions } from '../commands/revoke.js';
import type { GlobalOptions } from '../commands/run.js';
import type { SignOptions } from '../commands/sign.js';
import type { StatusOptions } from '../commands/status.js';
import { RelaycertsError, quote } from '../errors.js';
import { states, statusRoles } from '../plan/states.js';
import type { Sys } from '../sys/sys.js';
import { days, fileDescriptor, passphraseFdOption, type SysCommand } from './options.js';

type StatusFlags = Omit<StatusOptions, 'hosts' | 'warnDays' | 'criticalDays' | 'next'> & {
  warn: number | undefined;
  critical: number;
};

/** What needs attention, and the next command. */
export async function runStatus(sys: Sys, global: GlobalOptions): Promise<void> {
  const { status } = await import('../commands/status.js');
  const all = { hosts: [], role: undefined, state: undefined, warnDays: undefined, passphraseFd: undefined };
  const plain = { wide: false, criticalDays: 0, format: 'table', open: false } as const;
  await status({ ...global, ...all, ...plain, due: true, next: true }, sys);
}

/** Adds status, renew, retire, revoke, sign and export. */
export function addUpkeep(program: SysCommand): void {
  program
    .command('status')
    .description(
      "list every certificate, most urgent first, whether its host has it, and whether the CA's passphrase can be " +
        'opened; exit code 3 if something needs attention',
    )
    .argument('[host...]', 'only these hosts, by name or pattern (* and ?)')
    .addOption(
      days(
        '--warn <days>',
        'a certificate is due this many days before it expires (default: certificates.renewBeforeDays)',
      ),
    )
    .option('--due', 'for cron: show only what needs attention; print nothing if nothing does')
    .addOption(new Option('--role <role>', 'only this role').choices(statusRoles))
    .addOption(new Option('--state <state>', 'only certificates in this state').choices(states))
    .option('--wide', 'also show serial and pin')
    .addOption(days('--critical <days>', 'with --format nagios, critical this many days before expiry').default(7))
    .addOption(
      new Option('--format <format>', 'nagios: the line and the codes of a monitoring plugin')
        .choices(['table', 'nagios'])
        .default('table'),
    )
    .option('--open', "prove that the CA's passphrase and key can be opened; ask for a password or card if needed")
    .addOption(passphraseFdOption())
    .examples(
      'relaycerts status',
      "relaycerts status 'shop*' --wide",
      'relaycerts status --state not-installed',
      'relaycerts status --open',
      'relaycerts status --format nagios --warn 21',
    )
    .runs(async (sys, options: StatusFlags, hosts: string[]) => {
      if (options.json && options.format === 'nagios') {
        throw new RelaycertsError('usage', '--json cannot be used with --format nagios, which is one line of text', {
          hint: { run: ['status', '--json'] },
        });
      }
      const { status } = await import('../commands/status.js');
      const { warn, critical } = options;
      await status({ ...options, hosts, warnDays: warn, criticalDays: critical, next: false }, sys);
    });

  program
    .command('renew')
    .description(
      'make new certificates for all hosts that are due, or for the hosts named. The key and the pin stay (with ' +
        'postfix.pin "certificate" the pin changes, and both are listed until relaycerts retire)',
    )
    .argument('[host...]', 'the hosts, by name or pattern (* and ?); default: all that are due')
    .addOption(new Option('--due', 'for cron: do not list certificates that are not due').conflicts(['force', 'rekey']))
    .option('--force', 'also renew certificates that are not due; with --dkim, remove a former key early')
    .option('--rekey', 'make a new key; the old pin stays listed until relaycerts retire')
    .addOption(
      new Option(
        '--ca',
        'renew the CA itself, with the same key; with --rekey give it a new key, in three stages, one per run',
      ).conflicts(['due', 'force']),
    )
    .addOption(
      new Option(
        '--dkim',
        'change the DKIM keys in three stages, one per run: make the next key, to be published; switch to it once it is in the DNS; remove the former',
      ).conflicts(['due', 'rekey', 'ca', 'passphraseFd']),
    )
    .addOption(passphraseFdOption())
    .examples(
      'relaycerts renew',
      'relaycerts --wait 600 renew --due  from cron',
      'relaycerts renew mailhost --force',
      'relaycerts renew --rekey mailhost',
      'relaycerts renew --ca              a new certificate of the CA, same key',
      'relaycerts renew --ca --rekey      the next stage to a CA with a new key',
      'relaycerts renew --dkim            the next stage to new DKIM keys',
    )
    .runs(async (sys, options: Omit<RenewOptions, 'hosts'> & { ca: boolean; dkim: boolean }, hosts: string[]) => {
      const { ca, dkim, rekey } = options;
      if (dkim && hosts.length > 0) {
        throw new RelaycertsError('usage', `--dkim is about the keys of domains, and not ${quote(hosts[0])}`, {
          hint: { run: ['renew', '--dkim'] },
        });
      }
      if (dkim) {
        await (await import('../commands/renew-dkim.js')).renewDkim(options, sys);
        return;
      }
      if (ca && hosts.length > 0) {
        throw new RelaycertsError('usage', `--ca renews only the CA, and not ${quote(hosts[0])}`, {
          hint: { run: ['renew', '--ca', ...(rekey ? ['--rekey'] : [])] },
        });
      }
      if (!ca) await (await import('../commands/renew.js')).renew({ ...options, hosts }, sys);
      else if (rekey) await (await import('../commands/rekey-ca.js')).rekeyCa(options, sys);
      else await (await import('../commands/renew-ca.js')).renewCa(options, sys);
    });

  program
    .command('retire')
    .description(
      'finish a key change, or a renewal if certificates are pinned: remove the old pin from the table once the new one is in use',
    )
    .argument('[host...]', 'the hosts, by name or pattern (* and ?); default: all that are pending')
    .examples('relaycerts retire mailhost')
    .runs(async (sys, options, hosts: string[]) => {
      const { retire } = await import('../commands/retire.js');
      await retire({ ...options, hosts }, sys);
    });

  program
    .command('revoke')
    .description('cut a host off for good, and print what to run on the relays')
    .argument('<host>', 'the host, by name')
    .option('--reason <text>', 'why, for the ledger', '')
    .examples("relaycerts revoke mailhost --reason 'the disk was stolen'")
    .runs(async (sys, options: Omit<RevokeOptions, 'hostname'>, hostname: string) => {
      const { revoke } = await import('../commands/revoke.js');
      await revoke({ ...options, hostname }, sys);
    });

  program
    .command('sign')
    .description('sign the certificate request of a host that makes its own key')
    .argument('<file>', 'the request, PEM or DER; - is standard input')
    .requiredOption('--host <host>', 'the host whose certificate it is; its names come from the settings')
    .option('--again', 'let a host that was revoked relay again, with a new key')
    .addOption(passphraseFdOption())
    .examples(
      'relaycerts show mailhost --section request',
      'relaycerts sign mailhost.example.org.csr.pem --host mailhost',
    )
    .runs(async (sys, options: Omit<SignOptions, 'file' | 'hostname'> & { host: string }, file: string) => {
      const { sign } = await import('../commands/sign.js');
      await sign({ ...options, file, hostname: options.host }, sys);
    });

  const group = program
    .command('export')
    .description('the same material for other programs, containers and Ansible')
    .examples('relaycerts export p12 mailhost', 'relaycerts export docker mailhost', 'relaycerts export ansible');
  group
    .command('p12')
    .description('key, certificate and CA as PKCS#12 (.p12, .pfx), for Windows, Java, mail programs')
    .argument('<host>', 'the host, by name')
    .addOption(fileDescriptor('--password-fd <n>', 'read the password of the new file from this file descriptor'))
    .option('--out <file>', 'the file to write (default: FQDN.p12 here); - is standard output')
    .option(
      '--legacy',
      'weaker encryption, for programs that refuse the file otherwise, such as old versions of macOS',
      false,
    )
    .examples(
      'relaycerts export p12 mailhost',
      'relaycerts export p12 mailhost --out mail.pfx --password-fd 3 3< password',
    )
    .runs(async (sys, options: Omit<ExportOptions, 'hostname'>, hostname: string) => {
      const { exportPkcs12 } = await import('../commands/export-p12.js');
      await exportPkcs12({ ...options, hostname }, sys);
    });
  group
    .command('docker')
    .description('a folder with the files for the container of a host; "container" in the settings names its image')
    .argument('<host>', 'the host, by name')
    .option('--output <folder>', 'the folder (default: FQDN-docker here)')
    .examples('relaycerts export docker mailhost', 'relaycerts export docker relayhost --output /srv/relay')
    .runs(async (sys, options: Omit<ExportDockerOptions, 'hostname'>, hostname: string) => {
      const { exportDocker } = await import('../commands/export-docker.js');
      await exportDocker({ ...options, hostname }, sys);
    });
  group
    .command('ansible')
    .description('an inventory, a playbook and a role for Ansible that install what deploy would; they contain no key')
    .option('--output <folder>', 'the folder to write', 'ansible')
    .examples('relaycerts export ansible', 'ansible-playbook -i ansible/inventory.yml ansible/playbook.yml --check')
    .runs(async (sys, options: ExportAnsibleOptions) => {
      const { exportAnsible } = await import('../commands/export-ansible.js');
      await exportAnsible(options, sys);
    });
  group.needsOneOf('a format: ');
}
