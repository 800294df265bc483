// The cure of a finding as commands for the hosts of these settings, each on a line that can be run as printed. The
// cures themselves, and the ids, are in src/findings.

import { commandText, escapeControls, quotePath, renderHint } from '../errors.js';
import { fillIn, shorten, type CureStep, type Finding } from '../findings/finding.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { installCommand, rootCommand } from './commands.js';

/** A line of a cure: words for a person, or a command. */
export interface CureLine {
  readonly kind: 'words' | 'command';
  readonly text: string;
}

/** What to do about a finding, in order. */
export function cureLines(settings: Settings, finding: Pick<Finding, 'cure' | 'host' | 'values'>): readonly CureLine[] {
  return finding.cure.flatMap((step): readonly CureLine[] => {
    if (step.words !== undefined) return [{ kind: 'words', text: fillIn(step.words, finding.values, shorten) }];
    if (step.hint !== undefined) return [{ kind: 'words', text: plainLine(renderHint(step.hint, settings.program)) }];
    return commandsOf(settings, finding, step).map((text) => ({ kind: 'command', text }));
  });
}

/** A hint on one line, without characters that move the cursor or reverse text. */
function plainLine(text: string): string {
  return escapeControls(text).replaceAll(/[\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** A value with characters that move the cursor or reverse text is shown escaped, and then names nothing. */
function plainValue(value: string): string {
  return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value) ? quotePath(value) : value;
}

function commandsOf(
  settings: Settings,
  { host, values }: Pick<Finding, 'host' | 'values'>,
  { run, root, install }: CureStep,
): readonly string[] {
  const find = (name: string) => hostsOf(settings).find(({ hostname }) => hostname === name);
  if (run !== undefined) {
    const words = run.split(' ').map((word) => fillIn(word, values, plainValue));
    return [commandText(settings.program, words)];
  }
  if (root !== undefined) {
    const on = find(host);
    if (on === undefined) return [];
    const command = fillIn(root, values, (value) => shellWord(plainValue(value)));
    // sudo runs one command, and a cure may have two.
    const inner = on.ssh.needsSudo ? `sh -c ${shellWord(command)}` : command;
    return [rootCommand(on.ssh, on.ssh.isLocal ? inner : shellWord(inner))];
  }
  const target = find(fillIn(install ?? '', values));
  return target === undefined ? [] : [installCommand(settings.program, [target.hostname])];
}
