// `export ansible` on real hosts: Debian's Ansible rolls the relays and then the homes out, changes nothing the second time,
// and stops after the first bad batch. With RELAYCERTS_DEEP=1 there are 2 relays and 20 homes.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';
import { installProgram } from './lab/programs.js';
import { folder } from '../support/folder.js';

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const size = isDeep ? { relays: 2, homes: 20 } : { relays: 1, homes: 2 };

let lab: Lab;
let desk: Desk;
let hosts: readonly MailHost[];
/** Has Exim, and is reached as a user who needs sudo. */
let last: MailHost;

const labelOf = ({ hostname }: MailHost): string => hostname.split('.')[0] ?? '';
const namesOf = (of: readonly MailHost[]): readonly string[] => of.map(({ hostname }) => hostname).toSorted();

/** Names, owners, modes and digests of all that an installation changes. */
async function contentOf(host: MailHost): Promise<string> {
  const script = `find /etc/postfix /etc/exim4 -type f 2>/dev/null | sort | while read -r file; do
  stat -c '%n %U:%G %a' "$file"; sha256sum <"$file"; done`;
  return (await host.sh(script)).stdout;
}

/** Runs the printed command; resolves with what the recap says of each host, and all that was said. */
async function play(words = '', status = 0): Promise<{ readonly changed: readonly string[]; readonly said: string }> {
  // Newer releases of Ansible warn that they looked for Python themselves.
  const command =
    'ANSIBLE_PYTHON_INTERPRETER=auto_silent ansible-playbook -i ansible/inventory.yml ansible/playbook.yml';
  const { code, stdout, stderr } = await desk.run(`${command} ${words}`, true);
  expect(code, stdout + stderr).toBe(status);
  expect(stderr).toBe('');
  const changed = [...stdout.matchAll(/^(\S+) +: ok=\d+ +changed=([1-9])/gmu)].map(([, host = '']) => host);
  return { changed: changed.toSorted((one, other) => one.localeCompare(other)), said: stdout };
}

beforeAll(async () => {
  requireTools('ansible-playbook');
  lab = await startLab({ ...size, faults: ['no-client-certificate'] });
  hosts = [...lab.relays, ...lab.homes];
  last = lab.homes.at(-1) ?? lab.homes[0];
  desk = new Desk(lab.operator);
  await installProgram(last, 'exim');
  // Until home is there, a relay cannot hand mail to it, which must not end the run.
  await lab.homes[0].setMainCf({ mydestination: 'example.org, mailhost.example.org, localhost' });
  await lab.homes[0].reload();
  await desk.make({
    inbound: { home: 'mailhost' },
    smtpdServers: lab.relays.map((one) => ({ hostname: labelOf(one) })),
    smtpClients: lab.homes.map((one) => ({
      hostname: labelOf(one),
      ...(one === last ? { sshUser: 'admin', program: 'exim' } : {}),
    })),
  });
  const { stdout } = await desk.run('relaycerts export ansible');
  expect(stdout).toContain('\n  ansible-playbook -i ansible/inventory.yml ansible/playbook.yml\n');
});
afterAll(() => lab.stop());

describe('the exported playbook', () => {
  test('with --check says that all hosts change, and changes none', async () => {
    const before = await Promise.all(hosts.map(contentOf));
    expect((await play('--check')).changed).toEqual(namesOf(hosts));
    expect(await Promise.all(hosts.map(contentOf))).toEqual(before);
  });

  test('from nothing: all hosts are set up, relays first, no key is shown', async () => {
    const { changed, said } = await play('-vvv');
    expect(changed).toEqual(namesOf(hosts));
    const order = [...said.matchAll(/^changed: \[(\S+?)\]/gmu)].map(([, host]) => host);
    expect(new Set(order.slice(0, size.relays))).toEqual(new Set(namesOf(lab.relays)));
    for (const { hostname } of [lab.relays[0], last]) {
      const key = (await desk.run(`cat hosts/${hostname}/${hostname}.key.pem`)).stdout.split('\n')[1] ?? '';
      expect([key.length, said.includes(key)]).toEqual([64, false]);
    }
    await deliver(lab.homes[0], lab.outside);
    await deliver(last, lab.outside);
  });

  test('changes nothing the second time, and status knows what it did', async () => {
    expect((await play()).changed).toEqual([]);
    expect((await desk.run('relaycerts status', true)).code).toBe(0);
  });

  test('leaves keys to those who need them, and nothing temporary', async () => {
    const { stdout } = await last.sh(`stat -c '%a %U:%G %n' ${folder}/*.key.pem ${folder}/*.chain.pem; ls ${folder}
      find /root/.ansible /home/admin/.ansible -type f 2>/dev/null || :`);
    expect(stdout).toMatch(/^600 root:root \S+key\.pem\n640 root:Debian-exim \S+chain\.pem\n/u);
    expect(stdout).not.toMatch(/next|install\.sh|\.ansible/u);
  });

  test('stops after a bad batch: its host is as before, the next not visited', async () => {
    const [first] = lab.homes;
    await desk.run('relaycerts renew --force');
    const held = await Promise.all([first, last].map(contentOf));
    await first.exec(['postconf', 'transport_maps=inline:{{*=smtp:[mx.example.net]}}']);
    const { changed, said } = await play('', 2);
    expect(changed).toEqual(namesOf(lab.relays));
    expect(said).toContain('relaycerts: error: this mail bypasses the relay');
    await first.exec(['postconf', '-X', 'transport_maps']);
    expect(await Promise.all([first, last].map(contentOf))).toEqual(held);
    await deliver(first, lab.outside);
  });
});
