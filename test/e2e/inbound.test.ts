// Mail from the world on its way home: the outside MX hands it to a relay's port 25, which takes it home over TLS that
// both sides check. Nothing that is wrong on the way makes mail bounce, and no recipient is accepted who does not exist.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { unasked } from '../support/now-run.js';
import { startBind } from '../support/name-server.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { findAll } from './lab/check.js';
import type { CheckFinding } from './lab/check.js';
import { patienceMs } from './lab/machine.js';
import { authenticity } from './lab/dkim.js';
import type { MailHost, OutsideMx } from './lab/mail-host.js';
import { Desk, contentOf, deliver } from './lab/operator.js';

const hosts = {
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }],
};
const listed = { ...hosts, inbound: { home: 'mailhost', recipients: ['ann@example.org', 'gone@example.org'] } };
/** With other tables and pins besides. */
const asked = { ...hosts, inbound: { home: 'mailhost' }, postfix: { tableType: 'hash', pin: 'certificate' } };

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let outside: OutsideMx;
const mydestination = 'example.org, mailhost.example.org, localhost';
const before = new Map<MailHost, string>();
let accounts = '';
let count = 0;

async function deploy(): Promise<string> {
  const { code, stdout, stderr } = await desk.run('relaycerts deploy --yes', true);
  expect(code, stdout + stderr).toBe(0);
  return stdout + stderr;
}

/** Sends a mail from the world to an address at home; resolves with its subject. */
async function sendHome(to = 'ann@example.org'): Promise<string> {
  const subject = `inbound ${++count}`;
  await outside.sendMail({ from: 'bob@example.net', to, subject });
  return subject;
}

/** Waits until home has a mail, as its mailbox shows. */
async function waitAtHome(subject: string, flush = () => relay.flushQueue()): Promise<string> {
  for (const end = Date.now() + patienceMs; Date.now() < end;) {
    const text = await home.machine.peek('/var/mail/admin');
    if (text.includes(`Subject: ${subject}\n`)) return text;
    await flush();
    await home.sh('sleep 0.3');
  }
  throw new Error(`${subject} did not arrive: ${await relay.mailLog()}\n${await home.mailLog()}`);
}

/** What a relay's port 25 answers to RCPT, for a mail from outside. */
async function rcpt(to: string): Promise<string> {
  const argv = ['swaks', '--server', relay.hostname, '--from', 'bob@example.net', '--to', to, '--quit-after', 'RCPT'];
  // If home is asked, a slow answer is there the next time.
  const inProgress = /address verification in progress/iu;
  let stdout = '';
  for (const end = Date.now() + patienceMs; stdout === '' || (inProgress.test(stdout) && Date.now() < end);) {
    ({ stdout } = await outside.exec(argv, { anyExit: true }));
  }
  return /^ -> RCPT TO.*\n<[-*~ ]+ (.*)$/mu.exec(stdout)?.[1] ?? stdout;
}

/** What the service at home answers to a mail from the world. */
async function talk(host: MailHost, words: readonly string[]): Promise<string> {
  const argv = ['swaks', '--server', 'mailhost.example.org', '--port', '2525', '--from', 'bob@example.net'];
  const rest = ['--to', 'ann@example.org', ...words, '--quit-after', 'RCPT'];
  const { stdout, stderr } = await host.exec([...argv, ...rest], { anyExit: true });
  return stdout + stderr;
}

/** What the tunnel changes on a relay besides Postfix. */
async function accountsOf(host: MailHost): Promise<string> {
  const files = `find . -type f | sort | xargs stat -c '%n %U:%G %a'; find . -type f | sort | xargs sha256sum`;
  return (await host.sh(`cd /etc/ssh; sha256sum ../passwd ../shadow ../group ../gshadow; ${files}`)).stdout;
}

/** Whether home's port is open at the relay. */
const isTunnelOpen = async () => (await relay.exec(['ss', '-Hltn', 'sport = :2525'])).stdout !== '';

/** sshd of the relay may have been told to start again, and does not listen then. */
async function openTunnel(): Promise<void> {
  await relay.sh("until ss -Hltn 'sport = :22' | grep -q .; do sleep 0.02; done");
  await home.sh(`ssh ${await tunnelArguments()} > /var/log/tunnel.log 2>&1 < /dev/null &`);
  await expect.poll(isTunnelOpen, { timeout: patienceMs }).toBe(true);
}

/** What check finds on the two hosts, without the DNS: ids with their hosts, sorted. */
async function found(): Promise<{ readonly ids: readonly string[]; readonly all: readonly CheckFinding[] }> {
  const all = await findAll(desk, 'relayhost mailhost');
  return { ids: all.map(({ id, host }) => `${id} ${host?.split('.')[0]}`).toSorted(), all };
}

/** Puts faults in, expects check to find them, and runs the cures of all that have a command; what is left comes back. */
async function cure(
  faults: readonly (readonly [host: MailHost, script: string])[],
  ids: readonly string[],
): Promise<readonly string[]> {
  for (const [host, script] of faults) await host.sh(`{ ${script}\n} >/dev/null 2>&1`);
  for (const host of new Set(faults.map(([one]) => one))) {
    await host.settleMainCf();
    await host.reload();
  }
  const { ids: all, all: findings } = await found();
  expect(all).toEqual(expect.arrayContaining(ids.toSorted()));
  const commands = new Set(
    findings.flatMap((one) => one.cure.filter(({ kind }) => kind === 'command')).map(({ text }) => text),
  );
  for (const text of commands) await desk.run(unasked(text));
  for (const host of [relay, home]) await host.settleMainCf();
  return (await found()).ids;
}

/** The arguments of ssh that are printed for a home without systemd. */
async function tunnelArguments(): Promise<string> {
  const text = await desk.show('mailhost.example.org --section tunnel');
  return /autossh -M 0 (.*)$/mu.exec(text)?.[1] ?? '';
}

beforeAll(async () => {
  requireTools('openssl', 'swaks', 'opendkim');
  lab = await startLab({ relays: 1, homes: 2, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  outside = lab.outside;
  desk = new Desk(lab.operator);
  await home.setMainCf({ mydestination });
  await home.sh(`echo 'ann: admin' >> /etc/aliases; newaliases`);
  await home.reload();
  await outside.setMainCf({ transport_maps: 'inline:{example.org=smtp:[relayhost.example.org]}' });
  await outside.reload();
  for (const host of [relay, home]) before.set(host, await contentOf(host));
});
afterAll(() => lab.stop());

describe('with a list of recipients', () => {
  test('mail from the world arrives at home, and home still sends', async () => {
    await desk.make(listed);
    await deploy();
    await waitAtHome(await sendHome());
    expect(await home.mailLog()).toMatch(/postfix\/relaycerts_in\/smtpd\[\d+\]: Trusted TLS connection established/u);
    expect(await relay.mailLog()).toMatch(
      /postfix\/relaycerts_home\/smtp\[\d+\]: Verified TLS connection established/u,
    );
    await deliver(home, outside);
  });

  test('the scripts change nothing when they run again', async () => {
    for (const host of [relay, home]) {
      const { stdout, stderr } = await desk.script(host);
      expect(stdout, stderr).toMatch(/^relaycerts: nothing to change on/mu);
    }
  });

  test('check names a recipient that home does not know, and nothing else', async () => {
    const { ids, all } = await found();
    expect(ids, JSON.stringify(all)).toEqual(['inbound-unknown-recipient mailhost']);
    expect(all[0]?.message).toContain('gone@example.org');
  });

  test('check finds what the lists and limits of both hosts make of mail', async () => {
    const put = `postconf -e "mydestination = $(postconf -h mydestination), example.org" message_size_limit=20480000 recipient_delimiter= \\
      smtp_helo_name=vps.example.net \\
      smtpd_reject_unlisted_recipient=no "relay_recipient_maps = $(postconf -h relay_recipient_maps), inline:{@example.org=x}" \\
      "transport_maps = inline:{example.org=smtp:[192.0.2.9]}, $(postconf -h transport_maps)"
      postconf -P smtp/inet/relay_domains=example.com`;
    const left = await cure(
      [[relay, put]],
      [
        'helo-differs relayhost',
        'inbound-accepts-all relayhost',
        'inbound-catch-all relayhost',
        'inbound-delimiter relayhost',
        'inbound-domain-here relayhost',
        'inbound-overridden relayhost',
        'inbound-route relayhost',
        'inbound-size relayhost',
        'inbound-unknown-recipient mailhost',
      ],
    );
    expect(left).toEqual([
      'inbound-catch-all relayhost',
      'inbound-route relayhost',
      'inbound-unknown-recipient mailhost',
    ]);
    const refused = await desk.script(relay);
    expect(refused.stderr).toContain(
      'relay_recipient_maps on relayhost.example.org has @example.org: port 25 would accept',
    );
    expect(refused.code).toBe(1);
    await relay.sh('postconf -X relay_recipient_maps transport_maps');
    await desk.script(relay);
    await home.sh("echo 'gone: admin' >> /etc/aliases; newaliases");
    expect((await found()).ids).toEqual([]);
  });

  test('check tries the way home, and who else has it', async () => {
    const left = await cure(
      [
        [relay, 'postconf -e "relay_domains = $(postconf -h relay_domains), other.example"'],
        [home, "postconf -e 'mydestination = mailhost.example.org, localhost'"],
      ],
      ['inbound-deferred mailhost', 'inbound-not-held mailhost', 'inbound-refuses-others relayhost'],
    );
    expect(left).toEqual(['inbound-refuses-others relayhost']);
    await relay.sh('postconf -e "relay_domains = $(postconf -h relay_domains | sed s/,.other.example//)"');
    await home.setMainCf({ mydestination });
    const open = `postconf -P 2525/inet/smtpd_client_restrictions= \\
      2525/inet/smtpd_relay_restrictions=permit_tls_clientcerts,defer_unauth_destination`;
    expect(await cure([[home, open]], ['inbound-open mailhost', 'open-relay mailhost'])).toEqual([]);
    await home.exec(['postfix', 'stop']);
    expect((await found()).ids).toEqual(['connection-refused mailhost', 'postfix-stopped mailhost']);
    await home.exec(['postfix', 'start']);
    await home.sh("sed -i '/^gone:/d' /etc/aliases; newaliases");
    await Promise.all([relay.emptyLog(), home.emptyLog()]);
  });

  test('an unknown recipient is refused while the sender is there', async () => {
    expect(await rcpt('stranger@example.org')).toMatch(/^550 5\.1\.1 /u);
    expect(await rcpt('ann@example.org')).toMatch(/^250 /u);
    expect(await rcpt('postmaster@example.org')).toMatch(/^250 /u);
    for (const to of ['bob@example.com', 'ann@mailhost.example.org']) {
      expect(await rcpt(to)).toMatch(/^454 4\.7\.1 .*Relay access denied/u);
    }
  });
});

describe('what goes wrong waits, and arrives later', () => {
  test('home is away', async () => {
    await home.exec(['postfix', 'stop']);
    const subject = await sendHome();
    expect(await relay.waitForDeferred()).toMatch(/Connection refused/u);
    await home.exec(['postfix', 'start']);
    await waitAtHome(subject);
  });

  test('a stranger who refuses everything is at the address of home', async () => {
    await home.sh(
      'postconf -P 2525/inet/smtpd_tls_security_level=none 2525/inet/smtpd_client_restrictions=reject 2525/inet/smtpd_delay_reject=no',
    );
    await home.reload();
    const subject = await sendHome();
    expect(await relay.waitForDeferred()).toMatch(/554|TLS is required/u);
    expect(await relay.mailLog()).not.toMatch(/status=bounced/u);
    await desk.script(home);
    await waitAtHome(subject);
    await relay.emptyLog();
  });

  test('home does not list the pin of the relay', async () => {
    await home.sh("sed -i '/^[0-9A-F]/d' /etc/postfix/relaycerts/example.org/relay_clientcerts_in");
    await home.reload();
    const subject = await sendHome();
    expect(await relay.waitForDeferred()).toMatch(/said: 450 4\.3\.2 .*Client host rejected: Try again later/u);
    expect((await found()).ids).toEqual(['inbound-deferred mailhost', 'table-differs mailhost']);
    await desk.install(home);
    await waitAtHome(subject);
    await Promise.all([relay.emptyLog(), home.emptyLog()]);
  });

  test('home no longer holds the domain: no loop, and the script says so', async () => {
    await home.sh("postconf -e 'mydestination = mailhost.example.org, localhost'");
    await home.reload();
    const subject = await sendHome();
    expect(await relay.waitForDeferred()).toMatch(/said: 454 4\.7\.1 .*Relay access denied/u);
    const { code, stderr } = await desk.script(home);
    expect(code).toBe(1);
    const command = /(postconf -e 'mydestination = .*')$/mu.exec(stderr)?.[1] ?? '';
    await home.sh(command);
    await home.reload();
    await waitAtHome(subject);
    await home.setMainCf({ mydestination });
    await home.reload();
  });

  test('a recipient that the list has and home does not', async () => {
    await sendHome('gone@example.org');
    expect(await relay.waitForDeferred()).toMatch(/User unknown/u);
    expect(await relay.mailLog()).not.toMatch(/status=bounced/u);
    await relay.exec(['postsuper', '-d', 'ALL']);
    await Promise.all([relay.emptyLog(), home.emptyLog()]);
  });
});

describe('nobody else', () => {
  test('may hand mail to the service at home, not even another client of the CA', async () => {
    const other = lab.homes[1] ?? home;
    const own = `/etc/postfix/relaycerts/example.org/${other.hostname}`;
    expect(await talk(other, [])).toMatch(/530 5\.7\.0 Must issue a STARTTLS/u);
    expect(await talk(other, ['--tls'])).toMatch(/No client certificate presented/u);
    expect(await talk(other, ['--tls', '--tls-cert', `${own}.crt.pem`, '--tls-key', `${own}.key.pem`])).toMatch(
      /450 4\.3\.2 .*Try again later/u,
    );
    await home.emptyLog();
  });

  test('is relayed for by it: a relay may only reach the domains of home', async () => {
    const own = `/etc/postfix/relaycerts/example.org/${relay.hostname}`;
    const argv = [
      'swaks',
      '--server',
      'mailhost.example.org',
      '--port',
      '2525',
      '--from',
      'ann@example.org',
      '--to',
      'bob@example.net',
    ];
    const tls = ['--tls', '--tls-cert', `${own}.crt.pem`, '--tls-key', `${own}.key.pem`, '--quit-after', 'RCPT'];
    expect((await relay.exec([...argv, ...tls], { anyExit: true })).stdout).toMatch(
      /454 4\.7\.1 .*Relay access denied/u,
    );
  });
});

describe('when home is asked for each recipient', () => {
  test('known ones arrive, unknown ones are refused at once', async () => {
    await desk.make(asked);
    await deploy();
    await waitAtHome(await sendHome());
    expect(await rcpt('stranger@example.org')).toMatch(/^550 5\.1\.1 /u);
    // Nobody asked for subdomains.
    expect(await rcpt('ann@mailhost.example.org')).toMatch(/^454 4\.7\.1 .*Relay access denied/u);
  });

  test('check finds what keeps home from being asked', async () => {
    const put = `postconf -MX verify/unix; postconf -P 'smtp/inet/smtpd_recipient_restrictions=permit'
      postconf -e 'relay_recipient_maps = inline:{other=x}'`;
    const ids = ['inbound-no-verify relayhost', 'inbound-overridden relayhost', 'inbound-refuses relayhost'];
    expect(await cure([[relay, put]], ids)).toEqual([]);
    await relay.sh('postconf -X relay_recipient_maps; postconf -e smtpd_data_restrictions=reject_unverified_recipient');
    expect((await desk.script(relay)).stderr).toMatch(
      /unverified_recipient_reject_code = 550 .*, so also to smtpd_data_restrictions:/u,
    );
    await relay.sh('postconf -X smtpd_data_restrictions');
    await relay.settleMainCf();
    await relay.reload();
  });

  test('while home is down, only what is not known yet has to wait', async () => {
    await home.exec(['postfix', 'stop']);
    expect(await rcpt('ann@example.org')).toMatch(/^250 /u);
    expect(await rcpt('postmaster@example.org')).toMatch(/^450 /u);
    const subject = await sendHome();
    await home.exec(['postfix', 'start']);
    await waitAtHome(subject);
  });
});

describe('through the tunnel', () => {
  const tunnelled = { ...hosts, inbound: { ...listed.inbound, via: 'tunnel' } };

  test('nothing is installed if sshd would not use the limits of the account', async () => {
    accounts = await accountsOf(relay);
    await desk.make(tunnelled);
    await desk.copy(relay);
    const { code, stderr } = await desk.script(relay);
    expect(code).toBe(1);
    expect(stderr).toMatch(/sshd would not use ".*" for relaycerts-tunnel/u);
    expect(await accountsOf(relay)).toBe(accounts);
  });

  test('deploy sets it up, and mail arrives at home, whose port nobody else reaches', async () => {
    await relay.sh(
      `sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config; kill -HUP $(cat /run/sshd.pid)`,
    );
    accounts = await accountsOf(relay);
    expect(await deploy()).toMatch(/systemd does not run on mailhost\.example\.org/u);
    expect((await found()).ids).toContain('tunnel-stopped mailhost');
    await openTunnel();
    await waitAtHome(await sendHome());
    expect((await found()).ids).toEqual(['inbound-unknown-recipient mailhost']);
    expect(await talk(relay, [])).toMatch(/Connection refused/u);
    expect(await talk(relay, ['--server', '127.0.0.1', '--tls'])).toMatch(/No client certificate presented/u);
    await Promise.all([relay.emptyLog(), home.emptyLog()]);
  });

  test.each([
    ['a connection to port 25 of the relay', '-W 127.0.0.1:25 TARGET', 'administratively prohibited'],
    ['a connection to our port', '-W 127.0.0.1:2500 TARGET', 'administratively prohibited'],
    ['a connection to another host', '-W mx.example.net:25 TARGET', 'administratively prohibited'],
    ['another port', '-N -o ExitOnForwardFailure=yes -R 127.0.0.1:2526:127.0.0.1:25 TARGET', 'forwarding failed'],
    ['every address', '-N -o ExitOnForwardFailure=yes -R 0.0.0.0:2527:127.0.0.1:25 TARGET', 'forwarding failed'],
    ['any port', '-N -o ExitOnForwardFailure=yes -R 127.0.0.1:0:127.0.0.1:25 TARGET', 'forwarding failed'],
    ['a socket to listen on', '-N -o ExitOnForwardFailure=yes -R /tmp/s:127.0.0.1:25 TARGET', 'forwarding failed'],
    ['a shell', 'TARGET id', 'open failed'],
    ['a terminal', '-tt TARGET id', 'open failed'],
    ['an agent', '-A TARGET ssh-add -l', 'open failed'],
    ['X11', '-X TARGET xterm', 'open failed'],
    ['sftp', '-s TARGET sftp', 'open failed'],
    ['a network device', '-o Tunnel=ethernet -w any:any -N -o ExitOnForwardFailure=yes TARGET', 'unnel|open failed'],
  ])('its key opens nothing else: %s', async (_, words, refusal) => {
    const args = await tunnelArguments();
    const target = args.split(' ').at(-1) ?? '';
    const own = args
      .replace(/ -R .*$/u, '')
      .replace(' -N', '')
      .replace('PermitLocalCommand=yes', 'PermitLocalCommand=no');
    const command = `timeout 120 ssh ${own} ${words.replace('TARGET', target)} < /dev/null`;
    const { code, stdout, stderr } = await home.exec(['sh', '-c', command], { anyExit: true });
    // 124: it was still open after two minutes.
    expect([0, 124]).not.toContain(code);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(refusal, 'u'));
  });

  test('its key opens no way to anything at the relay', async () => {
    const args = await tunnelArguments();
    const own = args.replace(/ -R .*$/u, '').replace('PermitLocalCommand=yes', 'PermitLocalCommand=no');
    const ways = '-L 127.0.0.1:10025:127.0.0.1:25 -L 127.0.0.1:10026:/var/spool/postfix/public/showq';
    await home.sh(`ssh -f ${own} ${ways} ${args.split(' ').at(-1) ?? ''} > /dev/null 2>&1`);
    for (const port of [10025, 10026]) {
      const argv = ['swaks', '--server', '127.0.0.1', '--port', String(port), '--quit-after', 'CONNECT'];
      const { code, stdout } = await home.exec(argv, { anyExit: true });
      expect([code === 0, /^<.. 220/mu.test(stdout)], stdout).toEqual([false, false]);
    }
  });

  test('mail that waited while home was away comes as soon as the tunnel is up again', async () => {
    await home.sh('pkill -x ssh');
    await expect.poll(isTunnelOpen, { timeout: patienceMs }).toBe(false);
    const subject = await sendHome();
    expect(await relay.waitForDeferred()).toMatch(/Connection refused/u);
    await openTunnel();
    await waitAtHome(subject, async () => {});
    expect(await home.machine.peek('/var/log/tunnel.log')).toMatch(/^ETRN example\.org: 250 Queuing started/mu);
    await Promise.all([relay.emptyLog(), home.emptyLog()]);
  });

  test('check says if home knows another host key, and deploy copies the right one', async () => {
    const file = '/etc/postfix/relaycerts/example.org/relayhost.example.org.known_hosts';
    await home.sh(`ssh-keygen -q -t ed25519 -N '' -f /tmp/k; sed -i "s,AAAA.*,$(cut -d' ' -f2 /tmp/k.pub)," ${file}`);
    expect((await found()).ids).toContain('tunnel-host-key mailhost');
    await desk.run('relaycerts deploy mailhost --yes');
    expect((await found()).ids).toEqual(['inbound-unknown-recipient mailhost']);
  });

  test('the numbered steps make the same files, and their inverse removes them', async () => {
    const filesAtHome = `cd /etc/postfix/relaycerts/example.org && stat -c '%n %a' *.etrn && cat *.etrn *.known_hosts`;
    const deployed = [await accountsOf(relay), (await home.sh(filesAtHome)).stdout];
    for (const host of [home, relay]) await desk.paste(host, '--section tunnel');
    expect([await accountsOf(relay), (await home.sh(filesAtHome)).stdout]).toEqual(deployed);
    const undo = (await desk.show('relayhost --undo'))
      .split('\n')
      .filter((line) => /relaycerts-tunnel|sshd=/u.test(line));
    await relay.sh(undo.join('\n'));
    expect(await accountsOf(relay)).toBe(accounts);
  });

  test('without it in the settings, all of it goes again', async () => {
    await desk.make(listed);
    await deploy();
    expect(await accountsOf(relay)).toBe(accounts);
    expect((await home.sh('ls /etc/postfix/relaycerts/example.org')).stdout).not.toMatch(/known_hosts|etrn/u);
    await waitAtHome(await sendHome());
  });
});

test('undo gives back every file, also if main.cf was edited in between', async () => {
  // The cures of check have edited the relay's files.
  await relay.restorePostfix();
  await desk.install(relay);
  for (const host of [home, relay]) {
    const { code, stderr } = await desk.script(host, '--undo');
    expect(code, stderr).toBe(0);
    expect(await contentOf(host)).toBe(before.get(host));
  }
  await desk.make({ ...listed, inbound: { ...listed.inbound, via: 'tunnel' } });
  await desk.install(home);
  await desk.install(relay);
  expect(await accountsOf(relay)).not.toBe(accounts);
  const lists = 'relay_domains transport_maps relay_recipient_maps';
  await relay.sh(
    `postconf -e "relay_domains = other.example, $(postconf -h relay_domains)" "transport_maps = $(postconf -h transport_maps), inline:{a.example=smtp:}"`,
  );
  await desk.script(relay, '--undo');
  expect(await accountsOf(relay)).toBe(accounts);
  // Without a setting of its own, relay_domains had a default, which stays in it.
  expect((await relay.sh(`postconf -n ${lists}`)).stdout).toMatch(
    /^relay_domains = other\.example(?:, \$\{.*\})?\ntransport_maps = inline:\{a\.example=smtp:\}\n$/u,
  );
});

test('pasted text does the same, and its undo gives back every file', async () => {
  await desk.make(listed);
  await desk.script(home, '--undo');
  await relay.restorePostfix();
  // Home's text ends with a connection to the relay.
  await desk.paste(relay);
  await desk.paste(home);
  await waitAtHome(await sendHome());
  expect(await rcpt('stranger@example.org')).toMatch(/^550 5\.1\.1 /u);
  for (const host of [relay, home]) {
    await desk.paste(host, '--undo');
    expect(await contentOf(host)).toBe(before.get(host));
  }
});

test('with signatures and the printed records, mail and bounces pass DKIM, SPF and DMARC', async () => {
  await desk.make({ ...asked, dkim: {}, dns: { dmarc: { policy: 'reject' } } });
  // deploy goes by what was last seen, and nobody has looked since the pasted undo.
  await desk.run('relaycerts check', true);
  await deploy();
  const bind = await startBind({ 'example.org': (await desk.run('relaycerts dns --format zone')).stdout });
  try {
    const from = { helo: relay.hostname, address: relay.address };
    const mail = await deliver(home, outside);
    const sender = /^Return-Path: <(.*)>$/mu.exec(mail)?.[1] ?? '';
    expect(sender).toContain('@example.org');
    expect(await authenticity(mail, bind.address, { ...from, sender })).toBe('pass pass pass');
    expect(await authenticity(mail, bind.address, { ...from, sender, address: home.address })).toBe('pass fail pass');
    const input = 'From: MAILER-DAEMON@example.org\nTo: bob@example.net\nSubject: a bounce\n\nnot delivered\n';
    await home.exec(['/usr/sbin/sendmail', '-i', '-f', '<>', 'bob@example.net'], { input });
    const bounce = await outside.waitForMail('a bounce');
    expect(await authenticity(bounce, bind.address, { ...from, sender: '' })).toBe('pass pass pass');
  } finally {
    await bind.stop();
  }
  await waitAtHome(await sendHome());
});

test('what the settings drop goes, with what belongs to it', async () => {
  await desk.make(hosts);
  await deploy();
  const { stdout } = await relay.sh('postconf -n; postconf -M; ls /etc/postfix; ls -d /etc/relaycerts-opendkim; :');
  expect(stdout).not.toMatch(/2500-home|2500_home|relay_domains|relay_recipient_maps|unverified|8891|opendkim/u);
  expect((await home.sh('postconf -M; ss -Hltn')).stdout).not.toContain('2525');
  await deliver(home, outside);
});
