// Several at once: only one process changes things at a time, readers see complete states, and a wait is announced. A
// process that must be in the middle of its work is stopped there by strace, so nothing here depends on speed.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answerOf, certificatesOf } from '../support/answer.js';
import { breakAt, isDeep, traceOf, type Point } from '../support/faults.js';
import { leftOver, wrongIn } from '../support/invariants.js';
import { makeProject, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';
import { openWithLock } from '../../src/sys/flock.js';

const settings = (...hostnames: readonly string[]) =>
  smallSettings({ smtpClients: hostnames.map((hostname) => ({ hostname })) });
const table = 'hosts/relayhost.example.org/relay_clientcerts';
// The name of the one that works is written once it has the lock.
const isHeld = /another relaycerts (?:\(process \d+ on \S+\) )?is working in/u;
const noLimit = { timeout: 3_600_000 };

let project: Project;
const kills: (() => Promise<void>)[] = [];
beforeEach(() => {
  requireTools('strace', 'openssl');
  project = makeProject(settings('mailhost', 'second'));
});
afterEach(async () => {
  for (const kill of kills.splice(0)) await kill();
  project.remove();
});

interface Started {
  /** Its end. */
  readonly ends: Promise<Result>;
  /** Kills it. */
  readonly kill: () => Promise<void>;
  /** Lets it continue from where it was stopped, to its end. */
  readonly goOn: () => Promise<Result>;
  /** Its output so far. */
  readonly said: () => string;
}

/** A separate process in its own process group, with the command it runs under. */
function start(args: readonly string[], under: readonly string[] = []): Started {
  const [command = process.execPath, ...rest] = [...under, process.execPath, program, ...args];
  const child = spawn(command, rest, {
    cwd: project.folder,
    env: { PATH: process.env['PATH'], HOME: project.home, UV_THREADPOOL_SIZE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ends = new Promise<Result>((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
  const send = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, signal);
  };
  const kill = async (): Promise<void> => {
    send('SIGKILL');
    await ends;
  };
  kills.push(kill);
  const goOn = async (): Promise<Result> => {
    // A thread that was not stopped when the signal came stops after it.
    const again = setInterval(() => send('SIGCONT'), 50);
    return ends.finally(() => clearInterval(again));
  };
  return { ends, kill, goOn, said: () => stderr };
}

const until = (isTrue: () => boolean): Promise<unknown> => vi.waitUntil(isTrue, { timeout: 3_600_000 });

const changeFolder = 'project/.relaycerts.change';
const moments = {
  /** The lock file is read twice before it is opened to be locked. */
  planned: { call: 'openat', path: 'project/.relaycerts.lock', nth: 3 },
  staging: { call: 'mkdir', path: changeFolder, nth: 1 },
  committed: { call: 'rename', path: `${changeFolder}/draft`, nth: 1 },
} as const satisfies Record<string, Point>;

/** A command that was stopped before it takes the lock, when it starts to stage its change, or after the commit. */
async function startStopped(args: readonly string[], when: keyof typeof moments): Promise<Started> {
  const started = start(args, breakAt(project, moments[when], 'signal=SIGSTOP'));
  const isStopped = (): boolean =>
    existsSync(traceOf(project)) && readFileSync(traceOf(project), 'utf8').includes('stopped by SIGSTOP');
  await until(isStopped);
  return started;
}

/** Two commands that wait for the lock which the test holds; `change` is made while they wait. */
async function runAfterWait(lines: readonly (readonly string[])[], change: () => void): Promise<readonly Result[]> {
  const lock = await openWithLock(project.path('.relaycerts.lock'));
  const waiting = lines.map((line) => start(['--wait', '99999', ...line]));
  await until(() => waiting.every(({ said }) => said().includes('waiting up to')));
  change();
  if (lock !== undefined) closeSync(lock);
  return Promise.all(waiting.map(({ ends }) => ends));
}

/** The state of each certificate in the output of `status --json`, or of each host in that of `show --json`. */
function statesIn(json: string, roles: readonly string[] = ['ca', 'smtp-client', 'smtpd-server']): readonly string[] {
  type Row = { readonly role: string; readonly state?: string };
  const { certificates, hosts } =
    answerOf<Readonly<Record<'certificates' | 'hosts', readonly Row[] | undefined>>>(json);
  return (certificates ?? hosts ?? []).flatMap(({ role, state }) =>
    state !== undefined && roles.includes(role) ? [state] : [],
  );
}

/** Everything is complete, and nothing is left to do. */
async function expectWhole(): Promise<void> {
  const before = treeOf(project.folder);
  const { stderr } = succeed(await project.run(['make']));
  expect(stderr).toContain('nothing to make');
  const { '.relaycerts.lock': _, ...after } = treeOf(project.folder);
  expect({ ...after, '.relaycerts.lock': before['.relaycerts.lock'] }).toEqual(before);
  expect([...leftOver(project), ...(await wrongIn(project))]).toEqual([]);
}

describe('two at once', () => {
  it('one makes, the other has nothing to do or reports the lock', noLimit, async () => {
    const results = await Promise.all([project.start(['make']), project.start(['make'])]);
    for (const { status, stderr } of results) expect(status === 0 || isHeld.test(stderr), stderr).toBe(true);
    expect(results.filter(({ stderr }) => stderr.includes("made the CA's key"))).toHaveLength(1);
    await expectWhole();
  });

  it('a second one is refused, and touches nothing', noLimit, async () => {
    succeed(await project.run(['make']));
    const first = await startStopped(['renew', '--force'], 'staging');
    const before = treeOf(project.folder);
    const refused = await project.run(['renew', '--force']);
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(isHeld);
    expect(refused.stderr).toMatch(/^relaycerts: hint: to wait for it, add --wait 60; to see it: ps -fp \d+$/mu);
    expect(treeOf(project.folder)).toEqual(before);
    succeed(await first.goOn());
    await expectWhole();
  });

  it('a lock whose holder was killed is free at once', noLimit, async () => {
    succeed(await project.run(['make']));
    const first = await startStopped(['renew', '--force'], 'staging');
    await first.kill();
    succeed(await project.run(['renew', '--force']));
    await expectWhole();
  });

  it('a waiting one continues when the holder is killed', noLimit, async () => {
    succeed(await project.run(['make']));
    const first = await startStopped(['renew', '--force'], 'committed');
    const second = start(['--wait', '99999', 'renew', '--force']);
    await until(() => second.said().includes('waiting up to'));
    await first.kill();
    expect(succeed(await second.ends).stderr).toContain('finished an interrupted change');
    await expectWhole();
  });

  it('a make that waits for a clean makes everything again', noLimit, async () => {
    succeed(await project.run(['make']));
    const clean = await startStopped(['clean', '--yes'], 'staging');
    const make = start(['--wait', '99999', 'make']);
    await until(() => make.said().includes('waiting up to'));
    succeed(await clean.goOn());
    expect(succeed(await make.ends).stderr).toContain("made the CA's key");
    await expectWhole();
  });

  it('a make with nothing to do does not wait', noLimit, async () => {
    succeed(await project.run(['make']));
    const lock = await openWithLock(project.path('.relaycerts.lock'));
    await expectWhole();
    if (lock !== undefined) closeSync(lock);
  });

  it('a make whose plan is older than another change plans again', noLimit, async () => {
    succeed(await project.run(['make']));
    project.settings(settings('mailhost', 'second', 'third'));
    const make = await startStopped(['make'], 'planned');
    succeed(await project.run(['renew', '--rekey', 'mailhost', 'second']));
    succeed(await project.run(['retire']));
    const pins = project.read(table);
    succeed(await make.goOn());
    expect(project.read(table)).toContain('third.example.org');
    expect(project.read(table)).toEqual(expect.stringContaining(pins.trimEnd()));
    await expectWhole();
  });

  it('a client that is removed while others wait does not come back', noLimit, async () => {
    succeed(await project.run(['make']));
    expect(project.read(table)).toContain('second.example.org');
    project.settings(settings('mailhost', 'second', 'third'));
    const lines = [['make'], ['renew', '--force', 'mailhost']];
    const results = await runAfterWait(lines, () => project.settings(settings('mailhost')));
    for (const result of results) succeed(result);
    expect(project.read(table)).not.toContain('second.example.org');
    await expectWhole();
  });
});

describe('twenty at once', () => {
  it('end well, in one state, and readers see whole ones', noLimit, async () => {
    succeed(await project.run(['make']));
    const lines = [
      ['make'],
      ['renew', '--force', 'mailhost'],
      ['renew', '--force'],
      ['status', '--json'],
      ['show', '--json'],
    ];
    const all = Array.from({ length: 20 }, (_, at) => ['--wait', '99999', ...(lines[at % lines.length] ?? [])]);
    const results = await Promise.all(all.map((line) => project.start(line)));
    for (const { stdout, stderr, status } of results) {
      expect(stderr).not.toMatch(/error:|warning:|mismatch|finished an interrupted change/u);
      // The renewed certificate is not on its host.
      const isStatus = stdout.includes('"command": "status"');
      expect(status, stderr).toBe(isStatus ? 3 : 0);
      if (isStatus)
        expect(statesIn(stdout, ['smtp-client', 'smtpd-server']).filter((state) => state !== 'not-installed')).toEqual(
          [],
        );
    }
    await expectWhole();
  });
});

/** What every host has; how long ago it was made changes during the look. */
function serialsIn({ stdout }: Pick<Result, 'stdout'>): readonly string[] {
  const rows = certificatesOf<Readonly<Record<'host' | 'state' | 'serial', string>>>({ stdout });
  return rows.map(({ host, state, serial }) => `${host} ${state} ${serial}`);
}

describe('a reader', () => {
  it('sees the old state until the commit, without waiting', noLimit, async () => {
    succeed(await project.run(['make']));
    const before = await project.run(['status', '--json']);
    const first = await startStopped(['renew', '--force'], 'staging');
    expect(serialsIn(await project.run(['status', '--json']))).toEqual(serialsIn(before));
    succeed(await first.goOn());
    expect((await project.run(['status', '--json'])).stdout).not.toBe(before.stdout);
  });

  it('waits for a change that is being carried out', noLimit, async () => {
    succeed(await project.run(['make']));
    const first = await startStopped(['renew', '--force'], 'committed');
    const trace = project.path('..', 'reader');
    const reads = start(
      ['--wait', '99999', 'status', '--json'],
      ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=openat', '-P', project.path('.relaycerts.change')],
    );
    const looks = (): number => (existsSync(trace) ? readFileSync(trace, 'utf8').split('openat(').length - 1 : 0);
    await until(() => looks() > 2);
    succeed(await first.goOn());
    const { stdout, stderr, status } = await reads.ends;
    expect([status, stderr]).toEqual([3, '']);
    expect(serialsIn({ stdout })).toEqual(serialsIn(await project.run(['status', '--json'])));
  });

  it('sees one whole state in the middle of many changes', noLimit, async () => {
    succeed(await project.run(['make']));
    const writer = { isOver: false };
    const write = async (): Promise<void> => {
      try {
        for (let round = 0; round < (isDeep ? 30 : 4); round += 1) {
          for (const line of [['renew', '--rekey', 'mailhost', 'second'], ['retire']]) {
            succeed(await project.start(['--wait', '99999', ...line]));
          }
        }
      } finally {
        writer.isOver = true;
      }
    };
    const states = new Set<string>();
    const pins = new Set<number>();
    const read = async (): Promise<void> => {
      while (!writer.isOver) {
        // Reading is synchronous: without a turn the writers' ends would not be seen.
        await new Promise((turn) => setImmediate(turn));
        const status = await project.run(['--wait', '99999', 'status', '--json']);
        states.add(statesIn(status.stdout, ['smtp-client']).join(' '));
        const show = succeed(await project.run(['--wait', '99999', 'show', '--section', 'relay_clientcerts']));
        pins.add([...show.stdout.matchAll(/^ *[0-9A-F:]{95} /gmu)].length);
        expect(status.stderr + show.stderr).not.toMatch(/error:|the bundle of|finished an interrupted change/u);
      }
    };
    await Promise.all([write(), read()]);
    expect([...states].filter((state) => !['not-installed not-installed', 'pending pending'].includes(state))).toEqual(
      [],
    );
    expect([...pins].filter((count) => ![2, 4].includes(count))).toEqual([]);
    await expectWhole();
  });
});
