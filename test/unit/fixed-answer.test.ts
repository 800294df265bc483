// The answers that need no commander tree are the tree's own, and given only if nothing else would change them. That
// relaycerts.help is what the tree says is in command-tree.test.ts.

import { describe, expect, it } from 'vitest';
import { findFixedAnswer } from '../../src/cli/fixed-answer.js';
import help from '../../src/cli/relaycerts.help';
import { buildProgram } from '../../src/cli/program.js';

/** What the tree prints of this command line on such a terminal. */
function printedByTree(word: string, columns: number | undefined, env: NodeJS.ProcessEnv): string {
  let printed = '';
  const stdout = {
    isTTY: columns !== undefined,
    ...(columns && { columns }),
    write: (text: unknown) => (printed += String(text)),
  };
  const tree = buildProgram({ env, stdout, stderr: stdout, stdin: process.stdin, cwd: () => '/' }, () => undefined);
  expect(() => tree.parse([word], { from: 'user' })).toThrow();
  return printed;
}

describe('a fixed answer', () => {
  it.each([
    ['--help', undefined],
    ['-h', undefined],
    ['--help', 80],
    ['--help', 200],
    ['--version', undefined],
    ['-V', 40],
  ])('to %s on a terminal of %s columns is what the tree prints', (word, columns) => {
    const stdout = { isTTY: columns !== undefined, ...(columns && { columns }), write: () => true };
    const fixed = findFixedAnswer([word], { env: {}, stdout });
    expect(fixed).toBe(printedByTree(word, columns, {}));
  });

  it.each([
    ['on a narrow terminal', ['--help'], {}, 60],
    ['if the environment names the settings', ['--help'], { RELAYCERTS_SETTINGS: 'other.json' }, 80],
    ['with more words', ['--help', '--json'], {}, 80],
    ['to a command', ['make'], {}, 80],
    ['to no words', [], {}, 80],
  ])('is not given %s', (_, args, env, columns) => {
    expect(findFixedAnswer(args, { env, stdout: { isTTY: true, columns, write: () => true } })).toBeUndefined();
  });

  it('is help of at most 80 columns', () => {
    expect(help.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(printedByTree('--help', 60, {})).not.toBe(help);
  });
});
