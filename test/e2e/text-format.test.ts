// The main job by copy and paste: every block of the printed text, taken from between its markers and run unchanged at
// its place, does what the words around it say. Then mail flows, and the blocks of --undo restore everything.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCertificate } from './lab/certificates.js';
import { warningsIn } from './lab/logs.js';
import { patienceMs } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver } from './lab/operator.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let stock: ReadonlyMap<MailHost, string>;
let stockFiles: ReadonlyMap<MailHost, readonly string[]>;

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1 });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  stock = new Map(await Promise.all([relay, home].map(async (host) => [host, await contentOf(host)] as const)));
  stockFiles = new Map(await Promise.all([relay, home].map(async (host) => [host, await filesOn(host)] as const)));
  await desk.make({ smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] });
});
afterAll(() => lab.stop());

describe('the text, pasted', () => {
  test('on the relay', async () => {
    const [copy, configure, check, end, listens, table, ...more] = await desk.paste(relay);
    const [monitor] = await desk.paste(relay, '--section monitor');
    expect(more).toEqual([]);
    expect([copy, configure, end, monitor]).toEqual(['', '', '', '']);
    expect(check).toMatch(/^\/etc\/postfix\/relaycerts\/example\.org\/relayhost\.example\.org\.crt\.pem: OK\n/);
    expect(check).not.toMatch(/warning|error|fatal/);
    expect(listens).toMatch(/^LISTEN .*:2500 /m);
    expect(table).toBe('mailhost.example.org\n');
  });

  test('on the home host', async () => {
    const [copy, transport, configure, check, finger, dialogue, ...more] = await desk.paste(home);
    const [monitor] = await desk.paste(home, '--section monitor');
    expect(more).toEqual([]);
    expect([copy, transport, configure, monitor]).toEqual(['', '', '', '']);
    expect(check).toMatch(/^\/etc\/postfix\/relaycerts\/example\.org\/mailhost\.example\.org\.crt\.pem: OK\n/);
    expect(check).not.toMatch(/warning|error|fatal/);
    expect(finger).toMatch(/: Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
    // No word of whether the resolver validates, and fingerprints of the digest that the pins have.
    expect(finger).not.toContain('warning');
    expect(finger).toMatch(/[ ,]fingerprint=(?:\w\w:){31}\w\w,/);
    const [rcpt, quit] = dialogue?.trimEnd().split(/\r?\n/).slice(-2) ?? [];
    expect(rcpt).toBe('250 2.1.5 Ok');
    expect(quit).toMatch(/^221 /);
  });

  test('then mail flows, Verified at home and Trusted at the relay', async () => {
    await relay.markLog();
    const mail = await deliver(home, lab.outside);
    expect(mail).toMatch(/by relayhost\.example\.org \(Postfix\)/);
    expect(mail.includes(home.address)).toBe(!(await relay.knows('smtpd_hide_client_session')));
    await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
    await relay.waitForLog(/postfix\/relaycerts\/smtpd\[\d+\]: Trusted TLS connection established from mailhost/);
    for (const host of [relay, home]) {
      // Of the recipient of the verify step: in the lab, the domain has no DNS record at all.
      const log = (await host.readFile('/var/log/mail.log')).replaceAll(
        /warning: Unable to look up MX host example\.org/gu,
        '',
      );
      expect(warningsIn(log)).toEqual([]);
    }
  });

  test('the systemd service runs what warns by mail, and nothing is sent now', async () => {
    for (const host of [relay, home]) {
      const unit = await host.readFile('/etc/systemd/system/relaycerts-expiry-example.org.service');
      const [, command = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
      await host.markLog();
      expect((await host.sh(command)).stdout).toBe('');
      // With a file missing, the same command sends its mail.
      for (const name of [`${host.hostname}.crt.pem`, 'example.org-ca.crt.pem']) {
        const file = `/etc/postfix/relaycerts/example.org/${name}`;
        expect(await host.mailLog()).not.toContain('postfix/pickup');
        await host.sh(`mv ${file} ${file}.away`);
        await host.sh(command);
        await host.sh(`mv ${file}.away ${file}`);
        await host.waitForLog(/postfix\/pickup\[\d+\]: \w+: uid=0 from=<root>/);
        await host.markLog();
      }
      expect(await host.readFile('/etc/systemd/system/relaycerts-expiry-example.org.timer')).toMatch(/^OnCalendar=/m);
    }
  });

  test('the cron lines are silent now, and warn of what ends or is missing', async () => {
    for (const host of [relay, home]) {
      const crontab = await host.readFile('/etc/cron.d/relaycerts-example_org');
      expect((await host.sh('stat -c "%U:%G %a" /etc/cron.d/relaycerts-example_org')).stdout).toBe('root:root 644\n');
      const commands = [...crontab.matchAll(/^\d+ \d+ \* \* \* root (.*)$/gm)].map(([, command = '']) => command);
      expect(commands).toEqual(['sh /etc/postfix/relaycerts/example.org/check-expiry']);
      const morning = async (): Promise<string> => {
        const runs = await Promise.all(commands.map((command) => host.sh(command)));
        return runs.map(({ stdout }) => stdout).join('');
      };
      expect(await morning()).toBe('');

      const [own, ca] = [`${host.hostname}.crt.pem`, 'example.org-ca.crt.pem'];
      // For 30 days, minus a moment.
      const ending = await makeCertificate(host.machine, { name: 'x', purpose: 'clientAuth', issuer: 'self' });
      await host.sh('cp -a /etc/postfix/relaycerts/example.org /root/kept');
      await host.writeFile(`/etc/postfix/relaycerts/example.org/${own}`, ending.certificate);
      expect(await morning()).toMatch(
        new RegExp(`^relaycerts: the certificate of ${host.hostname} expires within 30 days, .*/${own}\n$`),
      );
      await host.sh(`rm /etc/postfix/relaycerts/example.org/${ca}`);
      expect(await morning()).toMatch(new RegExp(`relaycerts: the CA of example.org expires .*/${ca}\n$`));
      await host.sh('rm -r /etc/postfix/relaycerts/example.org && mv /root/kept /etc/postfix/relaycerts/example.org');
      expect(await morning()).toBe('');
    }
  });

  test('the blocks of --undo restore main.cf and master.cf', async () => {
    for (const host of [relay, home]) {
      await enableTimer(host);
      const said = (await desk.paste(host, '--undo')).join('');
      expect(said).not.toMatch(/warning|error|fatal/);
      expect(await contentOf(host)).toBe(stock.get(host));
      expect(await leftOn(host)).toEqual([]);
    }
    await expect
      .poll(async () => (await relay.exec(['ss', '-Hltn', 'sport = :2500'])).stdout, { timeout: patienceMs })
      .toBe('');
  });

  test('the script undoes the warnings too, even if nothing else is left', async () => {
    await desk.install(relay, home);
    for (const host of [relay, home]) {
      for (const isSetUp of [true, false]) {
        await desk.paste(host, '--section monitor');
        await enableTimer(host);
        const { code, stdout } = await desk.script(host, '--undo');
        expect([code, stdout]).toEqual([0, expect.stringContaining(isSetUp ? 'as it was before' : 'nothing to undo')]);
        expect(await leftOn(host)).toEqual([]);
      }
      expect(await contentOf(host)).toBe(stock.get(host));
    }
  });
});

const timer = '/etc/systemd/system/relaycerts-expiry-example.org.timer';

/** As systemctl enable does it. */
async function enableTimer(host: MailHost): Promise<void> {
  const wants = '/etc/systemd/system/timers.target.wants';
  await host.sh(`test -f ${timer} && mkdir -p ${wants} && ln -sf ${timer} ${wants}/`);
}

async function filesOn(host: MailHost): Promise<readonly string[]> {
  return (await host.sh('find /etc -xdev ! -type d')).stdout.trim().split('\n').toSorted();
}

/** What an installation has left behind outside the folder of the bundle, which undo names. */
async function leftOn(host: MailHost): Promise<readonly string[]> {
  const before = stockFiles.get(host) ?? [];
  return (await filesOn(host)).filter(
    (file) => !before.includes(file) && !file.startsWith('/etc/postfix/relaycerts/example.org/'),
  );
}
