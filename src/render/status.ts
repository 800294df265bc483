// `status` as text: how many hosts are in which state, then a table in 80 columns of what needs attention, with cures;
// for a fleet the most urgent, and how to see the others. plan/ defines the states.

import { commandText, howMany, renderHint, type Problem } from '../errors.js';
import { needsCare, type CertificateStatus } from '../plan/status.js';
import { states, type State } from '../plan/states.js';
import { wrapWords } from './step.js';

export interface StatusText {
  /** How relaycerts was called. */
  readonly program: string;
  /** The words of the command line that selected the rows, for the command that shows the others. */
  readonly filters: readonly string[];
  /** Every selected row is shown, because it was asked for by name or state. */
  readonly isAsked: boolean;
  /** Only what needs attention, and nothing at all if nothing does. */
  readonly due: boolean;
  /** With serial and pin, at any width. */
  readonly wide: boolean;
}

/** The number of rows shown without being asked for. */
const few = 20;
const columns = 80;

/** `rows` are the selected ones, the most urgent first. */
export function renderStatus(rows: readonly CertificateStatus[], text: StatusText): string {
  const care = rows.filter(needsCare);
  if (text.due && care.length === 0) return '';
  const chosen = (text.due || (!text.isAsked && rows.length > few) ? care : rows).filter(isCertificate);
  const shown = text.isAsked ? chosen : chosen.slice(0, few);
  const lines = [
    ...wrapWords(countsText(rows).split(' '), columns),
    ...(shown.length === 0 ? [] : ['', ...tableLines(shown, text, shown.length === chosen.length)]),
    ...moreLines(chosen.slice(shown.length), shown, text),
  ];
  return `${lines.join('\n')}\n`;
}

/** The passphrase has no certificate; what is wrong with it is a warning. */
function isCertificate({ role }: CertificateStatus): boolean {
  return role !== 'passphrase';
}

/** `3 hosts: 1 due, 2 ok; CA ok; passphrase ok`. */
export function countsText(rows: readonly CertificateStatus[]): string {
  const counts = countStates(rows);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const byState = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
  const ofOthers = (['ca', 'passphrase'] as const).flatMap((role) =>
    rows.filter((row) => row.role === role).map(({ state }) => `${role === 'ca' ? 'CA' : role} ${state}`),
  );
  const ofHosts = total === 0 ? 'no hosts' : `${howMany(total, 'host')}: ${byState}`;
  return [...(total === 0 && ofOthers.length > 0 ? [] : [ofHosts]), ...ofOthers].join('; ');
}

/** Hosts by state, the most urgent first, without states that no host is in. */
export function countStates(rows: readonly CertificateStatus[]): ReadonlyMap<State, number> {
  const counts = new Map<State, number>(states.map((state) => [state, 0]));
  for (const { role, state } of rows) {
    if (role === 'smtpd-server' || role === 'smtp-client') counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return new Map([...counts].filter(([, count]) => count > 0));
}

/** Selected rows that are not shown, and the commands that cure many at once. */
function moreLines(
  hidden: readonly CertificateStatus[],
  shown: readonly CertificateStatus[],
  { program, filters }: StatusText,
): readonly string[] {
  const isLong = shown.length > few || hidden.length > 0;
  if (!isLong) return [];
  const all = [...countStates([...shown, ...hidden]).keys()].filter((state) => needsCare({ state }));
  const left = countStates(hidden);
  return all.flatMap((state) => {
    const count = left.get(state) ?? 0;
    const cure = cureOfMany(state);
    return [
      ...(count === 0
        ? []
        : [`${count} more ${state}: ${commandText(program, ['status', ...filters, '--state', state])}`]),
      ...(cure === undefined ? [] : [`all that are ${state}: ${commandText(program, cure)}`]),
    ];
  });
}

/** What cures every host in this state at once; undefined if it differs from host to host. */
export function cureOfMany(state: State): readonly string[] | undefined {
  return curesOfMany.get(state);
}

const curesOfMany: ReadonlyMap<State, readonly string[]> = new Map([
  ['expired', ['renew', '--due']],
  ['due', ['renew', '--due']],
  ['missing', ['make']],
  ['not-installed', ['deploy']],
]);

const header = ['HOST', 'ROLE', 'STATE', 'DAYS', 'EXPIRES'];

/** Of the hidden rows, only the table is cut: what cures many at once is printed below it. */
function tableLines(
  rows: readonly CertificateStatus[],
  { program, wide }: StatusText,
  isWhole: boolean,
): readonly string[] {
  const cells = rows.map(({ name, role, state, daysLeft, expires, serial, pin }) => [
    name,
    role,
    state,
    daysLeft === undefined ? '-' : String(daysLeft),
    expires?.toISOString().slice(0, 10) ?? '-',
    ...(wide ? [serial ?? '-', pin ?? '-'] : []),
  ]);
  const all = [[...header, ...(wide ? ['SERIAL', 'PIN'] : [])], ...cells];
  const widths = (all[0] ?? []).map((_, at) => all.reduce((most, row) => Math.max(most, row[at]?.length ?? 0), 0));
  const rest = widths.slice(1).reduce((sum, width) => sum + width + 2, 0);
  const room = wide ? (widths[0] ?? 0) : Math.min(widths[0] ?? 0, columns - rest);
  const hasDetails = isWhole && rows.length <= few;
  return all.flatMap(([name = '', ...others], index) => {
    const right = others
      .map((cell, at) => cell.padEnd(widths[at + 1] ?? 0))
      .join('  ')
      .trimEnd();
    const why = rows[index - 1]?.why;
    const details = why === undefined ? [] : detailLines(why, program);
    const next = rows[index]?.why;
    // Below the last of the rows that have the same.
    const isRepeated = next !== undefined && detailLines(next, program).join() === details.join();
    return [
      // A long name gets a line to itself.
      ...(name.length > room ? [name, `${' '.repeat(room)}  ${right}`] : [`${name.padEnd(room)}  ${right}`]),
      ...(hasDetails && !isRepeated ? details : []),
    ];
  });
}

/** The reason and the cure, below a row. A command is never broken. */
function detailLines({ message, hint }: Problem, program: string): readonly string[] {
  if (hint === undefined) return wrapWords(message.split(' '), columns, '    ');
  const said = `${message}:`.split(' ');
  if (typeof hint === 'string') return wrapWords([...said, hint], columns, '    ');
  const { before = '', ...command } = hint;
  return wrapWords([...said, ...before.split(' '), renderHint(command, program)].filter(Boolean), columns, '    ');
}
