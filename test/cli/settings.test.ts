// Bad settings on the command line: each exits 2 with the place and a hint, writes nothing and shows no stack.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { badSettings } from '../support/bad-settings.js';
import { makeProject, treeOf, type Project, type Result } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject(null);
});
afterEach(() => {
  project.remove();
});

function expectRefusal(result: Result, before: Record<string, string>): void {
  expect(result.status).toBe(2);
  expect(result.stdout).toBe('');
  const lines = result.stderr.trimEnd().split('\n');
  expect(lines.length % 2).toBe(0);
  for (const [at, line] of lines.entries()) {
    expect(line).toMatch(at % 2 === 0 ? /^relaycerts: error: \S/u : /^relaycerts: hint: \S/u);
  }
  expect(result.stderr).not.toMatch(/\n\s+at |node:|Error:/u);
  expect({ ...treeOf(project.folder), ...treeOf(project.home) }).toEqual(before);
}

describe('make on bad settings', () => {
  it.each(badSettings)('$name', async ({ value, at, says }) => {
    project.settings(value);
    const before = treeOf(project.folder);
    const result = await project.run(['make']);
    expectRefusal(result, before);
    // A top-level value that is not an object has no path.
    expect(result.stderr).toContain(at === '' ? 'settings.json: ' : `settings.json: ${at}: `);
    // Whatever the quoted value contains, its message is on one line.
    expect(result.stderr.replaceAll(String.raw`\"`, '"')).toContain(says.replaceAll(String.raw`\"`, '"'));
  });
});

/** What is not a settings file at all. */
const files: readonly (readonly [name: string, make: () => void, says: RegExp])[] = [
  ['nothing', () => undefined, /no settings file/u],
  ['an empty file', () => project.write('settings.json', ''), /empty/u],
  ['a link to itself', () => symlinkSync('settings.json', project.path('settings.json')), /link to itself/u],
  ['a folder', () => mkdirSync(project.path('settings.json')), /folder/u],
  ['a byte order mark', () => project.write('settings.json', '\ufeff{}'), /byte order mark/u],
  ['UTF-16', () => project.write('settings.json', Buffer.from('{"domain": 1}', 'utf16le')), /UTF-8|u0000/u],
  ['Latin-1', () => project.write('settings.json', Buffer.from('{"domain": "\u00e9"}', 'latin1')), /UTF-8/u],
  ['YAML', () => project.write('settings.json', 'domain: example.org\n'), /line 1/u],
  ['a shell comment', () => project.write('settings.json', '{\n  # mine\n  "domain": "example.org"\n}'), /line 2/u],
  ['half a file', () => project.write('settings.json', '{"domain": "exam'), /line 1/u],
  ['a FIFO', () => execFileSync('mkfifo', [project.path('settings.json')]), /not a regular file/u],
];

describe('make with a file that is not settings', () => {
  it.each(files)('%s', async (_name, make, says) => {
    make();
    const result = await project.run(['make']);
    expect(result.status).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toMatch(/^relaycerts: hint: \S/mu);
    expect(result.stderr).not.toMatch(/\n\s+at |SyntaxError/u);
    // The wizard refuses to write over what it cannot read, so its hint makes room for it.
    const [, before] = /^relaycerts: hint: (.*)relaycerts wizard/mu.exec(result.stderr) ?? [];
    if (before === undefined) return;
    execFileSync('sh', ['-c', `${before}true`], { cwd: project.folder });
    expect((await project.run(['wizard'])).stderr).toContain('needs a terminal');
    expect(readdirSync(project.folder)).toEqual([]);
  });
});
