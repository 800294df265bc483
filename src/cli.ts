// The command line: the commander tree turns flags into typed options and calls one command; the commands themselves
// are defined in cli/. From here on no option is optional. A command's code is loaded only when it runs, so that --help
// and a fingerprint stay fast.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addBackup } from './cli/backup.js';
import { addCheck } from './cli/check.js';
import { addDeploy } from './cli/deploy.js';
import { addExplain } from './cli/explain.js';
import { addUpkeep, runStatus } from './cli/upkeep.js';
import { addCleanAndWizard, addSetup, runWizard } from './cli/setup.js';
import { addCompletion } from './cli/shell.js';
import { count, SysCommand } from './cli/options.js';
import { addPassphrase } from './cli/passphrase.js';
import type { GlobalOptions } from './commands/run.js';
import { RelaycertsError, exitCodeOf, renderError, renderErrorJson } from './errors.js';
import { programWord } from './settings/program-word.js';
import { calledAnywhere, calledAs } from './sys/called-as.js';
import { flushOutput, processSys, type ProcessLike, type SysOptions } from './sys/process-sys.js';

/** The file that node runs. */
const [, script = ''] = process.argv;

/** By commander's names; `settings` as typed. */
type RawGlobal = GlobalOptions & Omit<SysOptions, 'program' | 'command'>;

/** Runs one command line (without the program's own name); an error becomes text on stderr and an exit code. */
export async function runProgram(args: readonly string[], outside: ProcessLike): Promise<void> {
  let hasAnswered = false;
  const program = buildProgram(outside, () => (hasAnswered = true));
  try {
    await runCommandLine(program, args);
    await flushOutput(outside.stdout);
  } catch (error) {
    outside.exitCode = exitCodeOf(error);
    const debug = outside.env['RELAYCERTS_DEBUG'] === '1';
    const stack = debug && error instanceof Error ? [error.stack ?? '', ...causes(error)] : [];
    const word = wordOf(program.opts<RawGlobal>().settings, outside);
    outside.stderr.write([...renderError(error, word), ...stack, ''].join('\n'));
    // One object, whatever happens: an answer already written stays, and the exit code says that it is incomplete.
    if (!hasAnswered && wantsJson(program, args)) outside.stdout.write(renderErrorJson(error, word));
    // Piped to a shell, so that the pipe fails too. Otherwise the shell would exit with 0, because it got nothing to
    // run.
    else if (!hasAnswered && wantsScript(args)) outside.stdout.write('exit 1\n');
  }
}

/** Also for a line that was wrong before --json was read. */
function wantsJson(program: SysCommand, args: readonly string[]): boolean {
  return program.opts<RawGlobal>().json || args.includes('--json');
}

function wantsScript(args: readonly string[]): boolean {
  return args.some((word, at) => word === '--format=sh' || (word === '--format' && args[at + 1] === 'sh'));
}

/** The start of every printed command. */
function wordOf(settings: string, outside: ProcessLike): string {
  // The folder may be gone, and that is then the error.
  const cwd = attemptCwd(outside);
  return programWord(outside.program ?? calledAs(script, outside.env, cwd), resolve(cwd, settings), cwd);
}

function attemptCwd(outside: ProcessLike): string {
  try {
    return outside.cwd();
  } catch {
    return '/';
  }
}

function causes(error: Error): readonly string[] {
  return error.cause instanceof Error ? [`caused by ${error.cause.stack ?? ''}`, ...causes(error.cause)] : [];
}

/** @throws whatever the command throws; `usage` if the line itself is wrong */
async function runCommandLine(program: SysCommand, args: readonly string[]): Promise<void> {
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

/** `onWrite` is called when a command writes to stdout. */
export function buildProgram(outside: ProcessLike, onWrite: () => void): SysCommand {
  const { RELAYCERTS_SETTINGS: fromEnvironment = '' } = outside.env;
  const named = fromEnvironment === '' ? 'settings.json' : fromEnvironment;
  const program: SysCommand = new SysCommand('relaycerts', () => {
    const { settings, json, ...options } = program.opts<RawGlobal>();
    const words = { program: wordOf(settings, outside), command: outside.program ?? calledAnywhere(script) };
    const sys = processSys({ ...options, ...words }, outside, onWrite);
    return [sys, { settings: resolve(sys.cwd, settings), json }];
  })
    .description(
      'A private CA and mutual TLS for smarthost relaying: makes the certificates for the mail server at home and for ' +
        'the host that relays its mail, installs them over ssh, and proves that they work.',
    )
    .option(
      '--settings <file>',
      'the settings file, otherwise RELAYCERTS_SETTINGS; everything is kept beside it',
      named,
    )
    .option('--json', 'print one JSON object, also if it fails (docs/json.md)')
    .addOption(
      count(
        '--wait <seconds>',
        'wait up to this long for another relaycerts to finish',
        'Expected a whole number of seconds.',
      ).default(0),
    )
    .option('--quiet', 'no progress, only warnings and errors')
    .option('--verbose', 'print more detail')
    .option('--no-color', 'no colour (NO_COLOR does the same)')
    .version(packageJson.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', "print this, or a command's help")
    .helpCommand('help [command]', "print a command's help")
    .showSuggestionAfterError()
    .exitOverride()
    // Wider than what the longest command leaves, because otherwise nothing would be wrapped.
    .configureHelp({ minWidthToWrap: 30 })
    .configureOutput({
      writeOut: (text) => void outside.stdout.write(text),
      writeErr: () => undefined,
      getOutHelpWidth: () => (outside.stdout.isTTY === true ? (outside.stdout.columns ?? 80) : 80),
    });
  addSetup(program);
  addUpkeep(program);
  addExplain(program);
  addBackup(program);
  addDeploy(program);
  addCheck(program);
  addCleanAndWizard(program);
  addPassphrase(program);
  addCompletion(program);
  // The program itself accepts any word, to suggest the command that was meant; its commands accept none too many.
  return program
    .allowExcessArguments()
    .examples(
      'relaycerts wizard                  ask for the settings, write settings.json',
      'relaycerts make                    make all that settings.json asks for',
      'relaycerts deploy                  install on the hosts over ssh',
      'relaycerts check                   prove that it works',
      'relaycerts fingerprint             pins for relay_clientcerts',
    )
    .runs(async (sys, global) => {
      await program.refuseUnknown();
      if (existsSync(global.settings)) {
        await runStatus(sys, global);
        return;
      }
      if (!sys.interactive) {
        program.outputHelp();
        return;
      }
      sys.say(`there are no settings here yet (${global.settings}); the wizard asks for them. --help: all commands`);
      await runWizard(sys, global);
    });
}
