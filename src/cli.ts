// The command line: the commander tree turns flags into typed options and calls one command; the commands themselves
// are defined in cli/. After it no option is optional. What a command does is loaded only when it runs, so that --help
// and a fingerprint stay quick.

import { resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addExport, addRenew, addRetire, addRevoke, addSign, addStatus } from './cli/upkeep.js';
import { addClean, addFingerprint, addMake, addShow, addWizard, runWizard } from './cli/setup.js';
import { count, example, unknownCommand } from './cli/options.js';
import { addPassphrase } from './cli/passphrase.js';
import type { GlobalOptions } from './commands/run.js';
import { RelaycertsError, exitCodeOf, renderError } from './errors.js';
import type { Sys } from './sys/sys.js';
import { programWord } from './settings/program-word.js';
import { calledAs } from './sys/called-as.js';
import { flushOutput, processSys, type ProcessLike } from './sys/process-sys.js';

interface RawGlobal {
  readonly settings: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly color: boolean;
  readonly wait: number;
}

/** Runs one command line (without the program's own name); what it throws becomes words on stderr and an exit code. */
export async function runProgram(args: readonly string[], outside: ProcessLike): Promise<void> {
  const program = buildProgram(outside);
  try {
    await runCommandLine(program, args);
    await flushOutput(outside.stdout);
  } catch (error) {
    outside.exitCode = exitCodeOf(error);
    const debug = outside.env['RELAYCERTS_DEBUG'] === '1';
    const stack = debug && error instanceof Error ? [error.stack ?? '', ...causes(error)] : [];
    outside.stderr.write([...renderError(error, wordOf(program.opts<RawGlobal>(), outside)), ...stack, ''].join('\n'));
  }
}

/** What a printed command begins with. */
function wordOf({ settings }: RawGlobal, outside: ProcessLike): string {
  // The folder may be gone, and that is then the error.
  const cwd = attemptCwd(outside);
  return programWord(commandOf(outside, cwd), resolve(cwd, settings), cwd);
}

function commandOf({ program, env }: ProcessLike, cwd?: string): string {
  return program ?? calledAs(process.argv[1] ?? '', env, cwd);
}

function attemptCwd(outside: ProcessLike): string {
  try {
    return outside.cwd();
  } catch {
    return '/';
  }
}

function sysFor(raw: RawGlobal, outside: ProcessLike): Sys {
  const { quiet = false, verbose = false, color, wait } = raw;
  return processSys(
    { quiet, verbose, color, wait, program: wordOf(raw, outside), command: commandOf(outside) },
    outside,
  );
}

function causes(error: Error): readonly string[] {
  return error.cause instanceof Error ? [`caused by ${error.cause.stack ?? ''}`, ...causes(error.cause)] : [];
}

/** @throws whatever the command throws; `usage` if the line itself is wrong */
async function runCommandLine(program: Command, args: readonly string[]): Promise<void> {
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
    hint: { run: ['--help'] },
  });
}

function buildProgram(outside: ProcessLike): Command {
  const program = new Command('relaycerts')
    .description(
      'A private CA and mutual TLS for smarthost relaying: makes the certificates for the mail server at home and for ' +
        'the host that relays its mail, and prints what to run on both.',
    )
    .option('--settings <file>', 'the settings; all that is made lies beside them', 'settings.json')
    .option('--json', 'machine-readable output')
    .addOption(
      count(
        '--wait <seconds>',
        'wait so long for another relaycerts that is at work here',
        'It is a number of seconds.',
      ).default(0),
    )
    .option('--quiet', 'no progress, only warnings and errors')
    .option('--verbose', 'more about what is done')
    .option('--no-color', 'no colour (NO_COLOR does the same)')
    .version(packageJson.version, '--version', 'print the version')
    .helpOption('--help', "print this, or a command's help")
    .helpCommand('help [command]', "print a command's help")
    .showSuggestionAfterError()
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void outside.stdout.write(text),
      writeErr: () => undefined,
      getOutHelpWidth: () => (outside.stdout.isTTY === true ? (outside.stdout.columns ?? 80) : 80),
    });
  const withSys =
    <Rest extends unknown[]>(work: (sys: Sys, global: GlobalOptions, ...rest: Rest) => Promise<void>) =>
    async (...rest: Rest): Promise<void> => {
      const raw = program.opts<RawGlobal>();
      const sys = sysFor(raw, outside);
      await work(sys, { settings: resolve(sys.cwd, raw.settings), json: raw.json === true }, ...rest);
    };

  addMake(program, withSys);
  addShow(program, withSys);
  addFingerprint(program, withSys);
  addStatus(program, withSys);
  addRenew(program, withSys);
  addRetire(program, withSys);
  addRevoke(program, withSys);
  addSign(program, withSys);
  addExport(program, withSys);
  addClean(program, withSys);
  addWizard(program, withSys);
  addPassphrase(program, withSys);
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
    withSys(async (sys, global) => {
      const [word] = program.args;
      if (word !== undefined) throw await unknownCommand(program, word);
      const { existsSync } = await import('node:fs');
      if (!sys.interactive || existsSync(global.settings)) {
        program.outputHelp();
        return;
      }
      sys.say(`there are no settings here yet (${global.settings}); the wizard asks for them. --help: all commands`);
      await runWizard(sys, global);
    }),
  );
  return program;
}
