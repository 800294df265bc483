// What time does to certificates on real hosts: those that end soon, expired ones, a CA that ends, and those made while
// the operator's clock was wrong. faketime changes only the clock of relaycerts; the hosts use the real time. No mail
// bounces: it flows, or it waits until the printed commands are run.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { commandsIn, installs } from '../support/now-run.js';
import { findLogKind } from '../../src/log/log-lines.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { expectGreen, findAll } from './lab/check.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver, send, servedSerial } from './lab/operator.js';
import { commandsOf, readStatus } from './lab/status.js';
import type { Status } from './lab/status.js';
import { badServerCertificate } from './lab/words.js';
import { folder } from '../support/folder.js';

let lab: Lab;
let relay: MailHost;
let home: MailHost;
/** The project that both hosts are first installed from. */
let first: Desk;

beforeAll(async () => {
  requireTools('faketime', 'openssl');
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  // As old as any here, because all projects share the operator key, and its CA must be older than what has expired.
  first = await project('first', '-45d', { certificates: { validDays: 10, renewBeforeDays: 5 } });
  await first.run('relaycerts renew');
  await first.install(relay, home);
  await deliver(home, lab.outside);
});
// A failure's leftovers in the queue must not fail a later test.
beforeEach(() => home.exec(['postsuper', '-d', 'ALL']));
afterEach(async () => {
  await home.waitForEmptyQueue();
  expect(await home.readFile('/var/log/mail.log')).not.toMatch(/status=(?:bounced|expired)/u);
});
afterAll(() => lab.stop());

/**
 * A separate project, made while the operator's clock was off by this much. Its bundles replace every file of the
 * previous project on the hosts. No clock is off by years, because relaycerts believes none before 2026: so these
 * certificates are short.
 */
async function project(name: string, off: string, settings: Readonly<Record<string, unknown>> = {}): Promise<Desk> {
  const desk = new Desk(lab.operator, `/home/operator/${name}`);
  // The relay's log then has the certificate and the pin that each connection shows.
  await desk.settings({
    smtpdServers: [{ hostname: 'relayhost', tlsLogLevel: 2 }],
    smtpClients: [{ hostname: 'mailhost' }],
    passphrase: { file: `${desk.folder}/passphrase.gpg` },
    ...settings,
  });
  await clockOff(desk, off, 'make');
  return desk;
}

async function clockOff(desk: Desk, off: string, words: string): Promise<void> {
  await desk.run(`faketime -f ${off} relaycerts ${words}`);
}

/** What status reports now. */
const statusOf = (desk: Desk): Promise<Status> => readStatus(desk, { relay, home });

/** What check finds if status is not green once check has looked at the hosts. */
async function whatIsWrong(desk: Desk): Promise<readonly string[]> {
  const { stdout } = await desk.run('relaycerts check', true);
  const { code } = await statusOf(desk);
  return code === 0 ? [] : stdout.split('\n').filter((line) => !line.startsWith('ok'));
}

async function runAll(desk: Desk, commands: readonly string[]): Promise<void> {
  for (const command of commands) await desk.run(command);
}

/** A field of a certificate on a host, as openssl prints it. */
async function installed(host: MailHost, file: string, field: '-serial' | '-fingerprint'): Promise<string> {
  const { stdout } = await host.sh(`openssl x509 -noout ${field} -sha256 -in ${folder}/${file}.crt.pem`);
  return stdout.trim().replace(/^.*=/u, '');
}

/** Delivers a mail; resolves with the digest of the certificate, and the pin, that the home showed. */
async function shown(): Promise<{ readonly certificate: string; readonly pin: string }> {
  await relay.markLog();
  await deliver(home, lab.outside);
  const [, certificate = '', pin = ''] = await relay.waitForLog(
    /mailhost\.example\.org\[[^\n]* fingerprint=([0-9A-F:]+), pkey[_ ]fingerprint=([0-9A-F:]+)/u,
  );
  return { certificate, pin };
}

/**
 * Copies bundles that the script refuses, and makes Postfix read them as if they had aged there; resolves with the
 * script's output.
 */
async function ageInto(desk: Desk, ...hosts: readonly MailHost[]): Promise<readonly string[]> {
  return Promise.all(
    hosts.map(async (host) => {
      await desk.copy(host);
      const { code, stderr } = await desk.script(host);
      expect(code).toBe(1);
      await host.reload();
      return stderr;
    }),
  );
}

/** Sends a mail that has to wait; resolves with its subject and the reason in the home's queue. */
async function sendInVain(): Promise<{ readonly subject: string; readonly reason: string }> {
  await relay.markLog();
  const subject = await send(home);
  const reason = await home.waitForDeferred();
  expect(await home.queue()).toHaveLength(1);
  expect(await home.mailLog()).not.toMatch(/status=(?!deferred)/u);
  expect((await lab.outside.mails()).join('')).not.toContain(`Subject: ${subject}\n`);
  return { subject, reason };
}

/** Waiting mail is retried, and arrives. */
async function arrive(subject: string): Promise<void> {
  await lab.outside.waitForFlushed(home, subject);
}

const notYetValid = 'certificate not yet valid';

/** The log has a line with these words, and docs/troubleshooting.md, which is made from the same data, names the command. */
async function expectExplained(host: MailHost, words: string, command: string): Promise<void> {
  const [line] = await host.waitForLog(new RegExp(`^.*${words}.*$`, 'mu'));
  expect(findLogKind(line)?.fix).toContain(command);
}

describe('one certificate that is not valid', () => {
  const ofClient = {
    host: (): MailHost => home,
    sees: (): MailHost => relay,
    reason: /421 4\.7\.1 .*Client certificate not trusted/u,
  };
  const ofRelay = {
    host: (): MailHost => relay,
    sees: (): MailHost => home,
    reason: badServerCertificate,
  };
  const expired = {
    off: '-11d',
    state: 'expired',
    refusal: /error: the certificate in \S+\.chain\.pem has expired\n.*hint: renew it where relaycerts runs/u,
    flag: '',
    command: 'relaycerts renew',
    line: 'certificate has expired',
  };
  const ahead = {
    off: '+1d',
    state: 'not-yet-valid',
    refusal: /error: \S+ did not issue \S+\.crt\.pem for .*, or the clock is wrong\n.*hint: check date -u/u,
    flag: ' --force',
    command: 'relaycerts status',
    line: notYetValid,
  };

  test.each([
    {
      what: 'of the client, expired',
      ...ofClient,
      ...expired,
    },
    {
      what: 'of the relay, expired',
      ...ofRelay,
      ...expired,
    },
    { what: 'of the client, made a day ahead', ...ofClient, ...ahead },
  ])('$what: mail waits until it is renewed', async ({ host: hostOf, sees, ...expected }) => {
    const host = hostOf();
    await clockOff(first, expected.off, `renew --force ${host.hostname}`);
    const [refusal] = await ageInto(first, host);
    expect(refusal).toMatch(expected.refusal);
    const { subject, reason } = await sendInVain();
    expect(reason).toMatch(expected.reason);
    await expectExplained(sees(), expected.line, expected.command);

    const status = await statusOf(first);
    const row = host === home ? status.home : status.relay;
    expect([status.code, row.state]).toEqual([3, expected.state]);
    expect(commandsOf(row)).toEqual([`relaycerts renew ${host.hostname}${expected.flag}`]);
    await runAll(first, commandsOf(row));
    await first.install(host);
    await arrive(subject);
    expect(await whatIsWrong(first)).toEqual([]);
  });
});

describe('certificates that end soon', () => {
  test('are due; their renewals keep the pin, installed one host at a time', async () => {
    const desk = await project('due', '-30d', { certificates: { validDays: 45 } });
    await desk.install(relay, home);
    const old = await installed(home, home.hostname, '-fingerprint');
    const before = await statusOf(desk);
    expect(await shown()).toEqual({ certificate: old, pin: before.home.pin });
    expect([before.code, before.ca.state]).toEqual([3, 'ok']);
    for (const row of [before.relay, before.home]) {
      expect(row).toMatchObject({ state: 'due', why: `expires in 14 days: relaycerts renew ${row.host}` });
    }

    const { stdout } = await desk.run('relaycerts renew');
    // No old pin has to be retired, and no order is needed.
    expect(commandsIn(stdout)).toEqual([installs()]);
    const after = await statusOf(desk);
    // Made is not installed.
    expect([after.code, after.relay.state, after.home.state]).toEqual([3, 'not-installed', 'not-installed']);
    expect([after.relay.pin, after.home.pin]).toEqual([before.relay.pin, before.home.pin]);
    await deliver(home, lab.outside);
    expect(await servedSerial(desk, relay)).toBe(before.relay.serial);

    const table = await relay.readFile(`${folder}/relay_clientcerts`);
    await desk.install(relay);
    expect(await servedSerial(desk, relay)).toBe(after.relay.serial);
    expect(await shown()).toEqual({ certificate: old, pin: before.home.pin });
    await desk.install(home);
    const renewed = await installed(home, home.hostname, '-fingerprint');
    expect(renewed).not.toBe(old);
    expect(await shown()).toEqual({ certificate: renewed, pin: before.home.pin });
    expect(await relay.readFile(`${folder}/relay_clientcerts`)).toBe(table);
  });
});

describe('a CA that ends soon', () => {
  test('cuts what it signs, and is renewed before its leaves', async () => {
    const desk = await project('ca', '-41d', { ca: { validDays: 45 }, certificates: { validDays: 40 } });
    const cut = await desk.run('relaycerts renew 2>&1');
    expect(cut.stdout).toMatch(/warning: the CA expires on .*, in 3 days, and with it every certificate/u);
    await desk.install(relay, home);
    await deliver(home, lab.outside);

    const before = await statusOf(desk);
    expect([before.code, before.ca.state]).toEqual([3, 'due']);
    expect(before.ca.why).toBe('expires in 3 days: relaycerts renew --ca, then install every host');
    for (const row of [before.relay, before.home]) {
      expect([row.state, row.expires]).toEqual(['due', before.ca.expires]);
      expect(commandsOf(row)).toEqual(['relaycerts renew --ca', `relaycerts renew ${row.host}`]);
    }
    const vain = await desk.run('relaycerts renew 2>&1', true);
    expect(vain.code).toBe(1);
    expect(vain.stdout).toContain('not renewed, because the CA ends');

    await runAll(desk, commandsOf(before.ca));
    const between = await statusOf(desk);
    expect([between.ca.state, between.home.serial]).toEqual(['ok', before.home.serial]);
    for (const host of [relay, home]) {
      expect((await installed(host, 'example.org-ca', '-serial')).toLowerCase()).toBe(before.ca.serial);
      await desk.install(host);
      expect((await installed(host, 'example.org-ca', '-serial')).toLowerCase()).toBe(between.ca.serial);
      await deliver(home, lab.outside);
    }

    for (const row of [between.relay, between.home]) await runAll(desk, commandsOf(row));
    const after = await statusOf(desk);
    expect([after.code, after.relay.daysLeft, after.home.daysLeft]).toEqual([3, 39, 39]);
    for (const host of [home, relay]) {
      await desk.install(host);
      await deliver(home, lab.outside);
    }
    expect(await servedSerial(desk, relay)).toBe(after.relay.serial);
  });
});

test('a CA that has ended: check says so, and what it prints ends in green', async () => {
  const desk = await project('ended', '-41d', { ca: { validDays: 40 }, certificates: { validDays: 40 } });
  await ageInto(desk, relay, home);
  const { subject } = await sendInVain();
  expect((await desk.run('relaycerts explain mailhost', true)).stdout).toContain('[ca-expired]');
  // Now both were seen with what has expired.
  expect((await findAll(desk)).map(({ id }) => id)).toContain('queue-tls');
  // The CA first, then what it signed; status names the same commands.
  for (const name of ['relay CA', relay.hostname, home.hostname]) {
    const ended = (await findAll(desk, '--offline')).find(
      ({ id, message }) => id === 'state-expired' && message.includes(name),
    );
    const [command = ''] = /relaycerts [^,;]+/u.exec(ended?.cure.map(({ text }) => text).join() ?? '') ?? [];
    expect(command, name).toMatch(/^relaycerts renew /u);
    await desk.run(command);
  }
  // Deploy refuses one host before the other, and names this.
  await desk.run('relaycerts deploy --yes');
  await arrive(subject);
  await expectGreen(desk);
});

describe('a desk whose clock is wrong', () => {
  test('a day ahead: mail waits until the commands that status names are run', async () => {
    const desk = await project('ahead', '+1d');
    for (const refusal of await ageInto(desk, relay, home)) expect(refusal).toContain('or the clock is wrong');
    const { subject, reason } = await sendInVain();
    expect(reason).toMatch(badServerCertificate);
    for (const host of [relay, home]) await expectExplained(host, notYetValid, 'relaycerts status');

    const ahead = await statusOf(desk);
    expect(ahead.code).toBe(3);
    for (const row of [ahead.ca, ahead.relay, ahead.home]) expect(row.state).toBe('not-yet-valid');
    expect(commandsOf(ahead.ca)).toEqual(['relaycerts renew --ca']);
    // Its own line is enough for each: status lists the CA last.
    await runAll(desk, commandsOf(ahead.home));
    const mended = await statusOf(desk);
    expect([mended.ca.state, mended.relay.state, mended.home.state]).toEqual(['ok', 'not-yet-valid', 'not-installed']);
    await runAll(desk, commandsOf(mended.relay));
    await desk.install(relay, home);
    await arrive(subject);
    expect(await whatIsWrong(desk)).toEqual([]);
  });

  // A certificate begins an hour before it is made.
  test.each([
    ['a day behind', '-1d'],
    ['fifty minutes ahead', '+50m'],
  ])('%s: what it makes is taken at once', async (name, off) => {
    const desk = await project(name.replaceAll(' ', '-'), off);
    await desk.install(relay, home);
    await deliver(home, lab.outside);
    expect(await home.mailLog()).not.toContain('status=deferred');
    expect(await whatIsWrong(desk)).toEqual([]);
  });
});
