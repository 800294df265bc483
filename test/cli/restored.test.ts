// A backup that restores only a part of the folder: what was revoked or renewed since is undone, and make and status
// report it if the rest of the folder knows better. A whole folder does not know, so docs/files.md explains it.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { hintsOf } from '../support/refusals.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const run = async (...words: readonly string[]): Promise<void> => {
  succeed(await project.run(words));
};
const sh = (script: string): void => {
  const { status, stderr } = spawnSync('sh', ['-euc', script], { cwd: project.folder });
  expect(status, stderr.toString()).toBe(0);
};
const backUp = (): void => sh('cp -a . ../backup');
const words = /comes back|the ledger says|older than the last one/u;

/** Runs the only hint with this relaycerts command, as printed. */
async function followHint(stderr: string, command: string): Promise<void> {
  const hints = new Set(hintsOf(stderr).filter((line) => line.includes(`relaycerts ${command}`)));
  const [hint = '', ...more] = hints;
  expect([hint !== '', more]).toEqual([true, []]);
  const typed = / relaycerts (.+?)(?:,|$)/u.exec(` ${hint}`)?.[1] ?? '';
  await run(...typed.split(' '));
}

describe('of a host that was revoked', () => {
  it('old certs/, new hosts/: make and status report what comes back', async () => {
    backUp();
    await run('revoke', 'mailhost');
    sh('rm -r certs; cp -a ../backup/certs certs');
    const status = await project.run(['status']);
    expect(status.status).toBe(3);
    const says =
      /warning: mailhost\.example\.org comes back: .* table of relayhost\.example\.org in hosts\/ does not list/u;
    expect(status.stderr).toMatch(says);
    expect((await project.run(['make', '--dry-run'])).stderr).toMatch(says);
    const made = await project.run(['make']);
    expect([made.status, made.stderr]).toEqual([0, expect.stringMatching(says)]);
    await followHint(made.stderr, 'revoke');
    expect((await project.run(['status'])).stderr).not.toMatch(words);
    expect(project.read('hosts/relayhost.example.org/relay_clientcerts')).not.toContain(' mailhost');
  });

  it('old certificates, new ledger: status reports what the ledger knows', async () => {
    backUp();
    await run('revoke', 'mailhost');
    sh('rm -r certs/smtp-client certs/revoked hosts; cp -a ../backup/certs/smtp-client certs; cp -a ../backup/hosts .');
    const { status, stderr } = await project.run(['status']);
    expect(status).toBe(3);
    expect(stderr).toMatch(
      /the ledger says that mailhost\.example\.org was revoked at 20\S+Z, but certs\/revoked\/ does not/u,
    );
    await followHint(stderr, 'revoke');
    expect((await project.run(['status'])).stderr).not.toMatch(words);
  });

  it('the same with an older key than the one that was revoked', async () => {
    backUp();
    await run('renew', '--rekey', 'mailhost');
    await run('retire', 'mailhost');
    await run('revoke', 'mailhost');
    sh('rm -r certs/smtp-client certs/revoked; cp -a ../backup/certs/smtp-client certs');
    const { stderr } = await project.run(['status']);
    expect(stderr).toMatch(/the ledger says that mailhost\.example\.org was revoked at /u);
    await followHint(stderr, 'revoke');
    expect((await project.run(['status'])).stderr).not.toMatch(words);
  });

  it('an old folder knows nothing of it; docs/files.md says what to do', async () => {
    backUp();
    await run('revoke', 'mailhost');
    sh('rm -r certs hosts; cp -a ../backup/certs ../backup/hosts .');
    await noteAsInstalled(project);
    expect(await project.run(['status'])).toMatchObject({ status: 0, stderr: '' });
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/files.md'), 'utf8');
    const [text = ''] = /^\*\*A restored folder.*(?:\n.+)*/mu.exec(page) ?? [];
    expect(text).toMatch(/revoked after the backup [^]*`relaycerts revoke HOST`/u);
  });
});

it.each([
  ['renew', '--force', 'mailhost'],
  ['renew', '--rekey', 'mailhost'],
])('an old certificate %s %s: status reports it, and the hint fixes it', async (...command) => {
  backUp();
  await run(...command);
  if (command.includes('--rekey')) await run('retire', 'mailhost');
  sh('rm -r certs/smtp-client hosts; cp -a ../backup/certs/smtp-client certs; cp -a ../backup/hosts .');
  const { status, stderr } = await project.run(['status']);
  expect(status).toBe(3);
  expect(stderr).toMatch(
    /certificate of mailhost\.example\.org is older than the last one in the ledger, serial \w+ of 20/u,
  );
  await followHint(stderr, 'renew');
  expect((await project.run(['status'])).stderr).toBe('');
});

it('an older ledger is not a fault: it is a log', async () => {
  backUp();
  await run('renew', '--force');
  await run('revoke', 'mailhost');
  await run('make', '--again', 'mailhost');
  sh('cp -a ../backup/certs/ca/issued.jsonl certs/ca/');
  await noteAsInstalled(project);
  expect(await project.run(['status'])).toMatchObject({ status: 0, stderr: '' });
});

it('none of it is reported in normal use', async () => {
  const life = [
    'renew --force',
    'renew --rekey mailhost',
    'retire',
    'renew --ca',
    'renew --ca --rekey',
    'renew --ca --rekey',
    'renew --ca --rekey',
    'revoke mailhost',
    'make --again mailhost',
    'passphrase change',
  ];
  for (const command of life) {
    const done = await project.run(command.split(' '));
    expect([command, done.status, done.stderr]).toEqual([command, 0, done.stderr.replace(words, '')]);
    for (const look of ['status', 'make']) {
      expect((await project.run([look])).stderr, `${look} after ${command}`).not.toMatch(words);
    }
  }
});

it('a client that is added again after its removal is not a return', async () => {
  const settings = project.read('settings.json');
  const both = JSON.parse(settings) as { smtpClients: object[] };
  both.smtpClients.push({ hostname: 'second' });
  writeFileSync(project.path('settings.json'), JSON.stringify(both));
  await run('make');
  writeFileSync(project.path('settings.json'), settings);
  await run('make');
  writeFileSync(project.path('settings.json'), JSON.stringify(both));
  expect((await project.run(['make'])).stderr).not.toMatch(words);
});

const many = Array.from({ length: 8 }, (_, at) => (at === 0 ? 'mailhost' : `c${at}`));
const warningsIn = (stderr: string): readonly string[] => stderr.match(/^relaycerts: warning: .*/gmu) ?? [];

describe('of many', () => {
  beforeEach(async () => {
    project.settings(smallSettings({ smtpClients: many.map((hostname) => ({ hostname })) }));
    await run('make');
  });

  it('an interrupted make is not a backup: no warning, and make lists them', async () => {
    const table = 'hosts/relayhost.example.org/relay_clientcerts';
    const whole = project.read(table);
    project.write(table, whole.replaceAll(/^[0-9A-F]\S+ c\d.*\n/gmu, ''));
    expect(warningsIn(succeed(await project.run(['make'])).stderr)).toEqual([]);
    expect(project.read(table)).toBe(whole);
  });

  it('clients that come back are one warning, by the tables and by the ledger', async () => {
    backUp();
    for (const name of many.slice(0, 6)) await run('revoke', name);
    sh('cp -a certs ../after; rm -r certs; cp -a ../backup/certs certs');
    expect(warningsIn((await project.run(['make', '--dry-run'])).stderr)).toEqual([
      expect.stringMatching(
        /clients come back: .* the tables in hosts\/ do not list mailhost\.\S+ c1\..* and 1 more$/u,
      ),
    ]);
    sh('rm -r hosts; cp -a ../backup/hosts .; cp -a ../after/ca/issued.jsonl certs/ca/');
    const { stderr } = await project.run(['status']);
    expect(warningsIn(stderr)).toEqual([
      expect.stringMatching(/the ledger says that hosts were revoked, .*: mailhost\.\S+ c1\..* and 1 more$/u),
    ]);
    expect(stderr).toContain('restored here: relaycerts revoke HOST\n');
  });

  it('certificates that are older than the ledger are one warning', async () => {
    backUp();
    await run('renew', '--force');
    sh('rm -r certs/smtp-client; cp -a ../backup/certs/smtp-client certs');
    const { stderr } = await project.run(['status']);
    expect(warningsIn(stderr).filter((line) => words.test(line) || line.includes('older'))).toEqual([
      expect.stringMatching(
        /certificates are older than the last ones in the ledger: mailhost\.\S+ c1\..* and 3 more$/u,
      ),
    ]);
    await followHint(stderr, 'renew');
    expect((await project.run(['status'])).stderr).not.toContain('older than the last');
  });
});
