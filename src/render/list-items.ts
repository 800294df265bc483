// Items of lists in main.cf, in the numbered steps: shell functions that add ours and take them out, for a person to
// paste. The script has its own, in edit-configuration.sh.

import { shellWord, shellWords } from '../shell-word.js';
import type { ListToken, Parameter } from './postfix.js';
import { continued } from './step.js';

/**
 * The setting of a list, with items first or last, each once; or without them. All lists are read before one postconf
 * sets them, because it waits until main.cf's last edit is two seconds old.
 */
const withItems = [
  'with() {',
  '  name=$1 place=$2 list=$(postconf -h "$1")',
  '  shift 2',
  '  for item in "$@"; do',
  '    case ", $list, " in *[,\\ ]"$item"[,\\ ]*) continue ;; esac',
  '    if test "$place" = first; then list="$item${list:+, $list}"; else list="${list:+$list, }$item"; fi',
  '  done',
  '  echo "$name = $list"',
  '}',
];
/** Its inverse. */
const withoutItems = [
  'without() {',
  '  name=$1 list=$(postconf -h "$1")',
  '  shift',
  '  for item in "$@"; do',
  `    list=$(echo "$list" | awk -v item="$item" '{ at = index($0, item) }`,
  `      at { $0 = substr($0, 1, at - 1) substr($0, at + length(item)); sub(/^[, ]+/, ""); sub(/[, ]+$/, ""); gsub(/, *,/, ",") } 1')`,
  '  done',
  '  echo "$name = $list"',
  '}',
];

/** The items of each list, which begin with the place. */
export function listsOf(
  tokens: readonly ListToken[],
): ReadonlyMap<string, readonly [place: string, ...items: string[]]> {
  const lists = new Map<string, [string, ...string[]]>();
  for (const { name, place, token } of tokens) lists.set(name, [...(lists.get(name) ?? ([place] as const)), token]);
  return lists;
}

/** Sets parameters, and adds items to lists; nothing if there are none of either. */
export function settingLines(main: readonly Parameter[], tokens: readonly ListToken[]): readonly string[] {
  if (main.length + tokens.length === 0) return [];
  const lists = [...listsOf(tokens)].map(([name, words]) => `"$(with ${name} ${shellWords(words)})"`);
  const words = main.map(({ name, value }) => shellWord(`${name} = ${value}`));
  return [...(lists.length === 0 ? [] : withItems), ...continued(['postconf -e', ...words, ...lists])];
}

/** Takes the items out of the lists again. */
export function takingOutLines(tokens: readonly ListToken[]): readonly string[] {
  if (tokens.length === 0) return [];
  const lists = [...listsOf(tokens)].map(([name, [, ...items]]) => `"$(without ${name} ${shellWords(items)})"`);
  return [...withoutItems, ...continued(['postconf -e', ...lists])];
}
