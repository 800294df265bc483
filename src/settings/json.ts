// Reads JSON text strictly and says where and why it is not JSON, and which keys stand twice: JSON.parse words its
// errors differently on every Node release, and takes the last of two equal keys in silence. The value itself is
// JSON.parse's; this only walks the grammar (RFC 8259) and keeps nothing.

import { quote } from '../errors.js';

/** What is wrong at one place of a text. `line` and `column` count from 1, columns in characters. */
export interface JsonFlaw {
  readonly line: number;
  readonly column: number;
  readonly what: string;
  readonly hint: string;
}

const maxDepth = 32;
/** More keys that stand twice than this are not told: each costs a look at the text before it. */
const maxTwins = 20;

class Flaw extends Error {
  readonly offset: number;
  readonly hint: string;

  constructor(offset: number, what: string, hint: string) {
    super(what);
    this.offset = offset;
    this.hint = hint;
  }
}

/**
 * The flaws of a JSON text: every key that stands twice, and the first offence against the grammar; none where
 * JSON.parse takes the text and loses nothing.
 *
 * @source RFC 8259 2 (grammar), 4 (names within an object should be unique)
 */
export function findJsonFlaws(text: string): readonly JsonFlaw[] {
  const flaws: Flaw[] = [];
  try {
    const end = skipSpace(text, scanValue(text, skipSpace(text, 0), 0, flaws));
    if (end < text.length) {
      throw new Flaw(end, `the JSON ends before ${found(text, end)}`, 'remove what follows the last closing brace');
    }
  } catch (error) {
    if (!(error instanceof Flaw)) throw error;
    flaws.push(error);
  }
  return flaws.map(({ offset, message, hint }) => {
    const before = text.slice(0, offset).split('\n');
    return { line: before.length, column: Array.from(before.at(-1) ?? '').length + 1, what: message, hint };
  });
}

const spaces = /[ \t\n\r]*/y;
const literals =
  /(?:true|false|null)(?![A-Za-z0-9_])|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.+-])/y;
const strings = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;

/** The offset behind the match of a sticky pattern at `offset`, or -1. */
function match(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

function skipSpace(text: string, offset: number): number {
  return match(spaces, text, offset);
}

function scanValue(text: string, offset: number, depth: number, flaws: Flaw[]): number {
  if (depth > maxDepth) {
    throw new Flaw(
      offset,
      `nested over ${String(maxDepth)} deep`,
      'settings need three levels: see settings.example.json',
    );
  }
  if (text[offset] === '{') return scanMembers(text, offset, depth, '}', flaws);
  if (text[offset] === '[') return scanMembers(text, offset, depth, ']', flaws);
  if (text[offset] === '"') return scanString(text, offset);
  const end = match(literals, text, offset);
  if (end === -1) throw unexpected(text, offset, 'a value');
  return end;
}

/** An object's or a list's members, from its opening bracket to behind its closing one. */
function scanMembers(text: string, open: number, depth: number, close: '}' | ']', flaws: Flaw[]): number {
  const keys = new Set<unknown>();
  let offset = skipSpace(text, open + 1);
  if (text[offset] === close) return offset + 1;
  for (;;) {
    if (close === '}') offset = scanKey(text, offset, keys, flaws);
    offset = skipSpace(text, scanValue(text, offset, depth + 1, flaws));
    if (text[offset] === close) return offset + 1;
    if (text[offset] !== ',') throw unexpected(text, offset, `"," or "${close}"`);
    const comma = offset;
    offset = skipSpace(text, comma + 1);
    if (text[offset] === close) throw new Flaw(comma, `a comma before "${close}"`, 'remove that comma');
  }
}

/** A key and its colon; gives the offset of the value. */
function scanKey(text: string, offset: number, keys: Set<unknown>, flaws: Flaw[]): number {
  if (text[offset] !== '"') throw unexpected(text, offset, 'a key in double quotes');
  const end = scanString(text, offset);
  const key: unknown = JSON.parse(text.slice(offset, end));
  if (keys.has(key) && flaws.length < maxTwins) {
    flaws.push(new Flaw(offset, `key ${quote(key)} stands twice in one object`, 'keep one of the two'));
  }
  keys.add(key);
  const colon = skipSpace(text, end);
  if (text[colon] !== ':') throw unexpected(text, colon, `":" after key ${quote(key)}`);
  return skipSpace(text, colon + 1);
}

function scanString(text: string, offset: number): number {
  const end = match(strings, text, offset);
  if (end !== -1) return end;
  // Whatever stops the string: an end of line, a control character, or an escape that is none.
  const stop = match(/"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*/y, text, offset);
  if (text[stop] === '\\') {
    throw new Flaw(
      stop,
      `text holds ${quote(text.slice(stop, stop + 2))}, which is no escape`,
      'write a backslash as \\\\',
    );
  }
  if (stop >= text.length || text[stop] === '\n' || text[stop] === '\r') {
    throw new Flaw(offset, 'text without its closing quote on the same line', 'close it with a double quote');
  }
  throw new Flaw(stop, `text holds the control character ${quote(text[stop])}`, 'remove that character');
}

function found(text: string, offset: number): string {
  if (offset >= text.length) return 'the end of the file';
  const word = /^(?:[\p{L}\p{N}_.+-]{1,40}|[^])/u.exec(text.slice(offset, offset + 80))?.[0] ?? '';
  return quote(word);
}

function unexpected(text: string, offset: number, expected: string): Flaw {
  const character = text[offset] ?? '';
  const hints: readonly (readonly [boolean, string])[] = [
    [offset >= text.length, 'close every brace, bracket and quote; is the file complete?'],
    [character === '/' || character === '#', 'JSON has no comments: remove it'],
    ["'`\u2018\u2019\u201c\u201d\u201e".includes(character), 'write straight double quotes: "'],
    [character === '"', 'put a comma between the two'],
    [character === '}' || character === ']', 'look for a missing value, or a bracket of the other kind'],
    [/[\p{L}_$]/u.test(character), 'put text into double quotes; true, false and null are written so'],
  ];
  const hint = hints.find(([fits]) => fits)?.[1] ?? 'compare it with settings.example.json';
  return new Flaw(offset, `expected ${expected}, found ${found(text, offset)}`, hint);
}
