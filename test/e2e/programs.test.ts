// Home hosts with mail programs other than Postfix: Exim, nullmailer, OpenSMTPD and msmtp from Debian's packages, and
// Nodemailer. Each relays with the printed script, keeps mail waiting whatever is wrong, and is undone byte by byte. Their
// sh is busybox's.

import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCa, makeCertificate } from './lab/certificates.js';
import { findAll, runCures } from './lab/check.js';
import { patienceMs } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk } from './lab/operator.js';
import { installProgram } from './lab/programs.js';
import { startStandIn, toldToStandIn } from './lab/stand-in.js';
import { folder } from '../support/folder.js';

const configured = '/etc/exim4 /etc/nullmailer /etc/msmtprc /etc/smtpd.conf';

/** The commands that count waiting mails and retry them. */
const queues = {
  exim: { program: 'exim', count: 'exim4 -bpc', retry: 'exim4 -qff' },
  nullmailer: {
    program: 'nullmailer',
    count: 'cd /var/spool/nullmailer && find queue failed -type f | wc -l',
    retry: 'service nullmailer restart > /dev/null 2>&1 < /dev/null',
  },
  // It leaves a relay alone for a while after a failure, unless it is started again.
  opensmtpd: {
    program: 'opensmtpd-7',
    count: 'smtpctl show queue | wc -l',
    retry: `service opensmtpd stop > /dev/null 2>&1
while pgrep -x smtpd > /dev/null; do sleep 0.05; done
service opensmtpd start > /dev/null 2>&1 < /dev/null
until smtpctl show status > /dev/null 2>&1; do sleep 0.05; done
smtpctl schedule all`,
  },
} as const;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let exim: MailHost;
/** The host of msmtp; later of Nodemailer and of an old OpenSMTPD. */
let bare: MailHost;
/** The hosts with a queue, and their programs. */
let queued: readonly (readonly [MailHost, keyof typeof queues])[];
/** A chain from our CA for another relay. */
let otherChain: string;
let mailCount = 0;

const settingsWith = (program: string, more: Readonly<Record<string, string>> = {}) => ({
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [
    { hostname: 'mailhost', program: 'exim' },
    { hostname: 'mailhost2', program: 'nullmailer' },
    { hostname: 'mailhost3', program: 'opensmtpd' },
    { hostname: 'mailhost4', program, ...more },
  ],
});

beforeAll(async () => {
  requireTools('faketime');
  lab = await startLab({ relays: 1, homes: 4, faults: 'any' });
  [relay] = lab.relays;
  const [first, second, third, fourth] = lab.homes;
  if (second === undefined || third === undefined || fourth === undefined)
    throw new TypeError('the lab has four homes');
  [exim, bare] = [first, fourth];
  queued = [
    [first, 'exim'],
    [second, 'nullmailer'],
    [third, 'opensmtpd'],
  ];
  await Promise.all([
    ...queued.map(([host, name]) => installProgram(host, queues[name].program)),
    installProgram(bare, 'msmtp'),
  ]);
  // No Postfix was ever there: the folders above ours have to be made, for the program's user to pass.
  for (const host of lab.homes) await host.sh('rm -r /etc/postfix');
  // Exim's script runs in Debian's own shell in ansible.test.ts.
  for (const host of lab.homes) await host.sh('mount --bind /usr/bin/busybox "$(readlink -f /bin/sh)"');
  expect((await exim.sh('/bin/sh --help 2>&1')).stdout).toContain('BusyBox');
  desk = new Desk(lab.operator);
  const settings = settingsWith('msmtp', { programUser: 'www-data' });
  await desk.make({ ...settings, smtpdServers: [...settings.smtpdServers, { hostname: 'relayhost2' }] });
  otherChain = (await desk.run('cat hosts/relayhost2.example.org/relayhost2.example.org.chain.pem')).stdout;
  await desk.settings(settings);
  await desk.install(relay);
});
afterAll(() => lab.stop());

/** Names, owners, modes and bytes of all configuration, and of anything else a script might leave. */
async function configurationOf(host: MailHost): Promise<string> {
  const script = `find ${configured} ! -type d 2> /dev/null | sort | while read -r file; do
  stat -c '%n %U:%G %a' "$file"; cat "$file"; done; ls -A /etc/cron.d`;
  return (await host.sh(script)).stdout;
}

async function keyOf(host: MailHost): Promise<string> {
  return (await host.sh(`stat -c '%U:%G %a' ${folder} ${folder}/${host.hostname}.chain.pem`)).stdout.trim();
}

/** Runs a host's script; returns its output without the program's and the host's name. */
async function runScript(host: MailHost, words: '' | '--undo' = ''): Promise<string> {
  const { code, stdout, stderr } = await desk.script(host, words);
  expect([code, stderr]).toEqual([0, '']);
  return stdout.replaceAll(/^relaycerts: |: .*$/gmu, '').trim();
}

async function send(host: MailHost): Promise<string> {
  const subject = `program ${++mailCount}`;
  await host.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject });
  return subject;
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + patienceMs; !(await holds());) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await sleep(50);
  }
}

async function waitsAt(host: MailHost, name: keyof typeof queues): Promise<number> {
  return Number((await host.sh(queues[name].count)).stdout);
}

/** Retries, along with automatic retries: a program may have been about to wait for a while. */
async function retryUntil(
  host: MailHost,
  name: keyof typeof queues,
  holds: () => Promise<boolean>,
  what: string,
): Promise<void> {
  let next = Date.now() + 5000;
  await until(async () => {
    if (Date.now() > next) {
      await host.sh(queues[name].retry);
      next = Date.now() + 5000;
    }
    return holds();
  }, what);
}

/** Retries until the mail is outside. */
async function retry(host: MailHost, name: keyof typeof queues, subject: string): Promise<void> {
  const arrived = async () => (await lab.outside.mails()).some((text) => text.includes(`Subject: ${subject}\n`));
  await host.sh(queues[name].retry);
  await retryUntil(host, name, arrived, `${name} delivers ${subject}`);
  await until(async () => (await waitsAt(host, name)) === 0, `the queue of ${name} is empty`);
}

/** Starts the relay's Postfix again: OpenSMTPD keeps a session open for later mails, a reload would leave it that. */
const endSessions = () => relay.restart();

const msmtp = (subject: string) =>
  bare.exec(['su', '-s', '/bin/sh', 'www-data', '-c', 'msmtp -f ann@example.org bob@example.net'], {
    input: `From: ann@example.org\nTo: bob@example.net\nSubject: ${subject}\n\nx\n`,
    anyExit: true,
  });

/** Installs the relay again; the mails that each program kept arrive, and Exim has returned none. */
async function bringRelayBack(subjects: readonly string[]): Promise<void> {
  await desk.copy(relay);
  await desk.script(relay);
  await endSessions();
  // nullmailer gives up what is refused for good before TLS: the text says how to bring it back.
  const [hint = ''] = /^ {4}mv .*$/mu.exec(await desk.show('mailhost2 --section config')) ?? [];
  await queued[1]?.[0].sh(`exec > /dev/null 2>&1 < /dev/null\n${hint}`, { anyExit: true });
  await Promise.all(queued.map(([host, name], at) => retry(host, name, subjects[at] ?? '')));
  expect(await exim.readFile('/var/log/exim4/mainlog')).not.toContain(' ** ');
}

describe('Exim with the single configuration of an Internet site', () => {
  test('relays by the numbered steps, and is undone by them', async () => {
    await exim.writeFile('/etc/exim4/exim4.conf.localmacros', 'REMOTE_SMTP_SMARTHOST_PROTOCOL = smtps\nMINE = 1');
    const before = await configurationOf(exim);
    const said = await desk.paste(exim);
    expect(said.filter((text) => text.includes('250 2.1.5 Ok'))).toHaveLength(1);
    await lab.outside.waitForMail(await send(exim));
    await desk.paste(exim, '--undo');
    expect(await configurationOf(exim)).toBe(before);
    expect(await keyOf(exim)).toBe('root:root 700\nroot:root 600');
  });

  test('relays by the script, and is undone', async () => {
    const before = await configurationOf(exim);
    expect(await runScript(exim)).toBe('mailhost.example.org is set up');
    await lab.outside.waitForMail(await send(exim));
    expect(await exim.readFile('/var/log/exim4/mainlog')).toMatch(/ T=remote_smtp_smarthost .* CV=yes .* C="250 /);
    expect(await runScript(exim, '--undo')).toMatch(/^mailhost\.example\.org is as it was before/);
    expect(await configurationOf(exim)).toBe(before);
  });

  test('is refused if another router uses the transport', async () => {
    const template = '/etc/exim4/exim4.conf.template';
    const kept = await exim.readFile(template);
    const router = 'begin routers\n\nprovider:\n  driver = manualroute\n  senders = eve@other.example\n';
    await exim.writeFile(
      template,
      kept.replace(
        /^begin routers$/mu,
        `${router}  transport = remote_smtp_smarthost\n  route_list = * mx.example.net byname\n`,
      ),
    );
    await exim.exec(['update-exim4.conf']);
    const before = await configurationOf(exim);
    const { code, stderr } = await desk.script(exim);
    expect(stderr).toContain('relaycerts: error: the mail of these routers will stop');
    expect(code).toBe(1);
    expect(await configurationOf(exim)).toBe(before);
    await exim.writeFile(template, kept);
    await exim.exec(['update-exim4.conf']);
  });

  test('is restored if Exim does not accept a setting', async () => {
    await exim.writeFile('/etc/exim4/exim4.conf.localmacros', 'DCsmarthost = mx.example.net\n');
    const before = await configurationOf(exim);
    const { code, stderr } = await desk.script(exim);
    expect(stderr).toContain('Exim does not send its mail to relayhost.example.org::2500:255.255.255.255::');
    expect(stderr).toContain('it failed; the configuration of mailhost.example.org is as it was before');
    expect(code).toBe(1);
    expect(await configurationOf(exim)).toBe(before);
    expect((await exim.exec(['exim4', '-bP', 'macros'])).stdout).not.toContain('REMOTE_SMTP_SMARTHOST_PRIVATEKEY');
    await exim.exec(['rm', '/etc/exim4/exim4.conf.localmacros']);
  });
});

describe('Exim with the split configuration, nullmailer, OpenSMTPD and msmtp', () => {
  let before: readonly string[];

  beforeAll(async () => {
    await exim.sh(`sed -i "s/^dc_use_split_config=.*/dc_use_split_config='true'/" /etc/exim4/update-exim4.conf.conf
update-exim4.conf`);
    await bare.writeFile(
      '/etc/msmtprc',
      'defaults\nauth on\nproxy_host 192.0.2.1\naccount default\nhost mx.example.net\nfrom x@y',
    );
    before = await Promise.all([...queued.map(([host]) => configurationOf(host)), configurationOf(bare)]);
    await Promise.all(queued.map(([host]) => desk.copy(host)));
    await desk.copy(bare);
  });

  test('each script gives the key to its program, and to nobody else', async () => {
    await Promise.all(queued.map(([host]) => runScript(host)));
    await runScript(bare);
    const owners = await Promise.all([...queued.map(([host]) => host), bare].map(keyOf));
    expect(owners).toEqual([
      'root:Debian-exim 710\nroot:Debian-exim 640',
      'root:mail 710\nmail:root 600',
      'root:root 700\nroot:root 600',
      'root:www-data 710\nwww-data:root 600',
    ]);
  });

  test('a second run changes nothing', async () => {
    expect(await Promise.all(queued.map(([host]) => runScript(host)))).toEqual(
      queued.map(([{ hostname }]) => `nothing to change on ${hostname}`),
    );
  });

  test('each delivers over TLS that the relay trusts', async () => {
    await relay.markLog();
    const subjects = await Promise.all(queued.map(([host]) => send(host)));
    expect(await msmtp('by msmtp')).toMatchObject({ code: 0 });
    await Promise.all([...subjects, 'by msmtp'].map((subject) => lab.outside.waitForMail(subject)));
    const trusted = (await relay.mailLog()).match(/Trusted TLS connection established from mailhost\d?/gu) ?? [];
    expect(new Set(trusted).size).toBe(4);
  });

  test('check finds nothing wrong, and what is put in by its id; the cures end in green', async () => {
    // The relay that left the settings is named besides.
    const wrong = async () => (await findAll(desk)).filter(({ host }) => host !== null);
    expect(await wrong()).toEqual([]);
    // What counts besides stays after --undo, so it goes again at once.
    await exim.sh("echo 'REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS =' >>/etc/exim4/exim4.conf.localmacros");
    expect((await wrong()).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^\/etc\/exim4\/exim4\.conf\.localmacros .*: it has other lines that take effect/u),
    ]);
    await exim.sh(`sed -i '$d' /etc/exim4/exim4.conf.localmacros; rm /etc/exim4/conf.d/main/000_relaycerts`);
    // Its original, which only we have now, comes back at the end.
    await queued[1]?.[0].sh(`chown root:root ${folder}/mailhost2.example.org.chain.pem; rm /etc/nullmailer/remotes`);
    await queued[2]?.[0].sh("sed -i '/^ca relaycerts /d' /etc/smtpd.conf");
    await bare.sh(`sed -i '/^tls_certcheck /d' /etc/msmtprc; chmod 644 ${folder}/mailhost4.example.org.chain.pem`);
    const found = (await wrong()).map(({ host, id, message }) => [host, id, message.replace(/.*: /u, '')]);
    expect(found).toEqual([
      ['mailhost.example.org', 'program-differs', 'it is missing'],
      ['mailhost2.example.org', 'owner-differs', expect.any(String)],
      ['mailhost2.example.org', 'program-differs', 'it is missing'],
      ['mailhost3.example.org', 'program-differs', 'the lines of relaycerts are missing, or somebody changed them'],
      ['mailhost4.example.org', 'mode-differs', expect.any(String)],
      ['mailhost4.example.org', 'program-differs', 'the lines of relaycerts are missing, or somebody changed them'],
    ]);
    const status = (await desk.run('relaycerts status', true)).stdout;
    expect(status).toMatch(/seen (?:just now|\d+ minutes? ago) with another configuration/u);
    await runCures(desk);
    await exim.sh('service exim4 stop >/dev/null 2>&1');
    const [stopped] = await wrong();
    expect(stopped?.id).toBe('program-stopped');
    // Exim must not keep the pipe.
    for (const { text } of stopped?.cure ?? []) await desk.run(`${text} >/dev/null 2>&1`);
    expect(await wrong()).toEqual([]);
  });

  const service = '2500/inet';
  const chain = `${folder}/relayhost.example.org.chain.pem`;
  test.each([
    ['whose table does not list them', () => relay.sh(`: > ${folder}/relay_clientcerts`)],
    [
      'that shows a certificate of another CA',
      async () => {
        const name = 'relayhost.example.org';
        const issuer = await makeCa(relay.machine, 'another CA');
        const stranger = await makeCertificate(relay.machine, { name, purpose: 'serverAuth', issuer });
        await relay.writeFile(chain, stranger.chain, '0600');
      },
    ],
    ['that shows the certificate of another relay', () => relay.writeFile(chain, otherChain, '0600')],
    [
      'that offers no TLS',
      () => relay.sh(`postconf -P ${service}/smtpd_tls_security_level=none ${service}/smtpd_tls_req_ccert=no`),
    ],
  ])('at a relay %s, none loses its mail', async (what, spoil) => {
    await spoil();
    await endSessions();
    await relay.markLog();
    const subjects = await Promise.all(queued.map(([host]) => send(host)));
    // After an earlier failure, they would not try at once.
    await Promise.all(queued.map(([host, name]) => host.sh(queues[name].retry)));
    expect((await msmtp('lost')).code).toBeGreaterThan(0);
    const hasTried = async ({ hostname }: MailHost) => (await relay.mailLog()).includes(`disconnect from ${hostname}[`);
    await until(() => hasTried(bare), 'msmtp was at the relay');
    await Promise.all(
      queued.map(([host, name]) => retryUntil(host, name, () => hasTried(host), `${name} was at the relay`)),
    );
    // Only a relay with the right certificate is told of a mail at all.
    const told = what === 'whose table does not list them' ? '' : '|lost connection after (?:MAIL|RCPT)';
    expect(await relay.mailLog()).not.toMatch(new RegExp(`Anonymous TLS|postfix/qmgr${told}`, 'u'));
    const counts = await Promise.all(queued.map(([host, name]) => waitsAt(host, name)));
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect((await lab.outside.mails()).filter((text) => text.includes('Subject: lost'))).toEqual([]);

    await bringRelayBack(subjects);
  });

  test.each([
    ['does not greet them', '554 no'],
    ['refuses all they say', '220 x ESMTP'],
  ])('at a stranger in the place of the relay who %s, none loses its mail', async (_what, greeting) => {
    const stop = await startStandIn(relay, greeting);
    const subjects = await Promise.all(queued.map(([host]) => send(host)));
    await Promise.all(queued.map(([host, name]) => host.sh(queues[name].retry)));
    const hasTried = async ({ address }: MailHost) => (await toldToStandIn(relay)).includes(`${address} `);
    expect((await msmtp('lost')).code).toBeGreaterThan(0);
    await Promise.all(
      queued.map(([host, name]) => retryUntil(host, name, () => hasTried(host), `${name} met the stranger`)),
    );
    expect(await toldToStandIn(relay)).not.toMatch(/MAIL|RCPT|DATA/u);
    const counts = await Promise.all(queued.map(([host, name]) => waitsAt(host, name)));
    expect(Math.min(...counts)).toBeGreaterThan(0);
    await stop();
    await bringRelayBack(subjects);
  });

  test("explain names each cause in Exim's log, and knows every line", async () => {
    const { code, stdout } = await desk.run('relaycerts explain mailhost --json', true);
    const { findings, unknown, sent } = JSON.parse(stdout) as {
      readonly findings: readonly { readonly id: string }[];
      readonly unknown: readonly unknown[];
      readonly sent: { readonly count: number };
    };
    expect([code, unknown, sent.count > 4]).toEqual([3, [], true]);
    expect(findings.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['pin-not-listed', 'not-verified', 'tls-not-offered']),
    );
  });

  test('Exim returns no new mail at once after days without its relay', async () => {
    await relay.sh('postfix stop');
    for (const day of [0, 5]) {
      const later = `faketime -f +${day}d exim4`;
      await exim.sh(`printf 'Subject: day ${day}\\n\\nx\\n' | ${later} -odq -f ann@example.org bob@example.net
${later} -Mc "$(exim4 -bp | awk '/</ { id = $3 } END { print id }')"`);
    }
    expect(await waitsAt(exim, 'exim')).toBe(2);
    expect(await exim.readFile('/var/log/exim4/mainlog')).not.toContain(' ** ');
    await relay.restart();
    await exim.sh('rm /var/spool/exim4/db/*');
    for (const day of [0, 5]) await retry(exim, 'exim', `day ${day}`);
  });

  test('a bundle that is copied again is taken up by the script', async () => {
    await desk.copy(exim);
    expect(await keyOf(exim)).toBe('root:Debian-exim 710\nroot:Debian-exim 600');
    const subject = await send(exim);
    await until(
      async () => /defer|==/.test((await exim.readFile('/var/log/exim4/mainlog')).split('\n').slice(-4).join('\n')),
      'Exim cannot read its key',
    );
    expect(await waitsAt(exim, 'exim')).toBe(1);
    await runScript(exim);
    await retry(exim, 'exim', subject);
  });

  test('deploy gives Exim a new key after the relay lists it', async () => {
    const deploy = async () => (await desk.run('relaycerts deploy --yes')).stdout;
    await desk.run('relaycerts renew --rekey mailhost');
    expect(await deploy()).toMatch(/^deploy: 2 installed$/mu);
    await lab.outside.waitForMail(await send(exim));
    await desk.run('relaycerts retire mailhost');
    expect(await deploy()).toMatch(/^deploy: 1 installed$/mu);
    await lab.outside.waitForMail(await send(exim));
    expect(await keyOf(exim)).toBe('root:Debian-exim 710\nroot:Debian-exim 640');
  });

  test('what was edited since stays, and our lines go', async () => {
    await bare.sh('echo "# mine" >> /etc/msmtprc');
    await runScript(bare, '--undo');
    expect(await configurationOf(bare)).toBe(before[3]?.replace('from x@y', 'from x@y# mine\n'));
  });

  test('--undo gives back every file byte by byte, and the key to root', async () => {
    await Promise.all(queued.map(([host]) => runScript(host, '--undo')));
    expect(await Promise.all(queued.map(([host]) => configurationOf(host)))).toEqual(before.slice(0, 3));
    expect(new Set(await Promise.all(queued.map(([host]) => keyOf(host))))).toEqual(
      new Set(['root:root 700\nroot:root 600']),
    );
  });
});

describe('Nodemailer', () => {
  test("relays with the script's options, and waits for nobody if it cannot", async () => {
    await installProgram(bare, 'nodemailer');
    await desk.settings(settingsWith('nodemailer', { programUser: 'www-data' }));
    await runScript(bare);
    const app = `require('/usr/share/nodejs/nodemailer').createTransport(require('${folder}/nodemailer.cjs'))
.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'by Nodemailer', text: 'x' })
.then(({ response }) => console.log(response), ({ code }) => console.log(code))`;
    const mail = async (user: string) =>
      (await bare.exec(['su', '-s', '/bin/sh', user, '-c', `${process.execPath} -`], { input: app, anyExit: true }))
        .stdout;
    expect(await mail('www-data')).toMatch(/^250 2\.0\.0 Ok/);
    await lab.outside.waitForMail('by Nodemailer');
    expect(await mail('nobody')).toBe('');
    // It has no queue: the app is told, and can send again.
    await relay.sh(`: > ${folder}/relay_clientcerts`);
    await endSessions();
    expect(await mail('www-data')).toBe('EENVELOPE\n');
    await relay.writeFile(`${folder}/relayhost.example.org.chain.pem`, otherChain, '0600');
    await endSessions();
    expect(await mail('www-data')).toBe('ESOCKET\n');
    await desk.copy(relay);
    await desk.script(relay);
    await endSessions();
    expect(await mail('www-data')).toMatch(/^250 2\.0\.0 Ok/);
    await runScript(bare, '--undo');
    expect(await bare.machine.exists(`${folder}/nodemailer.cjs`)).toBe(false);
  });
});

describe('an OpenSMTPD that cannot show a certificate', () => {
  test('is refused before anything changes', async () => {
    await installProgram(bare, 'opensmtpd-6');
    await desk.settings(settingsWith('opensmtpd'));
    const before = await configurationOf(bare);
    const { code, stderr } = await desk.script(bare);
    expect(stderr).toContain('relaycerts: error: OpenSMTPD 6.8 is too old: 7.0 or later is needed');
    expect(code).toBe(1);
    expect(await configurationOf(bare)).toBe(before);
  });
});
