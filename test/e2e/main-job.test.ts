// The main job with the script: one make for two relays and two homes, the rsync lines and the piped scripts run as
// they are printed, and mail flows over verified TLS from both homes, past a relay that is down.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { Desk, deliver } from './lab/operator.js';

let lab: Lab;
let desk: Desk;

beforeAll(async () => {
  lab = await startLab({ relays: 2, homes: 2 });
  desk = new Desk(lab.operator);
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }],
  });
}, 60_000);
afterAll(() => lab.stop());

describe('two relays and two homes', { timeout: 60_000 }, () => {
  test('the rsync lines, as printed, bring each host its own files, for root alone', async () => {
    await Promise.all(
      [...lab.relays, ...lab.homes].map(async (host) => {
        await desk.copy(host);
        const name = host.hostname;
        const own = ['example.org-ca.crt.pem', `${name}.chain.pem`, `${name}.crt.pem`, `${name}.key.pem`];
        const table = name.startsWith('relayhost') ? ['relay_clientcerts'] : [];
        const files = [...own, ...table].toSorted().map((file) => `./${file} root:root 600\n`);
        const { stdout } = await host.sh(
          `cd /etc/postfix/relaycerts && find . -printf '%p %u:%g %m\n' | LC_ALL=C sort`,
        );
        expect(stdout).toBe(`. root:root 700\n${files.join('')}`);
      }),
    );
  });

  test('the script, as printed, sets every host up', async () => {
    await Promise.all(
      [...lab.relays, ...lab.homes].map(async (host) => {
        const { code, stdout, stderr } = await desk.script(host);
        expect(stderr).toBe('');
        expect(stdout).toContain(`relaycerts: ${host.hostname} is set up: `);
        expect(code).toBe(0);
        const modes = await host.sh(`stat -c '%U:%G %a' /etc/postfix/relaycerts /etc/postfix/relaycerts/*.key.pem`);
        expect(modes.stdout).toBe('root:root 700\nroot:root 600\n');
        expect((await host.sh('postfix check 2>&1')).stdout).toBe('');
      }),
    );
  });

  test('mail from each home arrives, Verified at home and Trusted at the relay', async () => {
    const [relay] = lab.relays;
    for (const home of lab.homes) {
      await relay.markLog();
      const mail = await deliver(home, lab.outside);
      expect(mail).toMatch(/^Received: from relayhost\.example\.org .*\n.*by mx\.example\.net/m);
      expect(mail).toMatch(/by relayhost\.example\.org \(Postfix\)/);
      expect(mail.includes(home.address)).toBe(!(await relay.knows('smtpd_hide_client_session')));
      await home.waitForLog(/smtp\[\d+\]: Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
      const from = home.hostname.replaceAll('.', String.raw`\.`);
      await relay.waitForLog(new RegExp(`postfix/relaycerts/smtpd\\[\\d+\\]: Trusted TLS connection .* ${from}\\[`));
    }
  });

  test('the second relay takes it while the first is down', async () => {
    const [first, second] = lab.relays;
    await first.exec(['postfix', 'stop']);
    for (const home of lab.homes) {
      const mail = await deliver(home, lab.outside);
      expect(mail).toMatch(/by relayhost2\.example\.org \(Postfix\)/);
      await home.waitForLog(/Verified TLS connection established to relayhost2\.example\.org\S*:2500: /);
    }
    expect(await second?.mailLog()).toContain('Trusted TLS connection established from mailhost2.example.org');
    await first.exec(['postfix', 'start']);
    expect(await deliver(lab.homes[0], lab.outside)).toContain('by relayhost.example.org (Postfix)');
  });

  test('no host logs a warning', async () => {
    for (const host of [...lab.relays, ...lab.homes]) {
      const warnings = (await host.readFile('/var/log/mail.log'))
        .split('\n')
        .filter((line) => /warning|error|fatal|backwards-compatible|legacy/.test(line))
        // The machine's own clocks, a tick apart.
        .filter((line) => !/file system clock is 1 seconds ahead|resetting file time stamps/.test(line));
      expect(warnings).toEqual([]);
    }
  });
});
