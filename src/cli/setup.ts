// The commands that set a project up: make, show, fingerprint, clean, wizard. Their options and help are here; what they do
// is in commands/, and loaded when it runs.

import { Argument, type Command, Option } from 'commander';
import { digests, fingerprintFormats, pinKinds } from '../certificate/pin-kinds.js';
import type { GlobalOptions } from '../commands/run.js';
import type { Sys } from '../sys/sys.js';
import { formats, sections } from '../render/sections.js';
import { example, passphraseFdOption, type WithSys } from './options.js';

export function addMake(program: Command, withSys: WithSys): void {
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
      withSys(async (sys, global, flags: { dryRun?: true; again?: string; passphraseFd?: number }) => {
        const { make } = await import('../commands/make.js');
        const { again, passphraseFd } = flags;
        await make({ ...global, dryRun: flags.dryRun === true, again, passphraseFd }, sys);
      }),
    );
}

export function addShow(program: Command, withSys: WithSys): void {
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
      withSys(
        async (
          sys,
          global,
          hosts: string[],
          flags: { section?: (typeof sections)[number]; format: (typeof formats)[number]; undo?: true },
        ) => {
          const { show } = await import('../commands/show.js');
          await show(
            { ...global, hosts, section: flags.section, format: flags.format, undo: flags.undo === true },
            sys,
          );
        },
      ),
    );
}

export function addFingerprint(program: Command, withSys: WithSys): void {
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
      withSys(
        async (
          sys,
          global,
          files: string[],
          flags: {
            of?: (typeof pinKinds)[number];
            digest: (typeof digests)[number];
            format: (typeof fingerprintFormats)[number];
          },
        ) => {
          const { fingerprint } = await import('../commands/fingerprint.js');
          const format = global.json ? 'json' : flags.format;
          await fingerprint({ ...global, files, of: flags.of, digest: flags.digest, format }, sys);
        },
      ),
    );
}

export function addClean(program: Command, withSys: WithSys): void {
  program
    .command('clean')
    .description('list what make made, ask, and remove it')
    .option('--yes', 'do not ask')
    .option('--all', 'the passphrase file too, where a CA was made here, and the operator key, which is kept aside')
    .addHelpText('after', example('relaycerts clean', 'relaycerts clean --yes', 'relaycerts clean --all'))
    .action(
      withSys(async (sys, global, flags: { yes?: true; all?: true }) => {
        const { clean } = await import('../commands/clean.js');
        await clean({ ...global, yes: flags.yes === true, all: flags.all === true }, sys);
      }),
    );
}

export function addWizard(program: Command, withSys: WithSys): void {
  program
    .command('wizard')
    .description('ask for the settings, write settings.json and offer to run make')
    .addHelpText('after', example('relaycerts wizard', 'relaycerts --settings other/settings.json wizard'))
    .action(withSys(runWizard));
}

export async function runWizard(sys: Sys, global: GlobalOptions): Promise<void> {
  const { wizard } = await import('../commands/wizard.js');
  const runMake = async (): Promise<void> => {
    const { make } = await import('../commands/make.js');
    await make({ ...global, dryRun: false, again: undefined, passphraseFd: undefined }, sys);
  };
  await wizard({ ...global, runMake }, sys);
}
