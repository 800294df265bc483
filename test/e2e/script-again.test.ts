// The script over time: run again, taken back, after somebody else's edits, with another port, with one more client.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, configurationOf, contentOf, deliver } from './lab/operator.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let stock: ReadonlyMap<MailHost, string>;

const oneRelay = { smtpdServers: [{ hostname: 'relayhost' }] };
const twoHomes = { smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }] };
const threeHomes = { smtpClients: [...twoHomes.smtpClients, { hostname: 'mailhost3' }] };

/** The lines that postconf prints, sorted, and with one space where it aligns columns. */
async function postconf(host: MailHost, option: '-n' | '-M'): Promise<readonly string[]> {
  const { stdout } = await host.exec(['postconf', option]);
  return stdout.replace(/ +/g, ' ').trimEnd().split('\n').sort();
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 3 });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  const hosts = [relay, ...lab.homes];
  stock = new Map(await Promise.all(hosts.map(async (host) => [host, await contentOf(host)] as const)));
  await desk.make({ ...oneRelay, ...twoHomes });
  await desk.install(relay, home);
}, 60_000);
afterAll(() => lab.stop());

describe('the script again', { timeout: 60_000 }, () => {
  test('a second run says that there is nothing to change, and touches nothing', async () => {
    for (const host of [relay, home]) {
      const before = await configurationOf(host);
      await host.markLog();
      const { code, stdout, stderr } = await desk.script(host);
      expect(stdout).toContain(`relaycerts: nothing to change on ${host.hostname}: `);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(await configurationOf(host)).toBe(before);
      expect(await host.mailLog()).toBe('');
    }
  });

  test('another port in the settings: the old service goes, the new one relays', async () => {
    await desk.make({ smtpdServers: [{ hostname: 'relayhost', port: 2600 }], ...twoHomes });
    await desk.install(relay, home);
    expect((await relay.exec(['postconf', '-M', '2500/inet'])).stdout).toBe('');
    const { stdout } = await relay.exec(['ss', '-Hltn', 'sport = :2500 or sport = :2600']);
    expect(stdout).toContain(':2600');
    expect(stdout).not.toContain(':2500');
    await deliver(home, lab.outside);
    await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2600: /);
    await desk.make({ ...oneRelay, ...twoHomes });
    await desk.install(relay, home);
    await deliver(home, lab.outside);
    await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
  });

  test('one more client: its bundle and the table are all that is new, and both clients relay', async () => {
    const [, , third] = lab.homes;
    if (third === undefined) throw new TypeError('the lab has three homes');
    const others = `find certs hosts -type f -exec sha256sum {} + | grep -Ev 'mailhost3|ledger|issued|relay_clientcerts' | sort`;
    const [files, homeBefore] = [(await desk.run(others)).stdout, await configurationOf(home)];
    expect(files).toContain('mailhost2.example.org.key.pem');
    await desk.make({ ...oneRelay, ...threeHomes });
    expect((await desk.run(others)).stdout).toBe(files);

    await desk.copy(relay);
    const { stdout } = await desk.script(relay);
    expect(stdout).toContain('relaycerts: Postfix on relayhost.example.org took up the new bundle: ');
    await desk.install(third);
    await deliver(third, lab.outside);
    await relay.waitForLog(/Trusted TLS connection established from mailhost3\.example\.org/);
    await deliver(home, lab.outside);
    expect(await configurationOf(home)).toBe(homeBefore);
  });

  test('--undo gives back the bytes, owner and mode of before, and the second time has nothing to do', async () => {
    for (const host of [relay, home]) {
      const undone = await desk.script(host, '--undo');
      expect(undone.stderr).toBe('');
      expect(undone.stdout).toContain(`relaycerts: ${host.hostname} is as it was before`);
      expect(undone.code).toBe(0);
      expect(await contentOf(host)).toBe(stock.get(host));
      expect((await host.sh('ls -A /etc/postfix/relaycerts | grep -c pem')).stdout).toBe('4\n');

      const before = await configurationOf(host);
      const again = await desk.script(host, '--undo');
      expect(again.stdout).toContain(`relaycerts: nothing to undo on ${host.hostname}`);
      expect(again.code).toBe(0);
      expect(await configurationOf(host)).toBe(before);
    }
    expect((await relay.exec(['ss', '-Hltn', 'sport = :2500'])).stdout).toBe('');
  });
});

describe("--undo after somebody else's edits", { timeout: 60_000 }, () => {
  beforeAll(() => lab.restore());

  test('at home: theirs stay, ours go, and what was there before is back', async () => {
    const before = await postconf(home, '-n');
    expect(before).toContain('smtp_tls_CApath = /etc/ssl/certs');
    await desk.install(home);
    await home.sh('echo "# kept" >> /etc/postfix/main.cf');
    await home.setMainCf({ message_size_limit: '12345678', smtp_tls_loglevel: '2' });
    const { code, stdout, stderr } = await desk.script(home, '--undo');
    expect(stderr).toBe('relaycerts: warning: smtp_tls_loglevel was changed since; it stays as it is\n');
    expect(stdout).toContain('is as it was before');
    expect(code).toBe(0);
    const theirs = ['message_size_limit = 12345678', 'smtp_tls_loglevel = 2'];
    expect(await postconf(home, '-n')).toEqual([...before, ...theirs].sort());
    expect(await home.readFile('/etc/postfix/main.cf')).toContain('\n# kept\n');
  });

  test('at the relay: their service stays, ours goes', async () => {
    const before = await postconf(relay, '-M');
    await desk.install(relay);
    await relay.exec(['postconf', '-M', 'submission/inet=submission inet n - y - - smtpd']);
    expect((await desk.script(relay, '--undo')).code).toBe(0);
    expect(await postconf(relay, '-M')).toEqual([...before, 'submission inet n - y - - smtpd'].sort());
  });

  test('and so after the script was run again meanwhile', async () => {
    await lab.restore();
    const [settings, services] = [await postconf(home, '-n'), await postconf(relay, '-M')];
    await desk.install(relay, home);
    await home.setMainCf({ message_size_limit: '12345678', smtp_tls_loglevel: '2' });
    await relay.exec(['postconf', '-M', '2525/inet=2525 inet n - y - - smtpd']);
    await relay.exec(['postconf', '-P', '2500/inet/smtpd_tls_loglevel=2']);
    await desk.install(relay, home);
    expect((await home.exec(['postconf', '-h', 'smtp_tls_loglevel'])).stdout).toBe('1\n');
    expect((await desk.script(home, '--undo')).code).toBe(0);
    expect((await desk.script(relay, '--undo')).code).toBe(0);
    expect(await postconf(home, '-n')).toEqual([...settings, 'message_size_limit = 12345678'].sort());
    expect(await postconf(relay, '-M')).toEqual([...services, '2525 inet n - y - - smtpd'].sort());
  });
});
