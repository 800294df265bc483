// The command line in, text and an exit code out. Most of it is the commander tree in cli/program.ts, which is loaded only
// if it is needed: --version and --help have fixed answers.

import { findFixedAnswer } from './cli/fixed-answer.js';
import { wordOf, type RawGlobal } from './cli/called.js';
import type { SysCommand } from './cli/options.js';
import { exitCodeOf, pluginUnknown, renderError, renderErrorJson, renderErrorPlugin } from './errors.js';
import { flushOutput } from './sys/flush-output.js';
import type { ProcessLike } from './sys/process-sys.js';

/** Runs one command line (without the program's own name); an error becomes text on stderr and an exit code. */
export async function runProgram(args: readonly string[], outside: ProcessLike): Promise<void> {
  let hasAnswered = false;
  let program: SysCommand | undefined;
  try {
    const fixed = findFixedAnswer(args, outside);
    if (fixed === undefined) {
      const { buildProgram, runCommandLine } = await import('./cli/program.js');
      program = buildProgram(outside, () => (hasAnswered = true));
      await runCommandLine(program, args);
    } else outside.stdout.write(fixed);
    await flushOutput(outside.stdout);
  } catch (error) {
    const isJson = wantsJson(program, args);
    const isPlugin = !isJson && wantsFormat(args, 'nagios');
    outside.exitCode = isPlugin ? pluginUnknown : exitCodeOf(error);
    const debug = outside.env['RELAYCERTS_DEBUG'] === '1';
    const stack = debug && error instanceof Error ? [error.stack ?? '', ...causes(error)] : [];
    const word = wordOf(program?.opts<RawGlobal>().settings ?? 'settings.json', outside);
    outside.stderr.write([...renderError(error, word), ...stack, ''].join('\n'));
    // One object, whatever happens: an answer already written stays, and the exit code says that it is incomplete.
    if (hasAnswered) return;
    if (isJson) outside.stdout.write(renderErrorJson(error, word));
    else if (isPlugin) outside.stdout.write(renderErrorPlugin(error));
    // Piped to a shell, so that the pipe fails too. Otherwise the shell would exit with 0, because it got nothing to
    // run.
    else if (wantsFormat(args, 'sh')) outside.stdout.write('exit 1\n');
  }
}

/** Also for a line that was wrong before --json was read; `--format json` of some commands is the same. */
function wantsJson(program: SysCommand | undefined, args: readonly string[]): boolean {
  return program?.opts<RawGlobal>().json === true || args.includes('--json') || wantsFormat(args, 'json');
}

function wantsFormat(args: readonly string[], format: string): boolean {
  return args.some((word, at) => word === `--format=${format}` || (word === '--format' && args[at + 1] === format));
}

function causes(error: Error): readonly string[] {
  return error.cause instanceof Error ? [`caused by ${error.cause.stack ?? ''}`, ...causes(error.cause)] : [];
}
