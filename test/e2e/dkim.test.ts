// Mail signed by an OpenDKIM of its own, from the settings to the outside: verified by mailauth and dkimpy, neither of
// them OpenDKIM. What must not be signed is not, what cannot be signed waits, and keys change while mail flows.
// RELAYCERTS_DEEP=1 also sets up home with the pasted text, as the relay is here.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { KeyServer, recordsIn, signatureOf, verify, type Records } from './lab/dkim.js';
import type { MailHost } from './lab/mail-host.js';
import { startFlow } from './lab/mail-flow.js';
import { deliver, Desk } from './lab/operator.js';

const folder = '/etc/relaycerts-opendkim/example.org';
const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const start = `opendkim -x ${folder}/opendkim.conf`;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let keys: KeyServer;
let settings: Readonly<Record<string, unknown>>;
let stock: string;
let records: Records;
let count = 0;

/** Every file of a host that a configuration may touch, except the bundle. */
async function filesOf(host: MailHost): Promise<string> {
  const find = 'find /etc -path /etc/postfix/relaycerts/example.org -prune -o -type f';
  const list = `{ ${find} -printf '%p %u:%g %m\\n'; ${find} -exec sha256sum {} +; } | sort`;
  return (await host.sh(`${list}; pgrep -x opendkim || :`)).stdout;
}

/** The record of the key that signs, from its file and by openssl. */
async function activeRecords(): Promise<Records> {
  const { stdout } = await desk.run(`cd certs/dkim && for key in *.key.pem; do
    echo "$key $(openssl pkey -in "$key" -pubout -outform DER | base64 -w 0)"; done`);
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [, selector = '', key = ''] = /^example\.org\.(\w+)\.key\.pem (\S+)$/u.exec(line) ?? [];
        return [`${selector}._domainkey.example.org`, `v=DKIM1; k=rsa; p=${key}`];
      }),
  );
}

/** Sends a mail by SMTP to a port of the host itself. */
async function sendTo(host: MailHost, from: string): Promise<string> {
  const subject = `to the port ${++count}`;
  const words = ['--server', '127.0.0.1', '--from', from, '--to', 'bob@example.net', '--header', `Subject: ${subject}`];
  await host.exec(['swaks', '--hide-all', ...words]);
  return lab.outside.waitForMail(subject);
}

async function milters(): Promise<string> {
  return (await home.sh('postconf -n smtpd_milters non_smtpd_milters')).stdout;
}

beforeAll(async () => {
  requireTools('opendkim', 'dkimverify', 'openssl', 'swaks', 'faketime', 'dnsmasq');
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  keys = new KeyServer(lab);
  await keys.publish(new Map());
  settings = {
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    dkim: {},
    dns: { resolver: keys.address },
  };
  stock = await filesOf(relay);
  await desk.make(settings);
  records = await activeRecords();
});
afterAll(() => lab.stop());

describe('a relay that signs', () => {
  test('is not touched if opendkim is missing', async () => {
    await desk.copy(relay);
    await relay.sh('mount --bind /dev/null /usr/sbin/opendkim');
    const { code, stderr } = await desk.script(relay);
    await relay.sh('umount /usr/sbin/opendkim');
    expect(stderr).toContain('error: opendkim is not installed on relayhost.example.org');
    expect(stderr).toContain('hint: install it: apt-get install opendkim');
    expect(code).toBe(1);
    expect(await filesOf(relay)).toBe(stock);
  });

  test('signs mail from home, as two verifiers say', async () => {
    const { stdout, stderr, code } = await desk.run('relaycerts deploy --yes 2>&1', true);
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain(`systemd does not run on relayhost.example.org`);
    const mail = await deliver(home, lab.outside);
    expect([...records.keys()]).toEqual([signatureOf(mail)]);
    expect(await verify(mail, records)).toBe('pass pass');
    expect(await verify(mail.replace('mail ', 'mall '), records)).toMatch(/^(?:fail|neutral) fail$/u);
    // Without its record the mail is as good as not signed.
    expect(await verify(mail, new Map())).toBe('neutral fail');
  });

  test('keeps its key for opendkim only', async () => {
    const { stdout } = await relay.sh(`stat -c '%U:%G %a %n' ${folder} ${folder}/*.key.pem ${folder}/KeyTable`);
    expect(stdout.replaceAll(/rc\d{6}/gu, 'SELECTOR')).toBe(
      `root:opendkim 750 ${folder}\nroot:opendkim 640 ${folder}/example.org.SELECTOR.key.pem\nroot:opendkim 640 ${folder}/KeyTable\n`,
    );
  });

  test('does not sign a From: of another domain', async () => {
    const subject = 'forged';
    await home.sendMail({ from: 'ann@example.com', to: 'bob@example.net', subject });
    expect(signatureOf(await lab.outside.waitForMail(subject))).toBeUndefined();
  });

  test('does not sign on port 25, not even with the milter there', async () => {
    expect(signatureOf(await sendTo(relay, 'ann@example.org'))).toBeUndefined();
    await relay.setMainCf({ smtpd_milters: 'inet:127.0.0.1:8891', non_smtpd_milters: 'inet:127.0.0.1:8891' });
    await relay.reload();
    expect(signatureOf(await sendTo(relay, 'ann@example.org'))).toBeUndefined();
    await relay.sh('postconf -X smtpd_milters non_smtpd_milters');
    await relay.reload();
  });

  test('lets mail wait while opendkim is down', async () => {
    await relay.sh('pkill -x opendkim; while pgrep -x opendkim; do sleep 0.1; done');
    await home.markLog();
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'down' });
    // Postfix's answer to STARTTLS, which a milter that does not answer makes useless.
    expect(await home.waitForDeferred()).toContain('refused to start TLS: 454 4.3.0 ');
    expect((await desk.run('relaycerts check relayhost --json', true)).stdout).toContain('"dkim-down"');
    await relay.sh(start);
    expect(await verify(await lab.outside.waitForFlushed(home, 'down'), records)).toBe('pass pass');
  });

  test('lets mail wait while the key is unreadable', async () => {
    await relay.sh(`chown root:root ${folder}/*.key.pem && chmod 600 ${folder}/*.key.pem`);
    await home.markLog();
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'unreadable' });
    expect(await home.waitForDeferred()).toContain('said: 451 4.7.1 ');
    expect((await desk.run('relaycerts check relayhost --json', true)).stdout).toContain('"dkim-differs"');
    expect((await desk.script(relay)).code).toBe(0);
    expect(await verify(await lab.outside.waitForFlushed(home, 'unreadable'), records)).toBe('pass pass');
  });
});

test('a table of keys that names a file elsewhere changes nothing', async () => {
  const before = await filesOf(relay);
  await relay.sh(`sed -i 's#:/etc/.*#:/etc/cron.d/x.key.pem#' /etc/postfix/relaycerts/example.org/opendkim.KeyTable`);
  const { code, stderr } = await desk.script(relay);
  expect(stderr).toContain(`opendkim.KeyTable names a file outside ${folder}`);
  expect(code).toBe(1);
  expect(await filesOf(relay)).toBe(before);
  await desk.copy(relay);
});

describe('new DKIM keys', () => {
  test('come in stages while mail flows, and every mail verifies', async () => {
    const renew = async (words = '', before = ''): Promise<{ stdout: string; stderr: string; code: number }> =>
      desk.run(`${before} relaycerts renew --dkim ${words}`, true);
    const flow = await startFlow([home], lab.outside);
    const made = await renew();
    expect(made.code, made.stderr).toBe(0);
    const next = recordsIn(made.stdout);
    expect(next.size).toBe(1);
    const [name = ''] = next.keys();

    const early = await renew();
    expect(early.stderr).toContain('the present DKIM key keeps signing: ');
    expect(early.stderr).toContain(name);
    expect(early.code).toBe(0);
    await keys.publish(new Map([[name, 'v=DKIM1; k=rsa; p=AAAA']]));
    const wrong = await renew();
    expect(wrong.stderr).toContain('the present DKIM key keeps signing: ');
    expect(wrong.code).toBe(1);
    await keys.stop();
    expect((await renew()).stderr).toMatch(/keeps signing: .*(?:nothing answers at the DNS server|does not answer)/u);
    expect((await desk.run('relaycerts status', true)).stderr).toMatch(
      /the next DKIM key rc\d+b?, made (?:just now|\d+ minutes? ago), signs/u,
    );
    expect(signatureOf(await deliver(home, lab.outside))).not.toBe(name);

    records = new Map([...records, ...next]);
    await keys.publish(records);
    const switched = await desk.run('relaycerts renew --due', true);
    expect(switched.code, switched.stderr).toBe(0);
    expect(switched.stdout).toContain('relaycerts deploy relayhost');
    expect((await renew()).stderr).toContain('relayhost.example.org was not seen to sign with the new one');
    const deploy = async () => desk.run('relaycerts deploy --yes 2>&1', true);
    const filesNow = async (): Promise<string> => (await filesOf(relay)).replaceAll(/^\d+$/gmu, '');
    const before = await filesNow();
    const failed = await relay.withFailingReload(deploy);
    expect(failed.code, failed.stdout).toBe(1);
    expect(await filesNow()).toBe(before);
    expect(signatureOf(await deliver(home, lab.outside))).not.toBe(name);
    const deployed = await deploy();
    expect(deployed.code, deployed.stdout).toBe(0);
    expect(signatureOf(await deliver(home, lab.outside))).toBe(name);
    await flow.stop();
    for (const mail of await lab.outside.mails()) {
      if (/^Subject: flow /mu.test(mail)) expect(await verify(mail, records), mail).toBe('pass pass');
    }

    expect((await renew()).stderr).toMatch(/the former DKIM key stays published: until .*, 7 days after the switch/u);
    const retired = await renew('', "faketime '+8 days'");
    expect(retired.code, retired.stderr).toBe(0);
    expect([...recordsIn(retired.stdout).values()]).toEqual(['v=DKIM1; k=rsa; p=']);
    expect((await desk.run('ls certs/dkim')).stdout.split('\n').filter((file) => file.endsWith('.pem'))).toHaveLength(
      1,
    );
    expect((await relay.sh(`ls ${folder}/*.key.pem`)).stdout.trim().split('\n')).toHaveLength(1);
  });
});

test('a signer goes when the settings drop it, and comes back', async () => {
  await desk.make({ ...settings, dkim: undefined });
  const { stdout, code } = await desk.run('relaycerts deploy --yes 2>&1', true);
  expect(code, stdout).toBe(0);
  expect((await relay.sh(`pgrep -x opendkim; ls -d /etc/relaycerts-opendkim; :`)).stdout).toBe('');
  expect(signatureOf(await deliver(home, lab.outside))).toBeUndefined();
  expect((await desk.script(relay)).stdout).toContain('nothing to change');
  await desk.make(settings);
  await desk.install(relay);
  records = new Map([...records, ...(await activeRecords())]);
  expect(await verify(await deliver(home, lab.outside), records)).toBe('pass pass');
});

describe('undo', () => {
  test('gives back every file', async () => {
    const { code, stdout } = await desk.run('relaycerts deploy --undo --yes relayhost 2>&1', true);
    expect(code, stdout).toBe(0);
    expect(await filesOf(relay)).toBe(stock);
  });

  test('gives back every file after the pasted text too', async () => {
    await desk.paste(relay);
    records = await activeRecords();
    expect(await verify(await deliver(home, lab.outside), records)).toBe('pass pass');
    await desk.paste(relay, '--undo');
    expect(await filesOf(relay)).toBe(stock);
  });
});

describe('a home that signs', () => {
  const other = '{ inet:127.0.0.1:9, default_action=accept }';
  const ours = '{inet:127.0.0.1:8891,default_action=tempfail}';

  test('signs what is sent from it, next to the milters that are there', async () => {
    await home.restorePostfix();
    await home.setMainCf({ smtpd_milters: other });
    stock = await filesOf(home);
    await desk.make({ ...settings, dkim: { signAt: 'home' } });
    await desk.install(relay, home);
    expect(await milters()).toBe(`smtpd_milters = ${other}, ${ours}\nnon_smtpd_milters = ${ours}\n`);
    records = await activeRecords();
    expect(await verify(await deliver(home, lab.outside), records)).toBe('pass pass');
    expect(await verify(await sendTo(home, 'ann@example.org'), records)).toBe('pass pass');
    expect((await relay.sh('pgrep -x opendkim || :')).stdout).toBe('');
  });

  test('does not sign what comes from elsewhere', async () => {
    const words = ['--server', home.address, '--from', 'ann@example.org', '--to', 'root@mailhost.example.org'];
    await home.sh('rm -f /var/mail/*');
    await relay.exec(['swaks', '--hide-all', ...words, '--header', 'Subject: from the world']);
    await home.waitForLog(/status=sent \(delivered to/u);
    const mail = (await home.sh('cat /var/mail/*')).stdout;
    expect(mail).toContain('Subject: from the world');
    expect(signatureOf(mail)).toBeUndefined();
  });

  test('keeps what was added since, and gives back every file', async () => {
    await home.setMainCf({ smtpd_milters: `${other}, ${ours}, ${other}` });
    expect((await desk.script(home, '--undo')).code).toBe(0);
    expect(await milters()).toBe(`smtpd_milters = ${other}, ${other}\n`);
    await home.setMainCf({ smtpd_milters: other });
    expect(await filesOf(home)).toBe(stock);
  });

  test.runIf(isDeep)('does so with the pasted text too', async () => {
    await desk.paste(home);
    expect(await milters()).toBe(`smtpd_milters = ${other}, ${ours}\nnon_smtpd_milters = ${ours}\n`);
    expect(await verify(await deliver(home, lab.outside), records)).toBe('pass pass');
    await desk.paste(home, '--undo');
    expect(await filesOf(home)).toBe(stock);
  });
});
