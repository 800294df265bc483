// The commands that set up a project: make, show, fingerprint, clean, wizard. Their options and help are here; their
// code is in commands/, and loaded when it runs.

import { Option } from 'commander';
import { digests, fingerprintFormats, pinKinds } from '../certificate/pin-kinds.js';
import type { AddOptions } from '../commands/add.js';
import type { CleanOptions } from '../commands/clean.js';
import type { FingerprintOptions } from '../commands/fingerprint.js';
import type { MakeOptions } from '../commands/make.js';
import type { RemoveOptions } from '../commands/remove.js';
import type { GlobalOptions } from '../commands/run.js';
import type { ShowOptions } from '../commands/show.js';
import type { Sys } from '../sys/sys.js';
import { formats, sections } from '../render/sections.js';
import { passphraseFdOption, type SysCommand } from './options.js';

/** Adds add, remove, make, show and fingerprint. */
export function addSetup(program: SysCommand): void {
  program
    .command('add')
    .description('add a host to the settings; then run make')
    .argument('<host>', 'its name: a label within the domain, or a full DNS name')
    .option('--relay', 'as a relay instead of a client')
    .examples('relaycerts add laptop', 'relaycerts add relay2.example.net --relay')
    .runs(async (sys, options: Omit<AddOptions, 'hostname'>, hostname: string) => {
      const { add } = await import('../commands/add.js');
      await add({ ...options, hostname }, sys);
    });

  program
    .command('remove')
    .description('take a host out of the settings, revoke it, and print what undoes its configuration')
    .argument('<host>', 'the host, by name; it need not be in the settings any more')
    .option('--keep', 'do not revoke it: its key stays here, and is used again if you add it back')
    .examples('relaycerts remove laptop', 'relaycerts remove oldrelay', 'relaycerts remove laptop --keep')
    .runs(async (sys, options: Omit<RemoveOptions, 'hostname'>, hostname: string) => {
      const { remove } = await import('../commands/remove.js');
      await remove({ ...options, hostname }, sys);
    });

  program
    .command('make')
    .description('make the CA, keys, certificates and bundles that are missing, and print the instructions')
    .option('--dry-run', 'print what would be made, and make nothing')
    .option('--check', 'the same, and exit code 3 if anything would be made or the passphrase cannot be opened')
    .option('--again <host>', 'make a new key and certificate for a host that was revoked')
    .addOption(passphraseFdOption())
    .examples('relaycerts make --dry-run', 'relaycerts make', 'relaycerts --settings other/settings.json make')
    .runs(async (sys, options: MakeOptions) => {
      const { make } = await import('../commands/make.js');
      await make(options, sys);
    });

  program
    .command('show')
    .description('print the instructions again; no passphrase is needed')
    .argument('[host...]', 'the hosts, by name or pattern (* and ?); with --undo also a host removed from the settings')
    .addOption(new Option('--section <name>', 'only this section').choices(sections))
    .addOption(
      new Option('--format <format>', 'text to read and paste, sh a script for one host, html a page')
        .choices(formats)
        .default('text'),
    )
    .option('--undo', 'print how to undo it')
    .option(
      '--force-routes',
      'make a script that installs a home host even if its main.cf routes mail around the relay',
    )
    .examples(
      'relaycerts show',
      'relaycerts show relayhost --section relay_clientcerts',
      'relaycerts show --format html >page.html      both hosts, to tick off',
      'relaycerts show mailhost --format sh | ssh root@mailhost.example.org sh',
      'relaycerts show mailhost --format sh --undo | ssh root@mailhost.example.org sh',
    )
    .runs(async (sys, options: Omit<ShowOptions, 'hosts'>, hosts: string[]) => {
      const { show } = await import('../commands/show.js');
      await show({ ...options, hosts }, sys);
    });

  program
    .command('fingerprint')
    .description('print pins for relay_clientcerts: of all clients, or of the given files')
    .argument('[file...]', 'certificates or public keys, PEM or DER; - is standard input')
    .addOption(
      new Option('--of <what>', 'what is pinned (default: as in the settings, or the public key)').choices(pinKinds),
    )
    .addOption(new Option('--digest <name>', 'the digest').choices(digests).default('sha256'))
    .addOption(new Option('--format <format>', 'the output format').choices(fingerprintFormats).default('postfix'))
    .examples(
      'relaycerts fingerprint',
      'relaycerts fingerprint mailhost.example.org.crt.pem --format openssl',
      'openssl s_client -connect HOST:443 </dev/null | relaycerts fingerprint -',
    )
    .runs(async (sys, options: Omit<FingerprintOptions, 'files'>, files: string[]) => {
      const { fingerprint } = await import('../commands/fingerprint.js');
      await fingerprint({ ...options, files, format: options.json ? 'json' : options.format }, sys);
    });
}

export function addCleanAndWizard(program: SysCommand): void {
  program
    .command('clean')
    .description('list what make made, ask, then remove it')
    .option('--yes', 'do not ask')
    .option('--all', 'also remove the passphrase file, if a CA was made here; the operator key stays')
    .examples('relaycerts clean', 'relaycerts clean --yes', 'relaycerts clean --all')
    .runs(async (sys, options: CleanOptions) => {
      const { clean } = await import('../commands/clean.js');
      await clean(options, sys);
    });

  program
    .command('wizard')
    .description('ask for the settings, write settings.json and offer to run make')
    .examples('relaycerts wizard', 'relaycerts --settings other/settings.json wizard')
    .runs(runWizard);
}

export async function runWizard(sys: Sys, global: GlobalOptions): Promise<void> {
  const { wizard } = await import('../commands/wizard.js');
  const runMake = async (): Promise<void> => {
    const { make } = await import('../commands/make.js');
    await make({ ...global, dryRun: false, check: false, again: undefined, passphraseFd: undefined }, sys);
  };
  await wizard({ ...global, runMake }, sys);
}
