// What the wizard shows before it writes: the changes to the settings, line by line, and what make does with them.
// Pure; it knows no key of the settings file.

import { howMany } from '../errors.js';
import type { Settings } from '../settings/settings.js';

/** Lines of context around a change. */
const around = 2;
/** More lines than this in the middle are not compared one by one. */
const mostCompared = 1000;

/** The lines that differ, removed ones with `- ` and new ones with `+ `, with some context. */
export function renderDiff(before: string, after: string): string {
  const [old, now] = [before, after].map((text) => text.replace(/\n$/u, '').split('\n'));
  if (old === undefined || now === undefined) return '';
  let top = 0;
  while (top < old.length && top < now.length && old[top] === now[top]) top += 1;
  let end = 0;
  while (end < Math.min(old.length, now.length) - top && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const middle = compare(old.slice(top, old.length - end), now.slice(top, now.length - end));
  const lines = [...old.slice(0, top).map(kept), ...middle, ...old.slice(old.length - end).map(kept)];
  const isNear = lines.map((_, at) =>
    lines.slice(Math.max(0, at - around), at + around + 1).some((one) => !isKept(one)),
  );
  return lines.flatMap((line, at) => (isNear[at] ? [`${line}\n`] : isNear[at - 1] ? ['...\n'] : [])).join('');
}

const kept = (line: string): string => `  ${line}`;
const isKept = (line: string): boolean => line.startsWith('  ');

/** By the longest common subsequence. */
function compare(old: readonly string[], now: readonly string[]): readonly string[] {
  if (old.length > mostCompared || now.length > mostCompared) {
    return [...old.map((line) => `- ${line}`), ...now.map((line) => `+ ${line}`)];
  }
  // lengths[a][b]: the length of what the remainders from a and b have in common.
  const lengths = Array.from({ length: old.length + 1 }, () => Array.from({ length: now.length + 1 }, () => 0));
  const lengthAt = (a: number, b: number): number => lengths[a]?.[b] ?? 0;
  for (let a = old.length - 1; a >= 0; a -= 1) {
    for (let b = now.length - 1; b >= 0; b -= 1) {
      const row = lengths[a];
      if (row === undefined) continue;
      row[b] = old[a] === now[b] ? lengthAt(a + 1, b + 1) + 1 : Math.max(lengthAt(a + 1, b), lengthAt(a, b + 1));
    }
  }
  const lines: string[] = [];
  for (let [a, b] = [0, 0]; a < old.length || b < now.length;) {
    const [from, to] = [old[a], now[b]];
    if (from !== undefined && from === to) {
      lines.push(kept(from));
      a += 1;
      b += 1;
    } else if (from !== undefined && (to === undefined || lengthAt(a + 1, b) >= lengthAt(a, b + 1))) {
      lines.push(`- ${from}`);
      a += 1;
    } else {
      lines.push(`+ ${to ?? ''}`);
      b += 1;
    }
  }
  return lines;
}

/** Two sentences on what make does with these settings; `sealed` is the passphrase file as it is shown. */
export function describeMake(
  { ca, certificates, smtpdServers, smtpClients, passphrase }: Settings,
  sealed: string,
): string {
  const openers = passphrase.recipients.length === 0 ? 'the operator key' : passphrase.recipients.join(', ');
  return [
    `make creates what is missing: a private CA (${ca.keyType}, ${howMany(ca.validDays, 'day')}), certificates for`,
    `${howMany(smtpdServers.length, 'relay')} and ${howMany(smtpClients.length, 'mail server')}`,
    `(${certificates.keyType}, ${howMany(certificates.validDays, 'day')}), and the CA's passphrase in`,
    `${sealed}, for ${openers}. It changes no host, and prints the command that does.`,
  ].join(' ');
}
