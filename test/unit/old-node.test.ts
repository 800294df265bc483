// On a Node that is too old the program says so in one line. Its first file is read by any Node, because it is ES5.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { transform } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { program } from '../support/project.js';

describe('the first file', () => {
  it('is ES5: nothing in it has to be translated', async () => {
    const text = readFileSync(program, 'utf8');
    const [old, now] = await Promise.all(['es5', 'esnext'].map((target) => transform(text, { target })));
    expect(old?.code).toBe(now?.code);
  });

  it.each(['0.10.48', '12.22.12', '18.20.8', '20.18.3'])('of Node %s prints what it needs, on one line', (version) => {
    const code = `Object.defineProperty(process, 'versions', { value: { node: '${version}' } }); require(process.argv[1])`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code, program], { encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      `relaycerts: error: it needs Node 20.19 or newer, and this is ${version}\n`,
    ]);
  });
});
