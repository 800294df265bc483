// Reads the text of a settings file: JSON with comments and trailing commas (JSONC). jsonc-parser does the grammar;
// this file words its errors, finds duplicate keys, and limits the depth. What the values mean is in schema.ts.

import { getNodeValue, parseTree, printParseErrorCode, visit } from 'jsonc-parser';
import { quote } from '../errors.js';

/** One error in a text. `line` and `column` count from 1, columns in UTF-16 units. */
interface Flaw {
  readonly line: number;
  readonly column: number;
  readonly what: string;
  readonly hint: string;
}

/** jsonc-parser recurses for each level; settings have three. */
const maxDepth = 32;
const mostTwins = 20;
const jsonc = { allowTrailingComma: true };

/** A text's value, or every duplicate key and the first syntax error. Objects have no prototype. */
export function parseJsonc(text: string): { readonly value: unknown } | { readonly flaws: readonly [Flaw, ...Flaw[]] } {
  const [first, ...others] = findFlaws(text);
  if (first !== undefined) return { flaws: [first, ...others] };
  const tree = parseTree(text, [], jsonc);
  if (tree === undefined) throw new TypeError('no value in a text without flaws');
  return { value: getNodeValue(tree) };
}

/** The members of the object in a text without errors, such as settings that were parsed before. */
export function membersOf(text: string): Readonly<Record<string, unknown>> {
  const parsed = parseJsonc(text);
  if ('value' in parsed && typeof parsed.value === 'object' && parsed.value !== null) return { ...parsed.value };
  throw new TypeError('a text that was to be a good object');
}

/** Ends the visit: after a first error, the same one is reported repeatedly, and the depth is not limited there. */
class Stop extends Error {}

function findFlaws(text: string): readonly Flaw[] {
  const flaws: Flaw[] = [];
  const openKeys: Set<string>[] = [];
  const report = (line: number, column: number, [what, hint]: Words): void =>
    void flaws.push({ line: line + 1, column: column + 1, what, hint });
  const open = (_offset: number, _length: number, line: number, column: number): void => {
    if (openKeys.push(new Set()) <= maxDepth) return;
    const what = `nested over ${String(maxDepth)} deep`;
    report(line, column, [what, 'settings need three levels: see settings.example.json']);
    throw new Stop();
  };
  const close = (): void => void openKeys.pop();
  try {
    visit(
      text,
      {
        onObjectBegin: open,
        onArrayBegin: open,
        onObjectEnd: close,
        onArrayEnd: close,
        onObjectProperty: (key, _offset, _length, line, column) => {
          const keys = openKeys.at(-1);
          if (keys?.has(key) === true && flaws.length < mostTwins) {
            report(line, column, [`key ${quote(key)} is there twice in one object`, 'keep one of the two']);
          }
          keys?.add(key);
        },
        onError: (error, offset, length, line, column) => {
          report(line, column, describeError(printParseErrorCode(error), text.slice(offset, offset + length)));
          throw new Stop();
        },
      },
      jsonc,
    );
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
  return flaws;
}

/** The error, and how to fix it. */
type Words = readonly [what: string, hint: string];

/** The errors of jsonc-parser about something missing. */
const missing: Readonly<Record<string, Words>> = {
  PropertyNameExpected: ['a key in double quotes', 'look for a missing key, or a comma too many'],
  ValueExpected: ['a value', 'look for a missing value, or a comma too many'],
  ColonExpected: ['":" after the key', 'write "key": value'],
  CommaExpected: ['","', 'put a comma between the two'],
  CloseBraceExpected: ['"}"', 'close every brace'],
  CloseBracketExpected: ['"]"', 'close every bracket'],
  EndOfFileExpected: ['the end of the file', 'remove what follows the last closing brace'],
};

const badEscape: Words = ['a backslash in text that escapes nothing', 'write a backslash as \\\\'];
const badNumber: Words = ['a number without all its digits', 'write it as in 2500'];

/** Its errors inside a token. The token is not quoted, because it may be a secret in the wrong place. */
const broken: Readonly<Record<string, Words>> = {
  UnexpectedEndOfComment: ['a comment without its end', 'close it with */'],
  UnexpectedEndOfString: ['text without its closing quote on the same line', 'close it with a double quote'],
  UnexpectedEndOfNumber: badNumber,
  InvalidNumberFormat: badNumber,
  InvalidUnicode: badEscape,
  InvalidEscapeCharacter: badEscape,
  InvalidCharacter: ['a control character in text', 'remove it, or write a tab as \\t'],
};

function describeError(name: string, token: string): Words {
  if (broken[name] !== undefined) return broken[name];
  const character = token.charAt(0);
  const found = token === '' ? 'the end of the file' : character === '"' ? 'text' : quote(token, 40);
  const [expected, usual = 'compare it with settings.example.json'] = missing[name] ?? [];
  const hints: readonly (readonly [boolean, string])[] = [
    [token === '', 'close every brace, bracket and quote; is the file complete?'],
    [character === '#', 'write a comment as // ...'],
    ["'`\u2018\u2019\u201c\u201d\u201e".includes(character), 'write straight double quotes: "'],
    [character === '}' || character === ']', 'look for a missing value, or a bracket of the other kind'],
    [/[\p{L}_$]/u.test(character), 'put text in double quotes; only true, false and null go without'],
  ];
  const what = expected === undefined ? `unexpected ${found}` : `expected ${expected}, found ${found}`;
  return [what, hints.find(([fits]) => fits)?.[1] ?? usual];
}
