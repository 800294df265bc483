// What holds of every command: examples, the man page, and what a mistyped word leads to. The tree is the program's own.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';
import type { SysCommand } from '../../src/cli/options.js';
import { makeProject } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

const root = resolve(import.meta.dirname, '../..');
const page = resolve(root, 'man/relaycerts.1');
const outside = {
  env: {},
  stdin: process.stdin,
  stdout: { write: () => undefined },
  stderr: { write: () => undefined },
  cwd: () => '/',
};

function allCommands(command: SysCommand): readonly SysCommand[] {
  return [command, ...command.commands.flatMap((one) => allCommands(one as SysCommand))];
}
const tree = buildProgram(outside, () => undefined);
const commands = allCommands(tree);
const nameOf = (command: SysCommand): string =>
  command.parent === null ? '' : `${nameOf(command.parent as SysCommand)} ${command.name()}`.trim();

describe('every command', () => {
  it('has examples, within 80 columns, of commands that exist', () => {
    expect(commands.length).toBeGreaterThan(20);
    expect(commands.filter(({ exampleLines }) => exampleLines.length === 0).map(nameOf)).toEqual([]);
    const lines = commands.flatMap(({ exampleLines }) => exampleLines);
    expect(lines.filter((line) => `  ${line}`.length > 80)).toEqual([]);
    const names = new Set(tree.commands.map((command) => command.name()));
    const run = lines.flatMap((line) =>
      [...line.matchAll(/relaycerts (?:--\S+ \S+ )*([a-z]\w*)/gu)].map(([, word]) => word),
    );
    expect(run.filter((word) => !names.has(word ?? ''))).toEqual([]);
  });

  it('has help within 80 columns', async () => {
    const project = makeProject();
    for (const command of commands) {
      const words = nameOf(command)
        .split(' ')
        .filter((word) => word !== '');
      const { stdout } = await project.run([...words, '-h']);
      expect(stdout).toContain(`Usage: ${['relaycerts', ...words].join(' ')}`);
      expect((await project.run(['help', ...words])).stdout).toBe(stdout);
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    }
    project.remove();
  });
});

it.each([40, 60])('help fits %d columns', (columns) => {
  const stdout = { isTTY: true, columns, write: () => undefined };
  const narrow = allCommands(buildProgram({ ...outside, stdout }, () => undefined));
  const text = narrow.map((command) => command.helpInformation().replace(/\nExamples:[^]*$/u, '')).join('\n');
  // Words that are longer than a line are not cut.
  expect(
    text.split('\n').filter((line) => line.length > columns && !/^(?:Usage: .*| *\S+(?: \S+)?)$/u.test(line)),
  ).toEqual([]);
});

describe('the man page', () => {
  beforeAll(() => requireTools('mandoc', 'groff'));

  it('matches the command tree', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/write-man.mjs', '--check'], { cwd: root });
    expect([status, stderr.toString()]).toEqual([0, '']);
  });

  it('is read by mandoc and groff without a word', () => {
    for (const [program, ...args] of [
      ['mandoc', '-T', 'lint', page],
      ['groff', '-man', '-ww', '-z', '-Tutf8', page],
    ] as const) {
      const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
      expect([program, status, stdout + stderr]).toEqual([program, 0, '']);
    }
  });

  it('names every command and option, with dashes and quotes as typed', () => {
    const { stdout } = spawnSync('mandoc', ['-T', 'ascii', '-O', 'width=200', page], { encoding: 'utf8' });
    // Overstruck letters are how a terminal shows bold: the first of two goes, with the backspace.
    const pieces = stdout.split('\b');
    const text = pieces.map((piece, at) => (at === pieces.length - 1 ? piece : piece.slice(0, -1))).join('');
    const leaves = commands.filter((command) => command.commands.length === 0);
    const options = commands.flatMap((command) =>
      command.options.filter(({ hidden }) => !hidden).map(({ flags }) => flags),
    );
    expect(
      [...leaves.map((command) => `relaycerts ${nameOf(command)} `), ...options].filter((word) => !text.includes(word)),
    ).toEqual([]);
    const examples = commands.flatMap(({ exampleLines }) => exampleLines);
    expect(examples.filter((line) => !text.includes(line))).toEqual([]);
    expect(readFileSync(page, 'utf8')).not.toMatch(/[^\n -~]/u);
  });
});

describe('a mistyped command', () => {
  const destructive = ['clean', 'remove', 'retire', 'revoke'];

  it.each([...destructive, 'chek', 'clen', 'cleann', 'remov', 'remove', 'retir', 'revok', 'rekove', 'renove', 'lean'])(
    'like "%s" never suggests what destroys',
    async (word) => {
      const project = makeProject();
      const typed = destructive.includes(word) ? `${word}x` : word;
      const { status, stderr } = await project.run([typed]);
      project.remove();
      expect(status).toBe(2);
      expect(stderr).toContain(`unknown command "${typed}"`);
      for (const name of destructive)
        expect(stderr).not.toMatch(new RegExp(`did you mean ${name}|hint: relaycerts ${name}`, 'u'));
      // Nor a harmless one that is spelt alike: who mistypes "revoke" does not want "renew".
      if (destructive.some((name) => typed.startsWith(name.slice(0, -1))))
        expect(stderr).toMatch(/"\nrelaycerts: hint: relaycerts --help\n$/u);
    },
  );

  it('gets the nearest one suggested', async () => {
    const project = makeProject();
    expect((await project.run(['statsu'])).stderr).toContain(
      'did you mean status?\nrelaycerts: hint: relaycerts status\n',
    );
    expect((await project.run(['foo'])).stderr).toContain(
      'unknown command "foo"\nrelaycerts: hint: relaycerts --help\n',
    );
    project.remove();
  });
});
