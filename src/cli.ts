// The command line: the commander tree turns flags into typed options and calls one command. After this file no option
// is optional. Each command is loaded only when it runs, so that --help and a fingerprint stay quick.

import { resolve } from 'node:path';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import type { GlobalOptions } from './commands/options.js';
import type { PassphraseRequest } from './commands/passphrase.js';
import { digests, fingerprintFormats, pinKinds } from './certificate/pin-kinds.js';
import { RelaycertsError, quote } from './errors.js';
import type { Host } from './host/host.js';
import type { OutputOptions } from './host/process-host.js';
import { formats, sections } from './render/sections.js';

type HostFactory = (options: OutputOptions) => Host;

interface RawGlobal {
  readonly settings: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly color: boolean;
}

/**
 * Runs one command line (without the program's own name).
 * @throws whatever the command throws; `usage` where the line itself is wrong
 */
export async function runCommandLine(args: readonly string[], hostFor: HostFactory): Promise<void> {
  const program = buildProgram(hostFor);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    throw usageError(error);
  }
}

function usageError({ message }: CommanderError): RelaycertsError {
  const [what = message, suggestion] = message.replace(/^error: /u, '').split('\n');
  const meant = suggestion === undefined ? '' : `, ${suggestion.replaceAll(/[()]/gu, '').toLowerCase()}`;
  return new RelaycertsError('usage', `${what.replace(/\.$/u, '')}${meant}`, {
    hint: 'relaycerts --help, or relaycerts COMMAND --help',
  });
}

async function unknownCommand(program: Command, word: string, prefix = 'relaycerts'): Promise<RelaycertsError> {
  const { closestMatch } = await import('leven');
  const names = program.commands.map((command) => command.name());
  const near = closestMatch(word.slice(0, 40), names, { maxDistance: 3 });
  return new RelaycertsError(
    'usage',
    `unknown command ${quote(word)}${near === undefined ? '' : `, did you mean ${near}?`}`,
    {
      hint: near === undefined ? `${prefix} --help` : `${prefix} ${near}`,
    },
  );
}

function buildProgram(hostFor: HostFactory): Command {
  const program = new Command('relaycerts')
    .description(
      'A private CA and mutual TLS for smarthost relaying: makes the certificates for the mail server at home and for ' +
        'the host that relays its mail, and prints what to run on both.',
    )
    .option('--settings <file>', 'the settings; all that is made lies beside them', 'settings.json')
    .option('--json', 'machine-readable output')
    .option('--quiet', 'no progress, only warnings and errors')
    .option('--verbose', 'more about what is done')
    .option('--no-color', 'no colour (NO_COLOR does the same)')
    .version(packageJson.version, '--version', 'print the version')
    .helpOption('--help', "print this, or a command's help")
    .helpCommand('help [command]', "print a command's help")
    .showSuggestionAfterError()
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const withHost =
    <Rest extends unknown[]>(work: (host: Host, global: GlobalOptions, ...rest: Rest) => Promise<void>) =>
    (...rest: Rest): Promise<void> => {
      const raw = program.opts<RawGlobal>();
      const output = { quiet: raw.quiet === true, verbose: raw.verbose === true, color: raw.color };
      const host = hostFor(output);
      return work(host, { settings: resolve(host.cwd, raw.settings), json: raw.json === true }, ...rest);
    };

  addMake(program, withHost);
  addShow(program, withHost);
  addFingerprint(program, withHost);
  addStatus(program, withHost);
  addRenew(program, withHost);
  addRetire(program, withHost);
  addRevoke(program, withHost);
  addSign(program, withHost);
  addExport(program, withHost);
  addClean(program, withHost);
  addWizard(program, withHost);
  addPassphrase(program, withHost);
  // The program itself takes any word, to say which command was meant; its commands take none too many.
  for (const command of program.commands) {
    if (command.commands.length === 0) command.allowExcessArguments(false);
    for (const part of command.commands) part.allowExcessArguments(false);
  }
  program.addHelpText(
    'after',
    example(
      'relaycerts wizard                                  ask for the settings, and write settings.json',
      'relaycerts make                                    make all that settings.json asks for',
      'relaycerts show mailhost --format sh | ssh root@mailhost.example.org sh',
      'relaycerts fingerprint --of certificate            pins for relay_clientcerts',
    ),
  );
  program.action(
    withHost(async (host, global) => {
      const [word] = program.args;
      if (word !== undefined) throw await unknownCommand(program, word);
      const { existsSync } = await import('node:fs');
      if (!host.interactive || existsSync(global.settings)) {
        program.outputHelp();
        return;
      }
      host.say(`there are no settings here yet (${global.settings}); the wizard asks for them. --help: all commands`);
      await runWizard(host, global, undefined);
    }),
  );
  return program;
}

type WithHost = <Rest extends unknown[]>(
  work: (host: Host, global: GlobalOptions, ...rest: Rest) => Promise<void>,
) => (...rest: Rest) => Promise<void>;

function addMake(program: Command, withHost: WithHost): void {
  program
    .command('make')
    .description('make the CA, keys, certificates and bundles that are missing, and print the instructions')
    .option('--dry-run', 'print what would be made, and make nothing')
    .option('--again <host>', 'make a host again that was revoked')
    .addOption(passphraseFdOption())
    .addHelpText(
      'after',
      example('relaycerts make --dry-run', 'relaycerts make', 'relaycerts --settings other/settings.json make'),
    )
    .action(
      withHost(async (host, global, flags: { dryRun?: true; again?: string; passphraseFd?: number }) => {
        const { make } = await import('./commands/make.js');
        const { again, passphraseFd } = flags;
        await make({ ...global, dryRun: flags.dryRun === true, again, passphraseFd }, host);
      }),
    );
}

function addShow(program: Command, withHost: WithHost): void {
  program
    .command('show')
    .description('print the instructions again; no passphrase is needed')
    .argument('[host...]', 'the hosts, by name; all where none is named')
    .addOption(new Option('--section <name>', 'one section alone').choices(sections))
    .addOption(
      new Option('--format <format>', 'text for eyes and copy-paste, sh a script for one host')
        .choices(formats)
        .default('text'),
    )
    .option('--undo', 'the inverse: what takes it back')
    .addHelpText(
      'after',
      example(
        'relaycerts show',
        'relaycerts show relayhost --section relay_clientcerts',
        'relaycerts show mailhost --format sh | ssh root@mailhost.example.org sh',
        'relaycerts show mailhost --format sh --undo | ssh root@mailhost.example.org sh',
      ),
    )
    .action(
      withHost(
        async (
          host,
          global,
          hosts: string[],
          flags: { section?: (typeof sections)[number]; format: (typeof formats)[number]; undo?: true },
        ) => {
          const { show } = await import('./commands/show.js');
          await show(
            { ...global, hosts, section: flags.section, format: flags.format, undo: flags.undo === true },
            host,
          );
        },
      ),
    );
}

function addFingerprint(program: Command, withHost: WithHost): void {
  program
    .command('fingerprint')
    .description('print pins for relay_clientcerts: of all clients, or of the given files')
    .addArgument(new Argument('[file...]', 'certificates or public keys, PEM or DER; - is standard input'))
    .addOption(
      new Option('--of <what>', 'what is pinned (default: what the settings say, or the public key)').choices(pinKinds),
    )
    .addOption(new Option('--digest <name>', 'the digest').choices(digests).default('sha256'))
    .addOption(new Option('--format <format>', 'the form of a line').choices(fingerprintFormats).default('postfix'))
    .addHelpText(
      'after',
      example(
        'relaycerts fingerprint',
        'relaycerts fingerprint certs/smtp-client/mailhost.example.org.crt.pem --format openssl',
        'openssl s_client -connect HOST:443 </dev/null | relaycerts fingerprint - --of certificate',
      ),
    )
    .action(
      withHost(
        async (
          host,
          global,
          files: string[],
          flags: {
            of?: (typeof pinKinds)[number];
            digest: (typeof digests)[number];
            format: (typeof fingerprintFormats)[number];
          },
        ) => {
          const { fingerprint } = await import('./commands/fingerprint.js');
          const format = global.json ? 'json' : flags.format;
          await fingerprint({ ...global, files, of: flags.of, digest: flags.digest, format }, host);
        },
      ),
    );
}

function addStatus(program: Command, withHost: WithHost): void {
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
      withHost(async (host, global, flags: { warn?: number; critical: number; format: 'table' | 'nagios' }) => {
        const { status } = await import('./commands/status.js');
        await status({ ...global, warnDays: flags.warn, criticalDays: flags.critical, format: flags.format }, host);
      }),
    );
}

function addSign(program: Command, withHost: WithHost): void {
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
      withHost(async (host, global, file: string, flags: { host: string; again?: true; passphraseFd?: number }) => {
        const { sign } = await import('./commands/sign.js');
        const again = flags.again === true;
        await sign({ ...global, file, hostname: flags.host, again, passphraseFd: flags.passphraseFd }, host);
      }),
    );
}

function addExport(program: Command, withHost: WithHost): void {
  const group = program
    .command('export')
    .description("a host's key and certificates in one file, for programs that are no Postfix")
    .helpCommand(false)
    .addHelpText('after', example('relaycerts export p12 mailhost'))
    .action(async () => {
      const [word] = group.args;
      if (word !== undefined) throw await unknownCommand(group, word, 'relaycerts export');
      throw new RelaycertsError('usage', 'export needs a format: p12', { hint: 'relaycerts export --help' });
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
      withHost(async (host, global, name: string, flags: { passwordFd?: number; out?: string }) => {
        const { exportPkcs12 } = await import('./commands/export-p12.js');
        await exportPkcs12({ ...global, hostname: name, passwordFd: flags.passwordFd, out: flags.out }, host);
      }),
    );
}

function addRenew(program: Command, withHost: WithHost): void {
  program
    .command('renew')
    .description('new certificates: of all that is due, or of the hosts named; for the same key, so that the pin stays')
    .argument('[host...]', 'the hosts, by name; all that are due where none is named')
    .option('--due', 'what is due alone; so it is without this too')
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
        'relaycerts renew mailhost --force',
        'relaycerts renew --rekey mailhost',
        'relaycerts renew --ca                              a new certificate of the CA, for the same key',
        'relaycerts renew --ca --rekey                      the next stage to a CA with a new key',
      ),
    )
    .action(
      withHost(
        async (
          host,
          global,
          hosts: string[],
          flags: { ca?: true; force?: true; rekey?: true; passphraseFd?: number },
        ) => {
          const { passphraseFd } = flags;
          const rekey = flags.rekey === true;
          if (flags.ca !== true) {
            const { renew } = await import('./commands/renew.js');
            await renew({ ...global, hosts, force: flags.force === true, rekey, passphraseFd }, host);
            return;
          }
          if (hosts.length > 0) {
            throw new RelaycertsError('usage', `--ca renews the CA alone, and not ${quote(hosts[0])}`, {
              hint: `relaycerts renew --ca${rekey ? ' --rekey' : ''}`,
            });
          }
          const { renewCa } = await import('./commands/renew-ca.js');
          await renewCa({ ...global, rekey, passphraseFd }, host);
        },
      ),
    );
}

function addRetire(program: Command, withHost: WithHost): void {
  program
    .command('retire')
    .description('end a rekey: take the old pin out of the table, once the new key is in use')
    .argument('[host...]', 'the hosts, by name; all that are pending where none is named')
    .addHelpText('after', example('relaycerts retire mailhost'))
    .action(
      withHost(async (host, global, hosts: string[]) => {
        const { retire } = await import('./commands/retire.js');
        await retire({ ...global, hosts }, host);
      }),
    );
}

function addRevoke(program: Command, withHost: WithHost): void {
  program
    .command('revoke')
    .description('take a host out for good, and print what to run on the relays')
    .argument('<host>', 'the host, by name')
    .option('--reason <text>', 'for the ledger', '')
    .addHelpText('after', example("relaycerts revoke mailhost --reason 'the disk was stolen'"))
    .action(
      withHost(async (host, global, hostname: string, flags: { reason: string }) => {
        const { revoke } = await import('./commands/revoke.js');
        await revoke({ ...global, hostname, reason: flags.reason }, host);
      }),
    );
}

function addClean(program: Command, withHost: WithHost): void {
  program
    .command('clean')
    .description('list what make made, ask, and remove it')
    .option('--yes', 'do not ask')
    .option('--all', 'the passphrase file and the operator key too')
    .addHelpText('after', example('relaycerts clean', 'relaycerts clean --yes'))
    .action(
      withHost(async (host, global, flags: { yes?: true; all?: true }) => {
        const { clean } = await import('./commands/clean.js');
        await clean({ ...global, yes: flags.yes === true, all: flags.all === true }, host);
      }),
    );
}

function addWizard(program: Command, withHost: WithHost): void {
  program
    .command('wizard')
    .description('ask for the settings, write settings.json, and offer to run make')
    .option('--answers <file>', 'take the answers from this JSON file, and ask nothing; - is standard input')
    .addHelpText('after', example('relaycerts wizard', 'relaycerts wizard --answers answers.json'))
    .action(
      withHost(async (host, global, flags: { answers?: string }) => {
        await runWizard(host, global, flags.answers);
      }),
    );
}

function addPassphrase(program: Command, withHost: WithHost): void {
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
      if (word !== undefined) throw await unknownCommand(group, word, 'relaycerts passphrase');
      const names = group.commands.map((command) => command.name()).join(', ');
      throw new RelaycertsError('usage', `passphrase needs one of ${names}`, { hint: 'relaycerts passphrase --help' });
    });
  const yes = ['--yes', 'do not ask'] as const;
  group
    .command('recipients')
    .description('print who can open the passphrase file')
    .addHelpText('after', example('relaycerts passphrase recipients', 'relaycerts passphrase recipients --json'))
    .action(
      withHost(async (host, global) => {
        await runPassphrase({ command: 'recipients', ...global }, host);
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
      withHost(async (host, global, flags: { yes?: true }) => {
        await runPassphrase({ command: 'show', ...global, yes: flags.yes === true }, host);
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
      withHost(async (host, global, flags: { passphraseFd?: number; newPassphraseFd?: number }) => {
        const { passphraseFd: fd, newPassphraseFd: newFd } = flags;
        await runPassphrase({ command: 'change', ...global, passphraseFd: fd, newPassphraseFd: newFd }, host);
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
      withHost(async (host, global, flags: { yes?: true }) => {
        await runPassphrase({ command: 'export-key', ...global, yes: flags.yes === true }, host);
      }),
    );
  group
    .command('operator-password')
    .description("set, change or remove the operator key's own password")
    .addHelpText('after', example('relaycerts passphrase operator-password'))
    .action(
      withHost(async (host) => {
        await runPassphrase({ command: 'operator-password' }, host);
      }),
    );
}

async function runPassphrase(request: PassphraseRequest, host: Host): Promise<void> {
  const { passphrase } = await import('./commands/passphrase.js');
  await passphrase(request, host);
}

async function runWizard(host: Host, global: GlobalOptions, answers: string | undefined): Promise<void> {
  const { wizard } = await import('./commands/wizard.js');
  const runMake = async (): Promise<void> => {
    const { make } = await import('./commands/make.js');
    await make({ ...global, dryRun: false, again: undefined, passphraseFd: undefined }, host);
  };
  await wizard({ ...global, answers, runMake }, host);
}

function days(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (!/^\d{1,5}$/u.test(text)) throw new InvalidArgumentError('It is a number of days.');
    return Number(text);
  });
}

function passphraseFdOption(): Option {
  return fileDescriptor('--passphrase-fd <n>', "read the CA's passphrase from this file descriptor");
}

function fileDescriptor(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const fd = Number(text);
    if (!/^\d{1,6}$/u.test(text)) throw new InvalidArgumentError('It is the number of a file descriptor.');
    return fd;
  });
}

function example(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}
