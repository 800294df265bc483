// Later years, with mail flowing: renewals and a rekey on both hosts in stages, a revocation by the printed commands to
// the letter, and the warnings before expiry. No mail is lost, bounced or late; mail that must wait, waits.

import { X509Certificate, createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { certificatesOf } from '../support/answer.js';
import { commandsIn, unasked } from '../support/now-run.js';
import { blocksFor } from '../support/blocks.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { warningsIn } from './lab/logs.js';
import { reloadFaults, reloadReason, repeatsIn, waitsIn } from './lab/mail-flow.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver, send, servedSerial } from './lab/operator.js';
import { folder } from '../support/folder.js';

const logFile = '/var/log/mail.log';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let other: MailHost;

beforeAll(async () => {
  requireTools('faketime', 'openssl');
  lab = await startLab({ relays: 1, homes: 2, faults: ['no-client-certificate', 'pin-not-listed', ...reloadFaults] });
  desk = new Desk(lab.operator);
  const [second] = lab.homes.slice(1);
  if (second === undefined) throw new TypeError('a lab with two homes');
  [relay] = lab.relays;
  [home] = lab.homes;
  other = second;
  // The relay's log then has the pin that each connection shows; a session that a home resumes shows an older one.
  const printed = await desk.make({
    smtpdServers: [{ hostname: 'relayhost', tlsLogLevel: 2 }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }],
  });
  // As printed by make, to the letter.
  await desk.run(unasked(commandsIn(printed)[0] ?? ''));
});
afterAll(() => lab.stop());

interface Shown {
  readonly serial: string;
  /** SHA-256 of the public key, as Postfix logs it. */
  readonly pin: string;
}

/** What the operator's project has for a host now. */
async function madeFor({ hostname }: MailHost): Promise<Shown> {
  const role = hostname.startsWith('relay') ? 'smtpd-server' : 'smtp-client';
  const x509 = new X509Certificate(await lab.operator.readFile(`certs/${role}/${hostname}.crt.pem`));
  const digest = createHash('sha256').update(x509.publicKey.export({ type: 'spki', format: 'der' }));
  return {
    serial: x509.serialNumber.toLowerCase(),
    pin: digest
      .digest('hex')
      .toUpperCase()
      .replaceAll(/..(?!$)/gu, '$&:'),
  };
}

/** Delivers a mail and resolves with the pins that its connections showed. */
async function shownPins(from: MailHost = home): Promise<readonly string[]> {
  await relay.markLog();
  await deliver(from, lab.outside);
  const name = from.hostname.replaceAll('.', String.raw`\.`);
  const log = await relay.mailLog();
  return [...log.matchAll(new RegExp(`${name}\\[[^\\n]* pkey[_ ]fingerprint=([0-9A-F:]+)`, 'gu'))].map(
    ([, pin = '']) => pin,
  );
}

let steadyCount = 0;

/** Does the work while home sends about two mails a second; only a reload makes one wait. */
async function withMail(work: () => Promise<void>): Promise<void> {
  const before = (await home.machine.peek(logFile)).length;
  const subjects: string[] = [];
  const sendOne = async (): Promise<void> => {
    const subject = `steady ${++steadyCount}`;
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject });
    subjects.push(subject);
  };
  const stop = new AbortController();
  const sending = (async () => {
    while (!stop.signal.aborted || subjects.length < 4) {
      await sendOne();
      await sleep(500, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  try {
    await work();
  } finally {
    stop.abort();
    await sending;
  }
  await sendOne();
  for (const subject of subjects) await lab.outside.waitForFlushed(home, subject);
  await home.waitForEmptyQueue();
  const log = (await home.machine.peek(logFile)).slice(before);
  const arrived = (await lab.outside.mails()).map((text) => /^Subject: (.*)$/mu.exec(text)?.[1] ?? '');
  const ours = arrived.filter((subject) => subjects.includes(subject));
  expect(ours.length - subjects.length).toBeLessThanOrEqual(repeatsIn(log));
  expect(log).not.toMatch(/status=(?!sent|deferred)/u);
  // The relay's script ends connections that are open; their mail is sent again.
  expect(waitsIn(log).filter((why) => !reloadReason.test(why))).toEqual([]);
  expect(log.match(/ status=sent \(250/gu)?.length).toBeGreaterThanOrEqual(subjects.length);
  expect(warningsIn(log).filter((line) => !/SSL_connect error|TLS library problem/u.test(line))).toEqual([]);
  expect(subjects.length).toBeGreaterThan(4);
}

describe('a renewal for the same key', () => {
  test.each([
    ['the relay first', (): readonly MailHost[] => [relay, home]],
    ['home first', (): readonly MailHost[] => [home, relay]],
  ])('%s, with mail meanwhile', async (_what, order) => {
    const before = { home: await madeFor(home), relay: await madeFor(relay), table: '' };
    before.table = await relay.readFile(`${folder}/relay_clientcerts`);
    await withMail(async () => {
      await desk.run('relaycerts renew --force mailhost relayhost');
      for (const host of order()) await desk.install(host);
    });
    const after = { home: await madeFor(home), relay: await madeFor(relay) };
    expect([after.home.pin, after.relay.pin]).toEqual([before.home.pin, before.relay.pin]);
    expect(after.home.serial).not.toBe(before.home.serial);
    expect(after.relay.serial).not.toBe(before.relay.serial);
    expect(await servedSerial(desk, relay)).toBe(after.relay.serial);
    expect(await relay.readFile(`${folder}/relay_clientcerts`)).toBe(before.table);
    expect(new Set(await shownPins())).toEqual(new Set([before.home.pin]));
  });
});

describe('a rekey', () => {
  test('in its stages, with mail meanwhile and in each', async () => {
    const before = await madeFor(home);
    await withMail(async () => {
      await desk.run('relaycerts renew --rekey mailhost');
      await desk.install(relay);
      expect(new Set(await shownPins())).toEqual(new Set([before.pin]));
      expect((await desk.run('relaycerts make 2>&1 >/dev/null')).stdout).toContain('nothing to make');
      await desk.install(home);
      const { pin } = await madeFor(home);
      expect(pin).not.toBe(before.pin);
      expect(new Set(await shownPins())).toEqual(new Set([pin]));
      await desk.run('relaycerts retire mailhost');
      await desk.install(relay);
      expect(new Set(await shownPins())).toEqual(new Set([pin]));
    });
    expect(await relay.readFile(`${folder}/relay_clientcerts`)).not.toContain(before.pin);
  });

  test('a cached TLS session does not show the old key, even without a reload', async () => {
    const before = await madeFor(home);
    expect((await home.exec(['postconf', '-h', 'smtp_tls_session_cache_database'])).stdout).toMatch(
      /^(?:btree|lmdb):/u,
    );
    await desk.run('relaycerts renew --rekey mailhost');
    await desk.install(relay);
    await deliver(home, lab.outside);
    // Only the files are replaced, and Postfix's processes end by age as usual: the session cache outlives them.
    await desk.copy(home);
    await home.sh('pkill -x smtp; true');
    const { pin } = await madeFor(home);
    expect(new Set(await shownPins())).toEqual(new Set([pin]));
    await desk.run('relaycerts retire mailhost');
    await desk.copy(relay);
    await relay.sh('pkill -x smtpd; true');
    expect(await relay.readFile(`${folder}/relay_clientcerts`)).not.toContain(before.pin);
    expect(new Set(await shownPins())).toEqual(new Set([pin]));
  });

  test.each(['-tls1_2', '-tls1_3'])('the service resumes no session (%s), and port 25 still does', async (version) => {
    const base = `hosts/${home.hostname}/${home.hostname}`;
    const client = (port: number, session: string): string =>
      `echo QUIT | openssl s_client -ign_eof -starttls smtp -connect ${relay.hostname}:${port} ${version} \
       -cert ${base}.crt.pem -key ${base}.key.pem ${session} 2>&1 | grep -oE '^(New|Reused),' || true`;
    const twice = async (port: number): Promise<string> => {
      const file = `session${port}${version}.pem`;
      await desk.run(client(port, `-sess_out ${file}`));
      return (await desk.run(`test ! -s ${file} || { ${client(port, `-sess_in ${file}`)}; }`)).stdout.trim();
    };
    expect(await twice(25)).toBe('Reused,');
    expect(await twice(2500)).not.toBe('Reused,');
  });
});

describe('a revocation', () => {
  test('stops only that client, once the printed command has been run', async () => {
    const { stdout } = await desk.run("relaycerts revoke mailhost2 --reason 'the disk was stolen'");
    for (const host of [home, other]) await deliver(host, lab.outside);
    const [install = '', ...others] = commandsIn(stdout);
    expect(others).toEqual(['relaycerts make --again mailhost2.example.org']);
    await withMail(async () => {
      await desk.run(unasked(install));
      const subject = await send(other);
      const reason = await other.waitForDeferred();
      expect(reason).toMatch(/said: 450 4\.3\.2 .*\(in reply to RCPT TO command\)/u);
      expect(await other.queue()).toHaveLength(1);
      expect(await other.mailLog()).not.toContain('status=bounced');
      expect((await lab.outside.mails()).join('')).not.toContain(`Subject: ${subject}\n`);

      const rows = certificatesOf(await desk.run('relaycerts status --json', true));
      expect(rows).toContainEqual(expect.objectContaining({ host: other.hostname, state: 'revoked' }));
      expect((await desk.run('relaycerts make 2>&1 >/dev/null')).stdout).toContain('nothing to make');
      await other.flushQueue();
      await other.waitForLog(/status=deferred [^]*status=deferred /u);

      await desk.run('relaycerts make --again mailhost2');
      await desk.install(relay, other);
      await lab.outside.waitForFlushed(other, subject);
    });
    expect(new Set(await shownPins(other))).toEqual(new Set([(await madeFor(other)).pin]));
  });
});

/** The commands of /etc/cron.d/relaycerts-example_org, as cron would run them this many days from now. */
async function cronSays(host: MailHost, days: number): Promise<string> {
  const lines = (await host.readFile('/etc/cron.d/relaycerts-example_org'))
    .split('\n')
    .filter((line) => /^\d/u.test(line));
  expect(lines).toHaveLength(1);
  const commands = lines.map((line) => line.replace(/^(?:\S+ ){5}root /u, ''));
  return (await host.sh(`faketime -f +${days}d sh -s <<'END'\n${commands.join('\n')}\nEND`)).stdout;
}

describe('the warnings', () => {
  test('the printed cron lines are silent until a certificate is due', async () => {
    const [install, ...more] = blocksFor(await desk.show('mailhost --section monitor'), { host: home.hostname });
    expect(more).toEqual([]);
    await home.exec(['sh', '-c', 'exec sh'], { input: install ?? '' });
    expect(await cronSays(home, 0)).toBe('');
    expect(await cronSays(home, 366)).toBe('');
    expect(await cronSays(home, 369)).toBe(
      `relaycerts: the certificate of ${home.hostname} expires within 30 days, or cannot be read: ${folder}/${home.hostname}.crt.pem\n`,
    );
  });

  test("status, and its line for monitoring, on the operator's machine", async () => {
    const crontab =
      /^ {4}11 6 \* \* \* (\/.* status --due)$/mu.exec(await desk.show('mailhost --section monitor'))?.[1] ?? '';
    const checked = await desk.run('relaycerts check', true);
    // cron has neither this PATH nor this folder.
    const cron = await desk.run(`cd / && { export PATH=/usr/bin:/bin; ${crontab}; } 2>&1`, true);
    expect(cron.stdout, checked.stdout + checked.stderr).toBe('');
    const later = await desk.run(`faketime -f +369d sh -c '${crontab}' 2>&1`, true);
    expect(later.code).toBe(3);
    expect(later.stdout).toMatch(/mailhost\.example\.org +smtp-client +due +2\d /u);
    expect((await desk.run('relaycerts status --format nagios')).stdout).toMatch(/^RELAYCERTS OK - 4 certificates/u);
    const plugin = await desk.run('faketime -f +392d relaycerts status --format nagios', true);
    expect([plugin.code, plugin.stdout]).toEqual([
      2,
      expect.stringMatching(/^RELAYCERTS CRITICAL - .*due \(\d days\)/u),
    ]);
  });
});
