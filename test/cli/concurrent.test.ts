// Many at once: one process changes things at a time, readers see whole states, and nobody waits without saying so.

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, modesOf, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

interface Entry {
  readonly event: string;
  readonly serial: string;
  readonly publicKeySha256: string;
}

/** Of `status --json`. */
interface Row {
  readonly role: string;
  readonly state: string;
}

const ledger = (): readonly Entry[] =>
  project
    .read('certs/ca/issued.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry);

const remains = (): readonly string[] =>
  Object.keys({ ...modesOf(project.folder), ...modesOf(project.home) }).filter((name) => /\.tmp|\.lock/u.test(name));

/** As if this process, which lives, were a relaycerts at work. */
function holdLock(): void {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const holder = {
    pid: process.pid,
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    start: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19],
    place: `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`,
  };
  writeFileSync(project.path('.relaycerts.lock'), JSON.stringify(holder));
}

/** A command that waits for the lock: when it says so, and how it ends. */
function startWaiting(args: readonly string[]): {
  readonly waits: Promise<unknown>;
  readonly ends: Promise<Pick<Result, 'status' | 'stderr'>>;
} {
  const child = spawn(process.execPath, [program, '--wait', '60', ...args], {
    cwd: project.folder,
    env: { PATH: process.env['PATH'], HOME: project.home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  const waits = new Promise((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (stderr.includes('waiting for another relaycerts')) resolve(undefined);
    });
  });
  const ends = new Promise<Pick<Result, 'status' | 'stderr'>>((resolve) => {
    child.on('close', (status) => {
      resolve({ status, stderr });
    });
  });
  return { waits: Promise.race([waits, ends]), ends };
}

const atWork = /another relaycerts \(process \d+\) is at work here/u;

/** Every serial issued once, and every certificate that is there is in the ledger. */
function expectOneState(): void {
  const issued = ledger().filter(({ event }) => ['issued', 'renewed', 'rekeyed'].includes(event));
  expect(new Set(issued.map(({ serial }) => serial)).size).toBe(issued.length);
  expect(remains()).toEqual([]);
  const before = treeOf(project.folder);
  const again = project.spawn(['make']);
  expect(again.status, again.stderr).toBe(0);
  expect(again.stderr).toContain('nothing to make');
  expect(again.stderr).not.toMatch(/lines that are no entry/u);
  expect(treeOf(project.folder)).toEqual(before);
  for (const role of ['smtp-client', 'smtpd-server']) {
    for (const name of readdirSync(project.path('certs', role)).filter((one) => one.endsWith('.crt.pem'))) {
      const certificate = project.path('certs', role, name);
      const key = certificate.replace(/crt\.pem$/u, 'key.pem');
      const script = 'test "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$2" -pubout)"';
      if (!name.endsWith('.old.crt.pem')) {
        expect(spawnSync('sh', ['-c', script, 'sh', certificate, key]).status, name).toBe(0);
      }
      const ca = project.path('certs/ca/example.org-ca.crt.pem');
      expect(spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', ca, certificate]).status, name).toBe(0);
    }
  }
}

describe('eight first makes', () => {
  it('one makes, the others say that it is at work', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => project.start(['make'])));
    for (const { status, stderr } of results) expect(status === 0 || atWork.test(stderr), stderr).toBe(true);
    expect(results.some(({ status }) => status === 0)).toBe(true);
    expect(ledger()).toHaveLength(3);
    expectOneState();
  });

  it('with --wait all of them end well, and those that waited say so', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => project.start(['--wait', '120', 'make'])));
    expect(results.map(({ status, stderr }) => [status, status === 0 ? '' : stderr])).toEqual(
      results.map(() => [0, '']),
    );
    const made = results.filter(({ stderr }) => stderr.includes("made the CA's certificate"));
    expect(made).toHaveLength(1);
    expect(
      results.some(({ stderr }) => /waiting for another relaycerts \(process \d+\), at most 120 s/u.test(stderr)),
    ).toBe(true);
    expect(ledger()).toHaveLength(3);
    expectOneState();
  });
});

describe('--wait', () => {
  it('ends after its time with an error, and touches nothing', () => {
    project.spawn(['make']);
    holdLock();
    const before = treeOf(project.folder);
    const begun = performance.now();
    const refused = project.spawn(['--wait', '1', 'renew', '--force']);
    expect(performance.now() - begun).toBeGreaterThan(1000);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(
      `relaycerts: error: another relaycerts (process ${process.pid}) is still at work here, after 1 seconds of waiting`,
    );
    expect(treeOf(project.folder)).toEqual(before);
    const atOnce = project.spawn(['renew', '--force']);
    expect(atOnce.status).toBe(1);
    expect(atOnce.stderr).toContain('to wait for it, add --wait 60');
    // Whoever only reads waits for nobody that has not begun to change anything.
    const status = project.spawn(['status']);
    expect([status.status, status.stderr]).toEqual([0, '']);
  });

  it('settings that changed meanwhile are not written over: nothing that was taken out comes back', async () => {
    const both = smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] });
    project.settings(both);
    project.spawn(['make']);
    const table = (): string => project.read('hosts/relayhost.example.org/relay_clientcerts');
    expect(table()).toContain('second.example.org');
    holdLock();
    const waiting = [['make'], ['renew', '--force', 'mailhost'], ['clean', '--yes']].map(startWaiting);
    await Promise.all(waiting.map(({ waits }) => waits));
    project.settings(smallSettings());
    rmSync(project.path('.relaycerts.lock'));
    for (const { status, stderr } of await Promise.all(waiting.map(({ ends }) => ends))) {
      expect([status, stderr]).toEqual([2, expect.stringContaining('the settings were changed after this run had')]);
    }
    expect(project.spawn(['make']).status).toBe(0);
    expect(table()).not.toContain('second.example.org');
  });

  it.each(['-1', 'soon', '1.5', '123456'])('is no %s', (value) => {
    const refused = project.spawn([`--wait=${value}`, 'make']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('It is a number of seconds');
  });
});

describe('twenty processes of make, renew and status', () => {
  it('end well, in one state, and no reader sees half of one', { timeout: 600_000 }, async () => {
    project.settings(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'other' }],
        smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
      }),
    );
    const made = project.spawn(['make']);
    expect(made.status, made.stderr).toBe(0);
    const rounds = process.env['RELAYCERTS_DEEP'] === '1' ? 20 : 4;
    const counts = { ended: 0, waited: 0, refused: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const lines: readonly (readonly string[])[] = Array.from({ length: 20 }, (_none, at) => {
        if (at % 5 === 0) return ['make'];
        if (at % 5 === 1) return ['renew', '--force', at % 2 === 0 ? 'mailhost' : 'relayhost'];
        if (at % 5 === 2) return round % 2 === 0 ? ['renew', '--rekey', 'second'] : ['retire', 'second'];
        return at % 5 === 3 ? ['--json', 'status'] : ['show', '--json'];
      });
      const results = await Promise.all(
        lines.map((line) => project.start(['--wait', round % 2 === 0 ? '240' : '0', ...line])),
      );
      results.forEach(({ status, stdout, stderr }: Result, at) => {
        const [word] = (lines[at] ?? []).filter((one) => !one.startsWith('-'));
        const what = [round, lines[at], status, stderr];
        expect(stderr, JSON.stringify(what)).not.toMatch(
          /bug|mismatch|does not belong|are no entry|of the ledger|the bundle of .* is not/u,
        );
        if (atWork.test(stderr)) {
          expect(status, JSON.stringify(what)).toBe(1);
          counts.refused += 1;
          return;
        }
        counts.ended += 1;
        if (stderr.includes('waiting for another')) counts.waited += 1;
        if (word === 'status') {
          const states = (JSON.parse(stdout) as readonly Row[]).map(({ state }) => state);
          expect(
            states.filter((state) => !['ok', 'pending'].includes(state)),
            JSON.stringify(what),
          ).toEqual([]);
        } else if (word === 'retire') {
          // The first one retires it, the others find nothing to retire, and say so.
          expect(status === 0 || /nothing|no old pin|pending/u.test(stderr), JSON.stringify(what)).toBe(true);
        } else {
          expect(status, JSON.stringify(what)).toBe(0);
        }
      });
      expectOneState();
    }
    process.stderr.write(
      `twenty at once, ${rounds} rounds: ${counts.ended} ended, ${counts.waited} of them after waiting, ${counts.refused} said that another is at work\n`,
    );
    expect(counts.waited).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(0);
  });
});

describe('a reader', () => {
  it('sees all of a change, or nothing of it', { timeout: 600_000 }, async () => {
    const names = ['mailhost', 'second', 'third', 'fourth'];
    project.settings(smallSettings({ smtpClients: names.map((name) => ({ hostname: name })) }));
    expect(project.spawn(['make']).status).toBe(0);
    const writer = { isOver: false };
    const change = async (): Promise<void> => {
      try {
        for (let round = 0; round < 8; round += 1) {
          for (const line of [['renew', '--rekey', '--force', ...names], ['retire']]) {
            const { status, stderr } = await project.start(['--wait', '100', ...line]);
            expect(status, stderr).toBe(0);
          }
        }
      } finally {
        writer.isOver = true;
      }
    };
    const seen = new Map<string, number>();
    const read = async (): Promise<void> => {
      while (!writer.isOver) {
        const { stdout, stderr } = await project.start(['--json', 'status']);
        expect(stderr).not.toContain('the bundle of');
        const rows = JSON.parse(stdout) as readonly Row[];
        const clients = rows.filter(({ role }) => role === 'smtp-client').map(({ state }) => state);
        seen.set(clients.join(' '), (seen.get(clients.join(' ')) ?? 0) + 1);
      }
    };
    await Promise.all([change(), read(), read()]);
    expect([...seen.keys()].toSorted()).toEqual(['ok ok ok ok', 'pending pending pending pending']);
  });
});
