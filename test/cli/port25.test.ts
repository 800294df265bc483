// relayPort25 in the whole program: the settings of main.cf that follow, Spamhaus' key, which nothing prints, and the
// sections for fail2ban and firewalls. What the daemons do with it is test/e2e/port25.test.ts's.

import { chmodSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

const key = 'abcdefghij0123456789klmnop';
const port25 = { dnsbl: ['zen.spamhaus.org', 'bl.example.net', 'a.example=127.0.0.3'], srs: true };

let project: Project;
beforeAll(async () => {
  project = makeProject(smallSettings({ relayPort25: port25 }));
  expect((await project.run(['make'])).status).toBe(0);
});
afterAll(() => {
  project.remove();
});

const show = async (...args: readonly string[]): Promise<string> => {
  const { status, stdout, stderr } = await project.run(['show', ...args]);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
};

/** The lines of main.cf with this port 25. */
async function mainCf(relayPort25: Readonly<Record<string, unknown>>): Promise<string> {
  project.settings(smallSettings({ relayPort25 }));
  const text = await show('relayhost', '--section', 'main.cf');
  return text.split('\n').slice(1, -2).join('\n');
}

describe('the settings of main.cf', () => {
  it('have a filter for every list, in one class', async () => {
    expect(await mainCf(port25)).toBe(
      `relaycerts_2500_port25 = permit_mynetworks, permit_sasl_authenticated, reject_rbl_client zen.spamhaus.org=127.0.0.[2..11], reject_rbl_client bl.example.net=127.0.0.[2..254], reject_rbl_client a.example=127.0.0.3
# smtpd_restriction_classes, last: relaycerts_2500_port25
# smtpd_recipient_restrictions, last: relaycerts_2500_port25
# recipient_canonical_maps, last: pipemap:{regexp:/etc/postfix/relaycerts-2500-srs,tcp:127.0.0.1:10002}`,
    );
  });

  it('leave the lists to postscreen', async () => {
    expect(await mainCf({ dnsbl: ['zen.spamhaus.org'], postscreen: true })).toBe(
      `postscreen_greet_action = enforce
postscreen_dnsbl_action = enforce
# postscreen_dnsbl_sites, last: zen.spamhaus.org=127.0.0.[2..11]`,
    );
  });

  it('are none if nothing is asked for, and then the relay is set up as without the key', async () => {
    project.settings(smallSettings({ relayPort25: {} }));
    const text = await show('relayhost');
    project.settings(smallSettings());
    expect(await show('relayhost')).toBe(text);
    expect(text).toContain('main.cf and port 25 stay as');
  });
});

/** What a make says that changes nothing. */
async function problem(): Promise<string> {
  const tree = treeOf(project.folder);
  const { status, stderr } = await project.run(['make']);
  expect([status, treeOf(project.folder)]).toEqual([1, tree]);
  return stderr;
}

describe("Spamhaus' key", () => {
  const settings = smallSettings({ relayPort25: { ...port25, dqsKeyFile: 'dqs-key' } });
  it('is missing, open or no key: nothing is made, and the hint says what to do', async () => {
    project.settings(settings);
    expect(await problem()).toMatch(
      /^relaycerts: error: the DQS key \S*dqs-key\S* is missing\n.*hint: write the key/mu,
    );
    project.write('dqs-key', `${key}.evil; rm\n`);
    chmodSync(project.path('dqs-key'), 0o600);
    const said = await problem();
    expect(said).toMatch(/^relaycerts: error: no DQS key in \S*dqs-key/mu);
    expect(said).not.toContain(key);
    project.write('dqs-key', `${key}\n`);
    chmodSync(project.path('dqs-key'), 0o644);
    expect(await problem()).toContain('chmod');
  });

  it('is only in two files of the bundle, which are closed', async () => {
    chmodSync(project.path('dqs-key'), 0o600);
    const made = await project.run(['make', '--json']);
    expect(made.status).toBe(0);
    const files = ['dnsbl', 'dnsbl_replies'].map((name) => `hosts/relayhost.example.org/${name}`);
    expect(files.map((file) => statSync(project.path(file)).mode & 0o777)).toEqual([0o600, 0o600]);
    expect(project.read(files[0] ?? '')).toContain(`reject_rbl_client ${key}.zen.dq.spamhaus.net=127.0.0.[2..11]\n`);
    const printed = [
      made.stdout,
      await show(),
      await show('--format', 'html'),
      await show('relayhost', '--format', 'sh'),
      await show('--json'),
      (await project.run(['status', '--json'])).stdout,
    ].join('');
    expect(printed).toContain('check_client_access cidr:/etc/postfix/relaycerts/example.org/dnsbl');
    expect(printed).not.toContain(key);
    expect(printed).not.toContain('reject_rbl_client zen.');
  });

  it('goes from the bundle with the settings that asked for it', async () => {
    project.settings(smallSettings());
    expect((await project.run(['clean', '--dry-run'])).stdout).not.toContain('dnsbl_replies: not ours');
    expect(await show('relayhost')).not.toContain('dnsbl');
  });
});

describe('sections on demand', () => {
  it('fail2ban: a filter and a jail, for a relay only', async () => {
    const text = await show('relayhost', '--section', 'fail2ban');
    expect(text).toContain('# >>> relaycerts: /etc/fail2ban/filter.d/relaycerts.conf on relayhost.example.org');
    expect(text).toContain('port = 2500');
    expect(await show('mailhost', '--section', 'fail2ban')).toContain('nothing to do in fail2ban');
  });

  it('firewall: the port of a relay, and none of a home unless it receives', async () => {
    expect(await show('relayhost', '--section', 'firewall')).toContain('    ufw allow 2500/tcp\n');
    expect(await show('mailhost', '--section', 'firewall')).toContain('No port of mailhost.example.org has to be open');
    project.settings(smallSettings({ inbound: { home: 'mailhost' } }));
    expect(await show('mailhost', '--section', 'firewall')).toContain(
      '    semanage port -a -t smtp_port_t -p tcp 2525\n',
    );
    project.settings(smallSettings({ inbound: { home: 'mailhost', via: 'tunnel' } }));
    expect(await show('mailhost', '--section', 'firewall')).toContain('No port of mailhost.example.org has to be open');
  });
});
