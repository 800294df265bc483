// `relaycerts completion`: its options and help, and its answers to the shell scripts; completion.ts finds what fits, and
// commands/host-words.ts the names of hosts. `relaycerts help`, which knows the tree too.

import { Argument, Option, type Command } from 'commander';
import { RelaycertsError, quote } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { GlobalOptions } from '../commands/run.js';
import type { Sys } from '../sys/sys.js';
import { completeWords, completionScripts, renderCandidates, settingsIn, shells, type Shell } from './completion.js';
import type { SysCommand } from './options.js';

type CompletionOptions = GlobalOptions & { readonly words: boolean };

export function addCompletion(program: SysCommand): void {
  const completion = program
    .command('completion')
    .description('print the completion script for a shell: commands, options and host names')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addOption(new Option('--words', 'print what fits at the end of the words that follow').hideHelp())
    // Those words.
    .allowExcessArguments()
    .examples(
      'eval "$(relaycerts completion bash)"   in ~/.bashrc',
      'eval "$(relaycerts completion zsh)"    in ~/.zshrc, after compinit',
      'relaycerts completion fish >~/.config/fish/completions/relaycerts.fish',
    );
  completion.runs(async (sys, options: CompletionOptions, shell: Shell) => {
    const [, ...words] = completion.args;
    if (options.words) await printWords(program, options, words, sys);
    else if (options.json) sys.write(writeAnswer('completion', { shell, script: completionScripts[shell] }));
    else sys.write(completionScripts[shell]);
  });
}

async function printWords(
  program: SysCommand,
  global: GlobalOptions,
  words: readonly string[],
  sys: Sys,
): Promise<void> {
  const found = completeWords(program, words);
  if (found === 'files') sys.write(':files\n');
  else if (found === 'hosts') {
    const { readHostWords } = await import('../commands/host-words.js');
    // The shell has not expanded it yet.
    const file = settingsIn(words)?.replace(/^~(?=\/)/u, sys.home);
    const hosts = await readHostWords(file ?? global.settings, words.at(-1) ?? '', sys);
    sys.write(renderCandidates(hosts.map((word) => ({ word, about: '' }))));
  } else sys.write(renderCandidates(found));
}

/** Commander's own help command knows only the first word of a command. */
export function addHelp(program: SysCommand): void {
  program
    .command('help')
    .description("print a command's help")
    .argument('[command...]', 'the command, such as make or export p12')
    .examples('relaycerts help make', 'relaycerts help export p12')
    .action((words: readonly string[]) => {
      const command = words.reduce<Command>((above, word) => {
        const found = above.commands.find((one) => one.name() === word);
        if (found !== undefined) return found;
        throw new RelaycertsError('usage', `there is no command to help with: ${quote(words.join(' '))}`, {
          hint: { run: ['--help'] },
        });
      }, program);
      command.outputHelp();
    });
}
