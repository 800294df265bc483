// The script over time: run again, undone, after somebody else's edits, with another port, with one more client.

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
const otherPort = { smtpdServers: [{ hostname: 'relayhost', port: 2600 }] };
/** The second of them is no host of the lab: only its files matter. */
const twoHomes = { smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost3' }] };
const threeHomes = { smtpClients: [...twoHomes.smtpClients, { hostname: 'mailhost2' }] };

/** The lines that postconf prints, sorted, and with one space where it aligns columns. */
async function postconf(host: MailHost, option: '-n' | '-M'): Promise<readonly string[]> {
  const { stdout } = await host.exec(['postconf', option]);
  return stdout.replace(/ +/g, ' ').trimEnd().split('\n').toSorted();
}

/** For the relay and the home at once. */
async function both(each: (host: MailHost) => Promise<unknown>): Promise<void> {
  await Promise.all([relay, home].map(each));
}

/** Which of the relay's two ports are open. */
async function listeners(): Promise<readonly string[]> {
  const { stdout } = await relay.exec(['ss', '-Hlt4n', 'sport = :2500 or sport = :2600']);
  return [...stdout.matchAll(/:(2[56]00) /g)].map(([, port = '']) => port);
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 2 });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  const hosts = [relay, ...lab.homes];
  stock = new Map(await Promise.all(hosts.map(async (host) => [host, await contentOf(host)] as const)));
  await desk.make({ ...oneRelay, ...twoHomes });
  await desk.install(relay, home);
});
afterAll(() => lab.stop());

describe('the script again', () => {
  test('a second run has nothing to change, and touches nothing', async () => {
    await both(async (host) => {
      const before = await configurationOf(host);
      await host.markLog();
      const { code, stdout, stderr } = await desk.script(host);
      expect(stdout).toContain(`relaycerts: nothing to change on ${host.hostname}: `);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(await configurationOf(host)).toBe(before);
      expect(await host.mailLog()).toBe('');
    });
  });

  test('another port in the settings: the old service goes, the new relays', async () => {
    await desk.make({ ...otherPort, ...twoHomes });
    await desk.install(relay, home);
    expect((await relay.exec(['postconf', '-M', '2500/inet'])).stdout).toBe('');
    expect(await listeners()).toEqual(['2600']);
    await deliver(home, lab.outside);
    await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2600: /);
  });

  test('one more client: only its bundle and the table are new; both relay', async () => {
    const [, third] = lab.homes;
    if (third === undefined) throw new TypeError('the lab has two homes');
    const old = `find certs hosts -type f ! -name issued.jsonl ! -name relay_clientcerts ! -name 'mailhost2*' -exec sha256sum {} +`;
    const [files, homeBefore] = [(await desk.run(old)).stdout, await configurationOf(home)];
    expect(files).toContain('mailhost3.example.org.key.pem');
    await desk.make({ ...otherPort, ...threeHomes });
    expect((await desk.run(`${old} | grep -v hosts/mailhost2`)).stdout).toBe(files);

    await desk.copy(relay);
    const [{ stdout }] = await Promise.all([desk.script(relay), desk.install(third)]);
    expect(stdout).toContain('relaycerts: Postfix on relayhost.example.org picked up the new bundle: ');
    await deliver(third, lab.outside);
    await relay.waitForLog(/Trusted TLS connection established from mailhost2\.example\.org/);
    await deliver(home, lab.outside);
    expect(await configurationOf(home)).toBe(homeBefore);
  });

  test('--undo restores bytes, owner and mode; a second one has nothing to do', async () => {
    await both(async (host) => {
      const undone = await desk.script(host, '--undo');
      expect(undone.stderr).toBe('');
      expect(undone.stdout).toContain(`relaycerts: ${host.hostname} is as it was before`);
      expect(undone.code).toBe(0);
      expect(await contentOf(host)).toBe(stock.get(host));
      expect((await host.sh('ls -A /etc/postfix/relaycerts/example.org | grep -c pem')).stdout).toBe('4\n');

      const before = await configurationOf(host);
      const again = await desk.script(host, '--undo');
      expect(again.stdout).toContain(`relaycerts: nothing to undo on ${host.hostname}`);
      expect(again.code).toBe(0);
      expect(await configurationOf(host)).toBe(before);
    });
    expect(await listeners()).toEqual([]);
  });
});

describe("--undo after somebody else's edits", () => {
  const providers = 'relayhost = [smtp.example.net]:587';
  /** What `postconf -n` prints of the home host, with another relayhost. */
  const withRelayhost = (parameters: readonly string[]) =>
    [...parameters.filter((line) => !line.startsWith('relayhost =')), providers].toSorted();

  test('theirs stay, ours go, and what was there before is back', async () => {
    const [parameters, services] = [await postconf(home, '-n'), await postconf(relay, '-M')];
    await desk.install(relay, home);
    await home.sh('echo "# kept" >> /etc/postfix/main.cf');
    await home.setMainCf({ message_size_limit: '12345678', relayhost: '[smtp.example.net]:587' });
    await relay.exec(['postconf', '-M', 'submission/inet=submission inet n - y - - smtpd']);

    const [ofHome, ofRelay] = await Promise.all([desk.script(home, '--undo'), desk.script(relay, '--undo')]);
    expect(ofHome.stderr).toBe(
      'relaycerts: warning: relayhost was changed after the installation, so it stays as it is\n',
    );
    expect([ofHome.code, ofRelay.code]).toEqual([0, 0]);
    expect(await postconf(home, '-n')).toEqual(withRelayhost([...parameters, 'message_size_limit = 12345678']));
    expect(await home.readFile('/etc/postfix/main.cf')).toContain('\n# kept\n');
    expect(await postconf(relay, '-M')).toEqual([...services, 'submission inet n - y - - smtpd'].toSorted());
  });

  test('--undo restores what a later run found, and nothing of ours stays', async () => {
    await both((host) => host.restorePostfix());
    const [parameters, services] = [await postconf(home, '-n'), await postconf(relay, '-M')];
    await desk.install(relay, home);
    const transports = await postconf(home, '-M');
    await home.setMainCf({ message_size_limit: '12345678', relayhost: '[smtp.example.net]:587' });
    await home.exec(['postconf', '-P', 'relaycerts/unix/smtp_tls_security_level=may']);
    await relay.exec(['postconf', '-M', '2525/inet=2525 inet n - y - - smtpd']);
    await relay.exec(['postconf', '-P', '2600/inet/smtpd_tls_loglevel=2']);
    await both((host) => desk.script(host));
    expect((await home.exec(['postconf', '-h', 'relayhost'])).stdout).toBe('[relayhost.example.org]:2600\n');
    expect(await postconf(home, '-M')).toEqual(transports);
    await both(async (host) => {
      expect((await desk.script(host, '--undo')).code).toBe(0);
    });
    expect(await postconf(home, '-n')).toEqual(withRelayhost([...parameters, 'message_size_limit = 12345678']));
    expect(await postconf(relay, '-M')).toEqual([...services, '2525 inet n - y - - smtpd'].toSorted());
  });

  test('--undo restores a main.cf that was rewritten meanwhile, byte by byte', async () => {
    await home.restorePostfix();
    await desk.install(home);
    await home.restorePostfix();
    await home.setMainCf({ relayhost: '[smtp.example.net]:587' });
    // Without a newline at its end.
    await home.sh('printf %s "# last line" >> /etc/postfix/main.cf');
    const anew = await home.readFile('/etc/postfix/main.cf');
    await desk.install(home);
    expect((await home.exec(['postconf', '-h', 'default_transport'])).stdout).toBe('relaycerts\n');
    expect((await desk.script(home, '--undo')).code).toBe(0);
    expect(await home.readFile('/etc/postfix/main.cf')).toBe(anew);
  });
});

/** Installs the machine under a name in the settings, with the two printed lines. */
const installAs = (host: string, at: MailHost): Promise<unknown> =>
  desk.run(
    `relaycerts show ${host} --section rsync --format sh | sh && relaycerts show ${host} --format sh | ssh root@${at.hostname} sh`,
  );
const undoAs = (host: string, at: MailHost): Promise<unknown> =>
  desk.run(`relaycerts show ${host} --format sh --undo | ssh root@${at.hostname} sh`);

describe('another name in the settings', () => {
  const newRelay = { smtpdServers: [{ hostname: 'newrelay', sshHost: 'relayhost.example.org' }] };
  const oneHome = { smtpClients: [{ hostname: 'mailhost' }] };
  const newHome = { smtpClients: [{ hostname: 'newhome', sshHost: 'mailhost.example.org' }] };
  test('of the same machine: it takes the old one over, and undo undoes both', async () => {
    await both((host) => host.restorePostfix());
    const before = await Promise.all([relay, home].map(contentOf));
    await desk.make({ ...oneRelay, ...oneHome });
    await desk.install(relay, home);
    await desk.make({ ...newRelay, ...newHome });
    await installAs('newrelay', relay);
    await installAs('newhome', home);
    for (const host of [relay, home]) {
      const configuration = await contentOf(host);
      const [now, old] = host === relay ? ['newrelay', 'relayhost'] : ['newhome', 'mailhost'];
      expect(configuration).toContain(`${now}.example.org.chain.pem`);
      expect(configuration).not.toContain(`${old}.example.org.chain.pem`);
    }
    expect(await listeners()).toEqual(['2500']);
    await undoAs('newrelay', relay);
    await undoAs('newhome', home);
    expect(await Promise.all([relay, home].map(contentOf))).toEqual(before);
    expect(await listeners()).toEqual([]);
  });

  test("of another machine: the old relay is open until make's steps are done", async () => {
    await relay.restorePostfix();
    const before = await contentOf(relay);
    // On a port that nothing here knows, once the relay is no longer in the settings.
    await desk.make({ smtpdServers: [{ ...oneRelay.smtpdServers[0], port: 2600 }], ...oneHome });
    await desk.install(relay, home);
    await deliver(home, lab.outside);
    await desk.settings({ smtpdServers: [{ hostname: 'newrelay' }], ...oneHome });
    const { stderr } = await desk.run('relaycerts make');
    expect(stderr).toContain(
      'relayhost.example.org is no longer in the settings: until its configuration is undone there, its port',
    );
    expect(await listeners()).toEqual(['2600']);
    const { code } = await desk.script(relay, '--undo');
    expect(code).toBe(0);
    expect(await listeners()).toEqual([]);
    expect(await contentOf(relay)).toBe(before);
    for (const [, remove = ''] of stderr.matchAll(/: (relaycerts remove \S+)$/gmu)) await desk.run(remove);
    expect((await desk.run('relaycerts make')).stderr).not.toContain('no longer');
  });

  test('in the other role: the old service goes, and undo leaves nothing', async () => {
    await both((host) => host.restorePostfix());
    const before = await Promise.all([relay, home].map(contentOf));
    const [one, two] = [relay, home].map((host, at) => ({ hostname: `both${at}`, sshHost: host.hostname }));
    await desk.make({ smtpdServers: [one], smtpClients: [two] });
    await Promise.all([installAs('both0', relay), installAs('both1', home)]);
    expect(await listeners()).toEqual(['2500']);
    await desk.make({ smtpdServers: [two], smtpClients: [one] });
    await Promise.all([installAs('both0', relay), installAs('both1', home)]);
    expect(await listeners()).toEqual([]);
    expect((await home.exec(['postconf', '-M', 'relaycerts/unix'])).stdout).toBe('');
    await Promise.all([undoAs('both0', relay), undoAs('both1', home)]);
    expect(await Promise.all([relay, home].map(contentOf))).toEqual(before);
  });
});
