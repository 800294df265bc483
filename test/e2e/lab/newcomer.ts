// Somebody who has only the README: a clone of this checkout on the operator's machine, and a shell in a real terminal,
// in which each line is typed as printed.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { expect } from 'vitest';

import { requireTools } from '../../support/require-tools.js';
import { openTerminal } from '../../support/terminal.js';
import type { Terminal } from '../../support/terminal.js';
import { rootAccount } from './machine.js';
import type { Machine } from './machine.js';
import { settleAll } from './settled.js';

const checkout = resolve(import.meta.dirname, '../../..');
const modules = 'node_modules';

/**
 * Puts what a clone of this checkout has into a folder of the home folder. For `npm ci`, which would take longer than
 * all other tests, it has the result of this checkout's `npm ci`, read-only; `npm` knows that, and is npm otherwise.
 */
export async function clone(machine: Machine, folder: string): Promise<void> {
  requireTools('git', 'bash');
  expectInstalled();
  const { account } = machine;
  const files = run('git', ['-c', 'safe.directory=*', 'ls-files', '-z']);
  const archive = run('tar', ['--create', '--null', '--files-from=-', '--file=-'], files);
  const path = `${account.home}/${folder}`;
  await machine.exec(['mkdir', '-p', path]);
  await machine.exec(['tar', '--extract', '--file=-', '--no-same-owner', '-C', path], { input: archive });
  const npm = run('readlink', ['-f', run('which', ['npm']).toString().trim()])
    .toString()
    .trim();
  const script = `#!/bin/sh
if [ "$*" = ci ] && [ -d ${modules}/esbuild ]; then exit 0; fi
exec node ${npm} "$@"
`;
  const mount = `mkdir "$1" && mount --bind /opt/relaycerts/${modules} "$1"`;
  await machine.execAs(rootAccount, ['sh', '-c', mount, 'sh', `${path}/${modules}`]);
  await machine.execAs(rootAccount, ['sh', '-c', 'cat > /opt/bin/npm && chmod 755 /opt/bin/npm'], { input: script });
}

function run(program: string, args: readonly string[], input: Buffer | string = ''): Buffer {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: checkout, input, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
}

/** What the lock file names is what is installed. */
function expectInstalled(): void {
  const [wanted, found] = ['package-lock.json', `${modules}/.package-lock.json`].map((name) => {
    const { packages } = JSON.parse(readFileSync(resolve(checkout, name), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>;
    };
    return new Map(
      Object.entries(packages).flatMap(([path, one]) => (path === '' || one.optional ? [] : [[path, one.version]])),
    );
  });
  expect(found, 'npm ci has to be run in this checkout first').toEqual(wanted);
}

/** A shell in a terminal; `lines` are those that were typed. */
export class Shell {
  readonly lines: string[] = [];
  readonly #terminal: Terminal;

  private constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  static async open(machine: Machine, account = machine.account): Promise<Shell> {
    const { command, env } = machine.within(account, ['sh', '-i']);
    const shell = new Shell(
      await openTerminal({ command, cwd: '/', env: { ...env, PS1: prompt }, columns: 80, rows: 200 }),
    );
    await shell.#prompted();
    return shell;
  }

  /** Types a line and waits for its end, which must be successful. `answers`: what is waited for, then typed. */
  async run(line: string, answers: readonly (readonly [question: string, answer: string])[] = []): Promise<void> {
    this.#terminal.type(line);
    this.#terminal.press('Enter');
    this.lines.push(line);
    for (const [question, answer] of answers) {
      await this.#terminal.waitFor(question);
      if (answer !== '') this.#terminal.type(answer);
      this.#terminal.press('Enter');
    }
    await this.#prompted();
    await settleAll();
    const status = /\((\d+)\) newcomer\$\s*$/u.exec(this.screen())?.[1];
    expect(status, this.screen().trim()).toBe('0');
  }

  screen(): string {
    return this.#terminal.screen();
  }

  close(): void {
    this.#terminal.dispose();
  }

  /** One prompt for each line, and the first. */
  #prompted(): Promise<void> {
    return this.#terminal.waitFor('newcomer$', this.lines.length + 1);
  }
}

/** With the exit status of the last command. */
const prompt = '($?) newcomer$ ';
