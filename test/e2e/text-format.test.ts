// The main job by copy and paste: every block of the printed text, taken from between its markers and run unchanged at
// its place, says what the words around it promise. Then mail flows, and the blocks of --undo give everything back.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCertificate } from './lab/certificates.js';
import { patienceMs } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver } from './lab/operator.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let stock: ReadonlyMap<MailHost, string>;

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1 });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  stock = new Map(await Promise.all([relay, home].map(async (host) => [host, await contentOf(host)] as const)));
  await desk.make({ smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] });
});
afterAll(() => lab.stop());

describe('the text, pasted', () => {
  test('make prints for every host what show prints', async () => {
    expect(
      await desk.make({ smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] }),
    ).toBe(await desk.show(''));
  });

  test('on the relay', async () => {
    const [copy, configure, check, listens, table, monitor, ...more] = await desk.paste(relay);
    expect(more).toEqual([]);
    expect([copy, configure, monitor]).toEqual(['', '', '']);
    expect(check).toMatch(/^\/etc\/postfix\/relaycerts\/relayhost\.example\.org\.crt\.pem: OK\n/);
    expect(check).not.toMatch(/warning|error|fatal/);
    expect(listens).toMatch(/^LISTEN .*:2500 /m);
    expect(table).toBe('mailhost.example.org\n');
  });

  test('on the home host', async () => {
    const [copy, transport, configure, check, finger, dialogue, monitor, ...more] = await desk.paste(home);
    expect(more).toEqual([]);
    expect([copy, transport, configure, monitor]).toEqual(['', '', '', '']);
    expect(check).toMatch(/^\/etc\/postfix\/relaycerts\/mailhost\.example\.org\.crt\.pem: OK\n/);
    expect(check).not.toMatch(/warning|error|fatal/);
    expect(finger).toMatch(/: Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
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
      expect(await host.readFile('/var/log/mail.log')).not.toMatch(/warning|legacy|backwards-compatible/);
    }
  });

  test('the systemd service runs what warns by mail, and nothing is sent now', async () => {
    for (const host of [relay, home]) {
      const unit = await host.readFile('/etc/systemd/system/relaycerts-expiry-example.org.service');
      // As systemd reads it: $$ is one dollar sign.
      const commands = [...unit.matchAll(/^ExecStart=(.*)$/gm)].map(([, command = '']) =>
        command.replaceAll('$$', '$'),
      );
      expect(commands).toHaveLength(2);
      for (const command of commands) {
        expect((await host.sh(command)).stdout).toBe('');
        await host.markLog();
        // With the file away, the same command sends its mail.
        const [, file = ''] = /(?: -in |<)(\/\S+)/u.exec(command) ?? [];
        expect(file).toMatch(/\.pem$/u);
        await host.sh(`mv ${file} ${file}.away`);
        await host.sh(command);
        await host.sh(`mv ${file}.away ${file}`);
        await host.waitForLog(/postfix\/pickup\[\d+\]: \w+: uid=0 from=<root>/);
      }
      expect(await host.readFile('/etc/systemd/system/relaycerts-expiry-example.org.timer')).toMatch(/^OnCalendar=/m);
    }
  });

  test('the cron lines are silent now, and warn of what ends soon or is not there', async () => {
    for (const host of [relay, home]) {
      const crontab = await host.readFile('/etc/cron.d/relaycerts-example_org');
      expect((await host.sh('stat -c "%U:%G %a" /etc/cron.d/relaycerts-example_org')).stdout).toBe('root:root 644\n');
      const commands = [...crontab.matchAll(/^\d+ \d+ \* \* \* root (.*)$/gm)].map(([, command = '']) => command);
      expect(commands).toHaveLength(2);
      const morning = async (): Promise<string> => {
        const runs = await Promise.all(commands.map((command) => host.sh(command)));
        return runs.map(({ stdout }) => stdout).join('');
      };
      expect(await morning()).toBe('');

      const [own, ca] = [`${host.hostname}.crt.pem`, 'example.org-ca.crt.pem'];
      // For 30 days, of which a moment has gone by.
      const ending = await makeCertificate(host.machine, { name: 'x', purpose: 'clientAuth', issuer: 'self' });
      await host.sh('cp -a /etc/postfix/relaycerts /root/kept');
      await host.writeFile(`/etc/postfix/relaycerts/${own}`, ending.certificate);
      expect(await morning()).toMatch(
        new RegExp(`^relaycerts: the certificate of ${host.hostname} expires within 30 days, .*/${own}\n$`),
      );
      await host.sh(`rm /etc/postfix/relaycerts/${ca}`);
      expect(await morning()).toMatch(new RegExp(`relaycerts: the CA of example.org expires .*/${ca}\n$`));
      await host.sh('rm -r /etc/postfix/relaycerts && mv /root/kept /etc/postfix/relaycerts');
      expect(await morning()).toBe('');
    }
  });

  test('the blocks of --undo bring main.cf and master.cf back', async () => {
    for (const host of [relay, home]) {
      const said = (await desk.paste(host, '--undo')).join('');
      expect(said).not.toMatch(/warning|error|fatal/);
      expect(await contentOf(host)).toBe(stock.get(host));
      expect(
        (
          await host.sh(
            'ls -d /etc/cron.d/relaycerts-example_org /etc/postfix/ma*.before-relaycerts 2> /dev/null; true',
          )
        ).stdout,
      ).toBe('');
    }
    await expect
      .poll(async () => (await relay.exec(['ss', '-Hltn', 'sport = :2500'])).stdout, { timeout: patienceMs })
      .toBe('');
  });
});
