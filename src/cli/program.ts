// The commander tree: turns flags into typed options and calls one command; the commands are defined beside it. From here
// on no option is optional. A command's code is loaded only when it runs, so that a fingerprint stays fast.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommanderError, Help } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { calledAnywhere } from '../sys/called-as.js';
import { processSys, type ProcessLike } from '../sys/process-sys.js';
import { addAdopt } from './adopt.js';
import { addBackup } from './backup.js';
import { script, wordOf, type RawGlobal } from './called.js';
import { addCheck } from './check.js';
import { addDeploy } from './deploy.js';
import { addDns } from './dns.js';
import { addExplain } from './explain.js';
import { helpWidth } from './fixed-answer.js';
import { count, SysCommand } from './options.js';
import { addPassphrase } from './passphrase.js';
import { addCleanAndWizard, addSetup, runWizard } from './setup.js';
import { addCompletion, addHelp } from './shell.js';
import { addUpkeep, runStatus } from './upkeep.js';

/** @throws whatever the command throws; `usage` if the line itself is wrong */
export async function runCommandLine(program: SysCommand, args: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    // The help or the version was printed. Whatever is wrong goes through SysCommand.error.
    if (!(error instanceof CommanderError && error.exitCode === 0)) throw error;
  }
}

/** Columns that a text needs to be wrapped; the longest command leaves as many. */
const leastWidth = 30;

/** `onWrite` is called when a command writes to stdout. */
export function buildProgram(outside: ProcessLike, onWrite: () => void): SysCommand {
  const { RELAYCERTS_SETTINGS: fromEnvironment = '' } = outside.env;
  const named = fromEnvironment === '' ? 'settings.json' : fromEnvironment;
  const program: SysCommand = new SysCommand('relaycerts', () => {
    const { settings, json, ...options } = program.opts<RawGlobal>();
    const words = {
      program: wordOf(settings, outside),
      command: outside.program ?? calledAnywhere(script),
      typed: program.args,
    };
    const sys = processSys({ ...options, ...words }, outside, onWrite);
    return [sys, { settings: resolve(sys.cwd, settings), json }];
  })
    .description(
      'A private CA and mutual TLS for smarthost relaying: makes the certificates for the mail server at home and for ' +
        'the host that relays its mail, installs them over ssh, and proves that they work.',
    )
    .option('--settings <file>', 'the settings file, or else RELAYCERTS_SETTINGS; everything is kept beside it', named)
    .option('--json', 'print one JSON object, even if it fails (docs/json.md)')
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
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({
      minWidthToWrap: leastWidth,
      // In a narrow terminal, the text of an option or command is below it.
      formatItem(this: Help, term, termWidth, description, helper) {
        const columns = this.helpWidth ?? helpWidth;
        if (columns - termWidth >= leastWidth + 4) {
          return Help.prototype.formatItem.call(this, term, termWidth, description, helper);
        }
        const lines = helper.boxWrap(description, columns - 6).split('\n');
        return [`  ${term}`, ...lines.map((line) => `      ${line}`)].join('\n');
      },
    })
    .configureOutput({
      writeOut: (text) => void outside.stdout.write(text),
      writeErr: () => undefined,
      getOutHelpWidth: () =>
        Math.min((outside.stdout.isTTY === true && outside.stdout.columns) || helpWidth, helpWidth),
    });
  addSetup(program);
  addUpkeep(program);
  addExplain(program);
  addBackup(program);
  addAdopt(program);
  addDeploy(program);
  addCheck(program);
  addDns(program);
  addCleanAndWizard(program);
  addPassphrase(program);
  addCompletion(program);
  addHelp(program);
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
    .hook('preAction', async (_, running) => {
      if (running === program) await program.refuseUnknown();
    })
    .runs(async (sys, global) => {
      // Off a terminal, settings that were named and are missing are an error; with --json, it is an object too.
      const isWanted = global.json || program.opts<RawGlobal>().settings !== 'settings.json';
      if (existsSync(global.settings) || (isWanted && !sys.interactive)) {
        await runStatus(sys, global);
        return;
      }
      if (!sys.interactive) {
        program.outputHelp();
        return;
      }
      sys.say('there are no settings here yet: the wizard asks (commands: --help)');
      await runWizard(sys, global);
    });
}
