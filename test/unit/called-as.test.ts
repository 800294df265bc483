// The start of a printed command: how relaycerts was called, and its settings file. Each case runs in its own folder,
// because PATH and links are on disk.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programWord } from '../../src/settings/program-word.js';
import { calledAnywhere, calledAs } from '../../src/sys/called-as.js';

let root: string;
let script: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'relaycerts-called-'));
  script = make('lib/bin/relaycerts.js');
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const at = (path: string): string => join(root, path);
function make(path: string): string {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), '');
  chmodSync(at(path), 0o755);
  return at(path);
}
/** As made by npm install -g. */
function link(path: string, target: string): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  symlinkSync(target, at(path));
}
const pathOf = (...folders: readonly string[]): NodeJS.ProcessEnv => ({
  PATH: folders.map((folder) => (folder === '' || folder === '.' ? folder : at(folder))).join(':'),
});

describe('relaycerts', () => {
  it.each<readonly [string, () => NodeJS.ProcessEnv, string]>([
    [
      'by its name if that is on PATH',
      () => {
        link('a/relaycerts', script);
        return pathOf('a');
      },
      'relaycerts',
    ],
    [
      'by its name through two links',
      () => {
        link('b/relaycerts', script);
        link('a/relaycerts', at('b/relaycerts'));
        return pathOf('a');
      },
      'relaycerts',
    ],
    [
      'by its name if it is the first one on PATH',
      () => {
        link('a/relaycerts', script);
        make('b/relaycerts');
        return pathOf('none', 'a', 'b');
      },
      'relaycerts',
    ],
    [
      'by its path if another one is first on PATH',
      () => {
        make('b/relaycerts');
        link('a/relaycerts', script);
        return pathOf('b', 'a');
      },
      'node lib/bin/relaycerts.js',
    ],
    [
      'by its path if the link on PATH leads nowhere',
      () => {
        link('a/relaycerts', at('gone'));
        return pathOf('a');
      },
      'node lib/bin/relaycerts.js',
    ],
    ['by its path if PATH has none', () => pathOf('a'), 'node lib/bin/relaycerts.js'],
    ['by its path without PATH', () => ({}), 'node lib/bin/relaycerts.js'],
    [
      'by its path if PATH finds it only from here',
      () => {
        link('relaycerts', script);
        return pathOf('', '.');
      },
      'node lib/bin/relaycerts.js',
    ],
    ['through npx as npx runs it', () => ({ ...pathOf('a'), npm_command: 'exec' }), 'npx relaycerts'],
    ['not through npx in a script of npm run', () => ({ npm_command: 'run-script' }), 'node lib/bin/relaycerts.js'],
  ])('is called %s', (_, env, words) => {
    expect(calledAs(script, env(), root)).toBe(words);
  });

  it.each<readonly [string, string, string]>([
    ['from its own folder', 'lib/bin', 'relaycerts.js'],
    ['from a folder beside it', 'lib/mail', '../bin/relaycerts.js'],
    ['from far away, by the whole path', 'mail/of/example', 'ROOT/lib/bin/relaycerts.js'],
  ])('%s', (_, cwd, way) => {
    expect(calledAs(script, {}, at(cwd))).toBe(`node ${way.replace('ROOT', root)}`);
  });

  it('with this node by absolute paths, for cron', () => {
    expect(calledAnywhere(script)).toBe(`${process.execPath} ${script}`);
  });

  it("is one shell word, whatever its folder's name", () => {
    const odd = make("my $(tools)'s/relaycerts.js");
    expect(calledAs(odd, {}, root)).toBe(String.raw`node 'my $(tools)'\''s/relaycerts.js'`);
    expect(calledAnywhere(odd)).toBe(`${process.execPath} '${odd.replaceAll("'", String.raw`'\''`)}'`);
  });

  it('is not an error in a folder whose name has a line feed', () => {
    const odd = make('two\nlines/relaycerts.js');
    expect(calledAs(odd, {}, root)).toBe(String.raw`node '"two\nlines/relaycerts.js"'`);
    expect(calledAnywhere(odd)).not.toContain('\n');
  });

  it("is not an option of node if the folder's name begins with a dash", () => {
    const odd = make('-r/relaycerts.js');
    expect(calledAs(odd, {}, root)).toBe('node ./-r/relaycerts.js');
  });
});

describe('the settings file', () => {
  it.each([
    ['/project/settings.json', '/project', 'relaycerts'],
    ['/project/settings.json', '/', 'relaycerts --settings project/settings.json'],
    ['/project/settings.json', '/other', 'relaycerts --settings /project/settings.json'],
    ['/project/other.json', '/project', 'relaycerts --settings other.json'],
    ["/my project's/other.json", '/', String.raw`relaycerts --settings 'my project'\''s/other.json'`],
    ['/two\nlines/settings.json', '/', String.raw`relaycerts --settings '"two\nlines/settings.json"'`],
  ])('%s in %s: %s', (file, cwd, words) => {
    expect(programWord('relaycerts', file, cwd)).toBe(words);
  });

  it('follows the words with which relaycerts was called', () => {
    expect(programWord('npx relaycerts', '/p/s.json', '/p')).toBe('npx relaycerts --settings s.json');
  });
});
