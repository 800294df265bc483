// `relaycerts revoke`: what is left of a host afterwards, which tables no longer list its pin, what is
// printed to run, and how it comes back.

import { X509Certificate, createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';
import { expectUntouched } from '../support/untouched.js';

const home = 'mailhost.example.org';
const second = 'second.example.org';
const relay = 'relayhost.example.org';
const relay2 = 'relayhost2.example.org';
const relaysToInstall = [relay, relay2].map((host) => ({ host, why: ['table'] }));
const ledgerFile = 'certs/ca/issued.jsonl';
const two = smallSettings({
  smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
  smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
});

let project: Project;
beforeEach(async () => {
  project = makeProject(two);
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

function certificate(path = `certs/smtp-client/${home}.crt.pem`): { readonly serial: string; readonly pin: string } {
  const x509 = new X509Certificate(readFileSync(project.path(path)));
  const digest = createHash('sha256').update(x509.publicKey.export({ type: 'spki', format: 'der' }));
  const pin = digest
    .digest('hex')
    .toUpperCase()
    .replaceAll(/..(?!$)/gu, '$&:');
  return { serial: x509.serialNumber.toLowerCase(), pin };
}

const table = (host = relay): string => project.read(`hosts/${host}/relay_clientcerts`);

interface Line {
  readonly time: string;
  readonly event: string;
  readonly role: string;
  readonly name: string;
  readonly serial: string;
  readonly publicKeySha256: string;
  readonly reason?: string;
}

const ledger = (): readonly Line[] =>
  project
    .read(ledgerFile)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

/** Files anywhere whose text contains this. */
const holding = (text: string): readonly string[] =>
  Object.keys(treeOf(project.folder)).filter((name) => !name.endsWith('/') && project.read(name).includes(text));

/** The hosts that the printed commands go to. */
const asks = (text: string): readonly string[] =>
  [...text.matchAll(/show (\S+) --section verify/gu)].map(([, name = '']) => name);

interface Row {
  readonly host: string;
  readonly role: string;
  readonly state: string;
}

const rows = async (): Promise<readonly (readonly string[])[]> =>
  certificatesOf<Row>(await run('status', '--json'))
    .filter(({ role }) => role !== 'passphrase')
    .map(({ host, state }) => [host, state]);

describe('revoke', () => {
  it('unlists the pin, puts the files away, and prints what to run', async () => {
    const { serial, pin } = certificate();
    const tables = [table(), table(relay2)];
    const result = succeed(await run('revoke', 'mailhost', '--reason', 'the disk was stolen'));
    expect(result.stderr).toContain(`revoked ${home}, serial ${serial}`);
    expect(result.stdout).toBe(`Now run:
  ${installs('relayhost', 'relayhost2')}
Until then ${home} can relay; after that, its mail waits in its queue.
To let it relay again, with a new key:
  relaycerts make --again ${home}
`);
    for (const before of tables) expect(before).toContain(pin);
    expect(holding(pin)).toEqual([ledgerFile]);
    for (const host of [relay, relay2]) expect(table(host)).toMatch(/^# .*\n(?:[0-9A-F]{2}:){31}[0-9A-F]{2} second\./u);

    const modes = modesOf(project.folder);
    expect(Object.entries(modes).filter(([name]) => name.includes(home) || name.startsWith('certs/revoked'))).toEqual([
      ['certs/revoked/', '0700'],
      [`certs/revoked/${home}-${serial}.crt.pem`, '0644'],
      [`certs/revoked/${home}-${serial}.key.pem`, '0600'],
    ]);
    expect(ledger().at(-1)).toMatchObject({
      event: 'revoked',
      role: 'smtp-client',
      name: home,
      serial,
      publicKeySha256: pin,
      reason: 'the disk was stolen',
    });
  });

  it('is not undone by make, and every command knows of it', async () => {
    const { pin } = certificate();
    succeed(await run('revoke', home));
    expect(ledger().at(-1)).not.toHaveProperty('reason');
    await noteAsInstalled(project);
    const before = treeOf(project.folder);
    const made = succeed(await run('make'));
    expect(made.stderr).toContain('nothing to make');
    expect(made.stdout).toBe('');
    expect(await rows()).toEqual([
      [home, 'revoked'],
      [relay, 'ok'],
      [relay2, 'ok'],
      [second, 'ok'],
      ['example.org relay CA', 'ok'],
    ]);
    succeed(await run('status'));
    expect((await run('status', '--format', 'nagios')).stdout).toMatch(/^RELAYCERTS OK - /u);
    expect(succeed(await run('show')).stdout).not.toContain(`run on ${home}`);
    expect(succeed(await run('fingerprint')).stdout).not.toContain(home);
    for (const host of [relay, relay2]) {
      expect(succeed(await run('show', host, '--section', 'relay_clientcerts')).stdout).not.toContain(pin);
    }
    for (const words of [
      ['show', home],
      ['renew', home],
      ['renew', '--rekey', home],
      ['retire', home],
    ]) {
      await expectUntouched(
        project,
        () => run(...words),
        1,
        /mailhost\.example\.org is revoked/u,
        /make --again mailhost/u,
      );
    }
    const exportIt = (): Result => project.spawn(['export', 'p12', home, '--password-fd', '0']);
    await expectUntouched(project, exportIt, 1, /mailhost\.example\.org is revoked/u, /make --again mailhost/u);
    expect(succeed(await run('show', home, '--format', 'sh', '--undo')).stdout).toContain(home);
    expect(succeed(await run('renew')).stderr).not.toContain(home);
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('changes nothing the second time, and prints again what to run', async () => {
    const { serial } = certificate();
    const first = succeed(await run('revoke', home, '--reason', 'stolen'));
    const before = treeOf(project.folder);
    const again = succeed(await run('revoke', home, '--reason', 'lost'));
    expect(again.stdout).toBe(first.stdout);
    expect(again.stderr).toMatch(
      new RegExp(`^relaycerts: nothing to do: ${home} was revoked at [-\\d]{10}T[:\\d]{8}Z\n`, 'u'),
    );
    expect(again.stderr).toContain('the reason is not kept');
    // The same file is already kept.
    for (const words of [['--reason', 'stolen'], []]) {
      expect(succeed(await run('revoke', home, ...words)).stderr).not.toContain('reason');
    }
    expect(treeOf(project.folder)).toEqual(before);
    expect(JSON.parse(succeed(await run('revoke', home, '--json')).stdout)).toMatchObject({
      host: home,
      serials: [serial],
      revoked: ledger().at(-1)?.time,
      install: relaysToInstall,
    });
    // All that were ever revoked.
    succeed(await run('make', '--again', home));
    const now = certificate();
    succeed(await run('revoke', home));
    expect(JSON.parse(succeed(await run('revoke', home, '--json')).stdout)).toMatchObject({
      serials: [serial, now.serial].toSorted(),
    });
  });

  it('does not ask for what the relays were seen to have already', async () => {
    await noteAsInstalled(project, { hosts: ['relayhost', 'relayhost2'] });
    const first = succeed(await run('revoke', home));
    expect(first.stdout).toContain(`Until then ${home} can relay`);
    await noteAsInstalled(project, { hosts: ['relayhost'] });
    const half = succeed(await run('revoke', home));
    expect(half.stdout).toContain(`Now run:\n  ${installs('relayhost2')}\nUntil then ${home} can relay`);
    await noteAsInstalled(project, { hosts: ['relayhost2'] });
    expect(succeed(await run('revoke', home)).stdout).toBe(
      `Last seen without its pin: ${relay}, ${relay2}\nTo let it relay again, with a new key:\n  relaycerts make --again ${home}\n`,
    );
    expect(JSON.parse(succeed(await run('revoke', home, '--json')).stdout)).toMatchObject({ install: [] });
  });

  it('make --again brings it back, with a new key', async () => {
    const revoked = certificate();
    succeed(await run('revoke', 'mailhost'));
    const key = project.read(`certs/revoked/${home}-${revoked.serial}.key.pem`);
    succeed(await run('make', '--again', 'mailhost'));
    const now = certificate();
    expect(now.pin).not.toBe(revoked.pin);
    expect(project.read(`certs/smtp-client/${home}.key.pem`)).not.toBe(key);
    for (const host of [relay, relay2]) {
      expect(table(host)).toContain(`${now.pin} ${home}\n`);
      expect(table(host)).not.toContain(revoked.pin);
    }
    expect(readdirSync(project.path('hosts', home))).toHaveLength(4);
    await noteAsInstalled(project);
    expect((await rows())[0]?.[1]).toBe('ok');
    expect((await run('make')).stderr).toContain('nothing to make');
    // And a second time.
    succeed(await run('revoke', 'mailhost'));
    expect(readdirSync(project.path('certs/revoked'))).toHaveLength(4);
    expect(table()).not.toContain(now.pin);
  });

  it('unlists both pins during a rekey', async () => {
    const before = certificate();
    succeed(await run('renew', '--rekey', 'mailhost'));
    const after = certificate();
    const result = succeed(await run('revoke', 'mailhost', '--json'));
    expect(JSON.parse(result.stdout)).toEqual({
      version: 1,
      command: 'revoke',
      host: home,
      role: 'smtp-client',
      serials: [before.serial, after.serial],
      revoked: ledger().at(-1)?.time,
      install: relaysToInstall,
      error: null,
    });
    for (const { pin } of [before, after]) expect(holding(pin)).toEqual([ledgerFile]);
    expect(readdirSync(project.path('certs/revoked'))).toEqual(
      ['crt', 'key', 'old.crt'].map((end) => `${home}-${after.serial}.${end}.pem`),
    );
    expect(
      ledger()
        .slice(-2)
        .map(({ event, serial }) => [event, serial]),
    ).toEqual([
      ['revoked', before.serial],
      ['revoked', after.serial],
    ]);
    expect(succeed(await run('retire')).stderr).toContain('nothing to retire');
  });

  it('leaves a table that lets nobody in after the last client', async () => {
    succeed(await run('revoke', 'mailhost'));
    succeed(await run('revoke', 'second'));
    for (const host of [relay, relay2]) expect(table(host)).toMatch(/^# [^\n]+\n$/u);
    expect((await run('make')).stderr).toContain('nothing to make');
    expect([(await run('fingerprint')).status, (await run('fingerprint')).stdout]).toEqual([0, '']);
    expect(succeed(await run('show')).stdout).toContain(relay);
    expect(succeed(await run('show', relay, '--format', 'sh')).stdout).toContain(relay);
  });

  it('warns for a relay that clients still trust it', async () => {
    const result = succeed(await run('revoke', 'relayhost'));
    expect(result.stdout).toContain('can pose as it\nuntil its clients no longer trust it');
    expect(result.stdout).not.toContain('clean');
    expect(existsSync(project.path('hosts', relay))).toBe(false);
    expect((await run('make')).stderr).toContain('nothing to make');
    expect(ledger().at(-1)).toMatchObject({ event: 'revoked', role: 'smtpd-server', name: relay });
    // What is printed from now on can be run: nothing in it needs the relay that is gone.
    const later = succeed(await run('revoke', 'second')).stdout;
    expect(commandsIn(later)).toContain(installs('relayhost2'));
    expect(commandsIn(later)).not.toContain(installs('relayhost'));
    for (const words of [['renew', '--rekey', 'mailhost'], ['retire']]) {
      const { stdout } = succeed(await run(...words));
      expect(commandsIn(stdout)[0]).toMatch(/^relaycerts deploy relayhost2\b/u);
      expect(stdout).not.toMatch(/relayhost\b/u);
    }
    await expectUntouched(project, () => run('show', relay), 1, /is revoked/u, /--again/u);
  });

  it('names another client to verify with after the first one', async () => {
    succeed(await run('revoke', 'mailhost'));
    expect(asks(succeed(await run('show', relay, '--section', 'verify')).stdout)).toEqual([second]);
    succeed(await run('show', second, '--section', 'verify'));
    succeed(await run('revoke', 'second'));
    expect(asks(succeed(await run('show', relay, '--section', 'verify')).stdout)).toEqual([]);
  });

  it('refuses a host that is unknown or was never made', async () => {
    for (const name of ['nobody', 'nobody.example.org', '../mailhost', '']) {
      await expectUntouched(
        project,
        () => run('revoke', name),
        2,
        /the settings have no host/u,
        /the hosts are: relayhost/u,
      );
    }
    project.settings({ ...two, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }, { hostname: 'new' }] });
    await expectUntouched(
      project,
      () => run('revoke', 'new'),
      1,
      /no certificate yet for new\.example\.org/u,
      /relaycerts make/u,
    );
  });
});

describe('the reason', () => {
  it('may hold anything: one harmless line of the ledger', async () => {
    const reason = 'it said: "lost"\n{"event":"issued"}\r\t\u001B[2J\u007F\u009B31m\u202Egro.elpmaxe\u2028 ünïcödé 💾';
    succeed(await run('revoke', 'mailhost', '--reason', reason));
    const text = project.read(ledgerFile);
    expect(text.trimEnd().split('\n')).toHaveLength(6);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(ledger().at(-1)?.reason).toBe(reason);
    expect(succeed(await run('revoke', 'mailhost', '--reason', reason)).stderr).not.toContain('is not kept');
    expect((await run('status')).stderr).toBe('');
  });

  it('may have 10 kB', async () => {
    const reason = 'why '.repeat(2500);
    succeed(await run('revoke', 'mailhost', '--reason', reason));
    expect(ledger().at(-1)?.reason).toBe(reason);
    expect(await rows()).toContainEqual([home, 'revoked']);
    succeed(await run('make', '--again', 'mailhost'));
    expect(ledger()).toHaveLength(7);
  });
});

describe('clean', () => {
  it('also removes what was revoked, and nothing else', async () => {
    succeed(await run('renew', '--rekey', 'second'));
    succeed(await run('revoke', 'second'));
    succeed(await run('revoke', 'mailhost'));
    project.write('certs/revoked/notes', 'mine');
    const cleaned = succeed(await run('clean', '--yes'));
    expect(cleaned.stdout.match(/certs\/revoked\//gu)).toHaveLength(5);
    expect(cleaned.stderr).toMatch(/certs\/revoked" stays: .*notes/u);
    expect(readdirSync(project.path('certs/revoked'))).toEqual(['notes']);
    rmSync(project.path('certs/revoked/notes'));
    expect(existsSync(project.path(ledgerFile))).toBe(false);
  });

  it('leaves nothing behind: with another CA, nobody is revoked', async () => {
    succeed(await run('revoke', 'mailhost'));
    succeed(await run('clean', '--yes'));
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
    succeed(await run('make'));
    await noteAsInstalled(project);
    expect((await rows()).map(([, state]) => state)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
  });
});
