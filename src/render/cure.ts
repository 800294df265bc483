// The cure of a finding as commands for the hosts of these settings, each on a line that can be run as printed. The
// cures themselves, and the ids, are in src/findings.

import { commandText, quotePath, renderHint } from '../errors.js';
import { fillIn, shorten, type CureStep, type Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { exportCommand, rootCommand } from './commands.js';

/** A line of a cure: words for a person, or a command. */
export interface CureLine {
  readonly kind: 'words' | 'command';
  readonly text: string;
}

/** The hosts that `deploy` has to be given so that it installs this one; none: it finds them by itself. */
export type NamesToDeploy = (hostname: HostName) => readonly HostName[];

export const byItself: NamesToDeploy = (hostname) => [hostname];

/** What to do about a finding, in order. */
export function cureLines(
  settings: Settings,
  finding: Pick<Finding, 'cure' | 'host' | 'values'>,
  names: NamesToDeploy = byItself,
): readonly CureLine[] {
  return finding.cure.flatMap((step, at): readonly CureLine[] => {
    if (step.words !== undefined) return [{ kind: 'words', text: fillIn(step.words, finding.values, shorten) }];
    if (step.hint !== undefined)
      return [{ kind: 'words', text: shorten(renderHint(step.hint, settings.program), Infinity) }];
    if (step.install === undefined) return commandsOf(settings, finding, step).map(commandLine);
    // Hosts that are installed one after the other are one command.
    if (finding.cure[at - 1]?.install !== undefined) return [];
    const after = finding.cure.slice(at);
    const end = after.findIndex(({ install }) => install === undefined);
    return installOf(settings, finding, end < 0 ? after : after.slice(0, end), names).map(commandLine);
  });
}

const commandLine = (text: string): CureLine => ({ kind: 'command', text });

/** The one command that installs the hosts of these steps; a container has its own. */
function installOf(
  settings: Settings,
  { values }: Pick<Finding, 'values'>,
  steps: readonly CureStep[],
  names: NamesToDeploy,
): readonly string[] {
  const wanted = new Set(steps.map(({ install = '' }) => fillIn(install, values)));
  const hosts = hostsOf(settings).filter(({ hostname }) => wanted.has(hostname));
  const exports = hosts.filter(({ container }) => container !== undefined);
  const each = hosts.filter((one) => !exports.includes(one)).map(({ hostname }) => names(hostname));
  const isAll = each.some((one) => one.length === 0);
  return [
    ...exports.map((one) => exportCommand(settings.program, one)),
    ...(each.length === 0 ? [] : [commandText(settings.program, ['deploy', ...(isAll ? [] : new Set(each.flat()))])]),
  ];
}

/** A value with characters that move the cursor or reverse text is shown escaped, and then names nothing. */
function plainValue(value: string): string {
  return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value) ? quotePath(value) : value;
}

function commandsOf(
  settings: Settings,
  { host, values }: Pick<Finding, 'host' | 'values'>,
  { run, root }: CureStep,
): readonly string[] {
  if (run !== undefined) {
    const words = run.split(' ').map((word) => fillIn(word, values, plainValue));
    return [commandText(settings.program, words)];
  }
  const on = hostsOf(settings).find(({ hostname }) => hostname === host);
  if (root === undefined || on === undefined || on.container !== undefined) return [];
  const command = fillIn(root, values, (value) => shellWord(plainValue(value)));
  // sudo runs one command, and a cure may have two.
  const inner = on.ssh.needsSudo ? `sh -c ${shellWord(command)}` : command;
  return [rootCommand(on.ssh, on.ssh.isLocal ? inner : shellWord(inner))];
}
