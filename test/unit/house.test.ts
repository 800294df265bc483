// The rules of the house (ARCHITECTURE.md), checked by a program: sizes, headers, who imports whom, names. It reads the
// source as text.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const paths = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.ts'),
);
const texts = new Map(paths.map((path) => [path, readFileSync(join(root, 'src', path), 'utf8')]));
const linesOf = (path: string): readonly string[] => (texts.get(path) ?? '').trimEnd().split('\n');
const programs = paths.filter((path) => !path.endsWith('.d.ts')).toSorted();

/** The files of ours that a file imports; `loads` leaves types out. */
function importsOf(path: string, loads = false): readonly string[] {
  const pattern =
    /(?:^import (?<type>type )?(?:[^;']*? from )?|^export (?:type )?[^;'=]*? from |\bimport\()'(?<file>\.[^']+)'/gmu;
  return [...(texts.get(path) ?? '').matchAll(pattern)]
    .filter(({ groups }) => !loads || groups?.['type'] === undefined)
    .map(({ groups }) => normalize(join(dirname(path), groups?.['file'] ?? '')).replace(/\.js$/u, '.ts'));
}

/** The longest import path down from each file, within `files`. A cycle is an error. */
function floorsOf(files: readonly string[], loads: boolean): ReadonlyMap<string, number> {
  const floors = new Map<string, number>();
  const climb = (path: string, way: readonly string[]): number => {
    if (way.includes(path)) throw new Error(`a circle: ${[...way, path].join(' -> ')}`);
    const known = floors.get(path);
    if (known !== undefined) return known;
    const below = importsOf(path, loads).filter((one) => files.includes(one));
    const floor = 1 + Math.max(0, ...below.map((one) => climb(one, [...way, path])));
    floors.set(path, floor);
    return floor;
  };
  for (const path of files) climb(path, []);
  return floors;
}

const height = (path: string): number => linesOf(path).findIndex((line) => !line.startsWith('//'));

describe('a file', () => {
  it('has at most 300 lines', () => {
    expect(paths.filter((path) => linesOf(path).length > 300)).toEqual([]);
  });

  it('opens with a comment of 2 to 12 lines', () => {
    expect(programs.filter((path) => height(path) < 1 || height(path) > 12)).toEqual([]);
    expect(programs.filter((path) => height(path) === 1)).toEqual([]);
  });
});

describe('comments', () => {
  it('are one line to about five of code', () => {
    const lines = programs.flatMap(linesOf).filter((line) => line.trim() !== '');
    const comments = lines.filter((line) => /^\s*(?:\/\/|\/\*|\*)/u.test(line)).length;
    const ratio = comments / (lines.length - comments);
    expect(ratio).toBeGreaterThanOrEqual(0.15);
    expect(ratio).toBeLessThanOrEqual(0.3);
  });
});

/** Each imports only from those to its left; custody and issue not from each other. */
const order = [
  ['settings'],
  ['certificate'],
  ['findings', 'log'],
  ['plan'],
  ['custody', 'issue'],
  ['store'],
  ['remote', 'probe', 'dns'],
  ['render'],
  ['check'],
  ['wizard'],
  ['adopt'],
  ['commands'],
  ['cli', 'cli.ts'],
  ['main.ts'],
];
const ground = ['errors.ts', 'names.ts', 'secret.ts', 'shell-word.ts', 'pieces.ts', 'json-text.ts', 'sys'];

const placeOf = (path: string): string => path.split('/')[0] ?? '';
const rankOf = (place: string): number => order.findIndex((places) => places.includes(place));

describe('the line', () => {
  it('has a place for every file', () => {
    const places = new Set(programs.map(placeOf));
    expect([...places].filter((place) => rankOf(place) < 0 && !ground.includes(place))).toEqual([]);
  });

  it('runs one way: each folder imports only from its left', () => {
    const back = programs.flatMap((path) =>
      importsOf(path).flatMap((file) => {
        const [from, to] = [placeOf(path), placeOf(file)];
        if (from === to || ground.includes(to) || file.endsWith('package.json')) return [];
        const isOneUnit = from.replace('.ts', '') === to.replace('.ts', '');
        return isOneUnit || (!ground.includes(from) && rankOf(to) < rankOf(from)) ? [] : [`${path} -> ${file}`];
      }),
    );
    expect(back).toEqual([]);
  });

  it('has no circle, types included', () => {
    expect(() => floorsOf(programs, false)).not.toThrow();
  });
});

describe('commands', () => {
  const commands = programs.filter((path) => path.startsWith('commands/'));
  const shared = [
    'run',
    'hosts',
    'ca-key',
    'certify',
    'custody',
    'deliver',
    'dkim-keys',
    'dkim-stage',
    'dns-work',
    'deployed-hosts',
    'deployment',
    'known-clients',
    'live-relays',
    'locked',
    'make-ca',
    'new-file',
    'operator-key',
    'revocation',
    'undeploy',
    'visit-notes',
  ].map((name) => `commands/${name}.ts`);

  it('import no other command, only what they share', () => {
    const verbs = commands.filter((path) => !shared.includes(path));
    const others = commands.flatMap((path) =>
      importsOf(path).flatMap((file) => (verbs.includes(file) ? [`${path} -> ${file}`] : [])),
    );
    expect(others).toEqual([]);
  });

  it('stand on at most 3 floors', () => {
    const floors = floorsOf(commands, true);
    expect([...floors].filter(([, floor]) => floor > 3)).toEqual([]);
  });
});

describe('a host of the inventory', () => {
  it('is never spread, because what is read late would be lost', () => {
    const users = programs.filter((path) => /^(?:plan|store|render|commands)\//u.test(path));
    const spread = users.filter((path) => /\{\s*\.\.\.found,/u.test(texts.get(path) ?? ''));
    expect(spread).toEqual([]);
  });
});

const inCamel = (name: string): string => name.replaceAll(/-(.)/gu, (_, letter: string) => letter.toUpperCase());

describe('the labs', () => {
  it('reload and end Postfix by the helpers, which wait until it is done', () => {
    const folder = join(root, 'test/e2e');
    const helpers = ['lab/mail-host.ts', 'lab/postfix.ts'];
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
    const asked = files.filter((path) => {
      const code = readFileSync(join(folder, path), 'utf8').replaceAll(/^ *(?:\/\/|\*|\/\*\*).*$/gmu, '');
      return /\bpostfix(?:', ')? ?(?:reload|abort)\b/u.test(code);
    });
    // lab.test.ts has a reload that is not waited for, in the middle of a delivery.
    expect(asked.toSorted()).toEqual([...helpers, 'lab.test.ts'].toSorted());
  });
});

describe('names', () => {
  const gone = [
    'odd',
    'turn',
    'steady',
    'settle',
    'look',
    'again',
    'work',
    'change',
    'issued',
    'history',
    'life',
    'main-job',
    'settings-word',
    'compare',
    'prove',
    'keep-previous',
  ];
  const exported = programs.flatMap((path) =>
    [...(texts.get(path) ?? '').matchAll(/^export (?:async )?(?:function\*?|const) (\w+)/gmu)].map(
      ([, name = '']) => [name, path] as const,
    ),
  );

  it('can be guessed: no file and no function has one of these', () => {
    expect(programs.filter((path) => gone.includes(basename(path, '.ts')))).toEqual([]);
    expect(exported.filter(([name]) => gone.map(inCamel).includes(name))).toEqual([]);
  });

  it('are kebab-case for files', () => {
    expect(paths.filter((path) => !/^[a-z0-9-]+(?:\.d)?\.ts$/u.test(basename(path)))).toEqual([]);
  });

  it('are unique: no two files export a function of one name', () => {
    const names = exported.map(([name]) => name);
    expect(exported.filter(([name]) => names.indexOf(name) !== names.lastIndexOf(name))).toEqual([]);
  });
});
