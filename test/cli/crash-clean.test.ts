// clean, killed at every system call that changes the file system: the next clean ends it, a make in between goes on or
// says clearly why not, and what is not its own is never touched.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crashSweep, toldBy } from '../support/crash-sweep.js';
import { holdingsOf } from '../support/invariants.js';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

let project: Project;
/** What another project of the same user, and a person, have beside this one. */
const strange = ['project/certs/notes.txt', 'project/hosts/mailhost.example.org/notes.txt', 'home/notes.txt'];

beforeEach(() => {
  // All that clean knows: a rekey under way, a retired certificate, a revoked host, one that the settings no longer name.
  project = makeProject(
    smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }, { hostname: 'third' }] }),
  );
  for (const line of ['make', 'renew --rekey mailhost', 'retire', 'renew --rekey second', 'revoke third']) {
    expect(project.spawn(line.split(' ')).status, line).toBe(0);
  }
  const lines = project.read('certs/ca/issued.jsonl');
  expect(lines).toContain('retired');
  project.settings(smallSettings());
  for (const path of strange) writeFileSync(join(project.folder, '..', path), 'mine');
});
afterEach(() => {
  project.remove();
});

const strangeIn = (victim: Project): readonly string[] =>
  strange.filter((path) => !existsSync(join(victim.folder, '..', path))).map((path) => `${path} is gone`);

/** What is there besides what was never clean's own. */
const leftIn = (victim: Project, isAll: boolean): readonly string[] => {
  const inHome = readdirSync(victim.home).filter((name) => name !== 'notes.txt' && (isAll || name.includes('.lock')));
  const inFolder = Object.keys(treeOf(victim.folder)).filter(
    (name) => !/^settings\.json$|notes\.txt$|^(?:certs|hosts|hosts\/mailhost\.example\.org)\/$/u.test(name),
  );
  return [...inFolder, ...inHome.filter((name) => !(isAll && name === '.config'))].map(
    (name) => `${name} is there still`,
  );
};

describe('SIGKILL at every system call of clean that changes files: the next clean ends it', () => {
  it.each([
    ['clean', ['clean', '--yes']],
    ['clean --all', ['clean', '--yes', '--all']],
  ] as const)('%s', { timeout: 900_000 }, async (what, args) => {
    const isAll = args.length === 3;
    let refused = 0;
    await crashSweep({
      what,
      base: project,
      args,
      mayGo: () => true,
      isEnd: true,
      heal: async (victim, at) => {
        const wrong: string[] = [...strangeIn(victim)];
        if (at % 2 === 1) {
          const made = await victim.start(['make']);
          // A make may go on from what is there; what it cannot mend it refuses, and its hints are all for this folder.
          if (made.status !== 0) {
            refused += 1;
            if (made.status !== 1 || !/^relaycerts: error: /mu.test(made.stderr)) wrong.push(toldBy('make', made));
            if (!/relaycerts: hint: .*relaycerts clean/u.test(made.stderr)) wrong.push(toldBy('make', made));
          }
        }
        const next = await victim.start(args);
        if (next.status !== 0) wrong.push(toldBy('the next clean', next));
        wrong.push(...strangeIn(victim), ...leftIn(victim, isAll));
        // And all begins anew from there.
        const again = await victim.start(['make']);
        if (again.status !== 0) wrong.push(toldBy('a new make', again));
        const { keys } = await holdingsOf(victim);
        if (keys.size !== 3) wrong.push(`a new make has made ${keys.size} keys`);
        return wrong;
      },
    });
    process.stderr.write(`  where a make in between refused: ${refused}\n`);
  });
});

describe('clean', () => {
  it('takes the temporary files of a make that died, which may hold a key', () => {
    const key = project.path('certs/smtp-client/.mailhost.example.org.key.pem.relaycerts-4194303-0a1b.tmp');
    writeFileSync(key, 'a key', { mode: 0o600 });
    mkdirSync(join(project.home, '.config/relaycerts'), { recursive: true });
    expect(project.spawn(['clean', '--yes']).status).toBe(0);
    expect(existsSync(key)).toBe(false);
    expect(existsSync(project.path('certs/smtp-client'))).toBe(false);
  });
});
