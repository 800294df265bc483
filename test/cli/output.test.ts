// What the program writes to files and pipes arrives whole, also in a pipe that is full and does not wait, and an error
// of a write is kept until it is asked for.

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findOutput } from '../../src/sys/output.js';
import { flushOutput } from '../../src/sys/flush-output.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'output-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const noStream = (): never => {
  throw new Error('this is no terminal');
};

it('waits for the reader of a full pipe that does not block', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Both ways, so that it opens before there is a reader.
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  const reader = spawn('sh', ['-c', `cat '${pipe}' > '${folder}/arrived'`]);
  const ended = new Promise((resolve) => reader.on('close', resolve));
  const text = 'a line of text\n'.repeat(40_000);
  const output = findOutput(fd, noStream);
  output.write(text);
  output.write(Buffer.from('ä\n'));
  await flushOutput(output);
  closeSync(fd);
  await ended;
  expect(readFileSync(join(folder, 'arrived'), 'utf8') === `${text}ä\n`).toBe(true);
});

it('appends to a file, and asks for a stream only if it may be a terminal', () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'before\n');
  const fd = openSync(path, 'a');
  findOutput(fd, noStream).write('after\n');
  closeSync(fd);
  expect(readFileSync(path, 'utf8')).toBe('before\nafter\n');
  const nowhere = openSync('/dev/null', 'w');
  expect(findOutput(nowhere, noStream).fd).toBe(nowhere);
  closeSync(nowhere);
  const device = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  expect(() => findOutput(device, noStream)).toThrow('this is no terminal');
  closeSync(device);
});

it('keeps an error until it is flushed, and writes no more', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, '');
  const fd = openSync(path, 'r');
  const output = findOutput(fd, noStream);
  output.write('refused\n');
  closeSync(fd);
  await expect(flushOutput(output)).rejects.toMatchObject({ code: 'files' });
});
