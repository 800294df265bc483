// `relaycerts explain`: its options and help. Its code is in commands/explain.ts, and loaded when it runs, because that
// loads the words of all programs.

import type { ExplainOptions } from '../commands/explain.js';
import type { SysCommand } from './options.js';

export function addExplain(program: SysCommand): void {
  program
    .command('explain')
    .description(
      'explain the relaying errors in a mail log: the cause, how often and when last, and what to do; exit code 3 ' +
        'if there are any',
    )
    .argument('[log]', 'a file (gzip too), - for standard input, or a host by name; default: the log of this machine')
    .option('--follow', 'follow the log as it grows; Ctrl-C prints the summary')
    .examples(
      'relaycerts explain /var/log/mail.log',
      'relaycerts explain relayhost --follow',
      'zcat -f /var/log/mail.log* | relaycerts explain -',
      'journalctl -o short-iso -u "postfix*" | relaycerts explain -',
    )
    .runs(async (sys, options: Omit<ExplainOptions, 'log'>, log: string | undefined) => {
      const { explain } = await import('../commands/explain.js');
      await explain({ ...options, log }, sys);
    });
}
