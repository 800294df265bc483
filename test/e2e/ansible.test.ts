// `export ansible` on real hosts: Debian's Ansible rolls the relays and then the homes out, changes nothing the second time,
// and stops after the first bad batch. With RELAYCERTS_DEEP=1 there are 2 relays and 20 homes.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver } from './lab/operator.js';

const folder = '/etc/postfix/relaycerts';
const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const size = isDeep ? { relays: 2, homes: 20 } : { relays: 1, homes: 2 };

let lab: Lab;
let desk: Desk;
let hosts: readonly MailHost[];
let last: MailHost;
const before = new Map<MailHost, string>();

/** Runs the printed command; resolves with what the recap says of each host, and all that was said. */
async function play(words = '', status = 0): Promise<{ readonly changed: readonly string[]; readonly said: string }> {
  const command = 'ansible-playbook -i ansible/inventory.yml ansible/playbook.yml';
  const { code, stdout, stderr } = await desk.run(`${command} ${words}`, true);
  expect(code, stdout + stderr).toBe(status);
  expect(stderr).toBe('');
  const changed = [...stdout.matchAll(/^(\S+) +: ok=\d+ +changed=([1-9])/gmu)].map(([, host = '']) => host);
  return { changed, said: stdout };
}

beforeAll(async () => {
  requireTools('ansible-playbook');
  lab = await startLab({ ...size, faults: ['no-client-certificate'] });
  hosts = [...lab.relays, ...lab.homes];
  last = lab.homes.at(-1) ?? lab.homes[0];
  desk = new Desk(lab.operator);
  for (const host of hosts) before.set(host, await contentOf(host));
  const label = ({ hostname }: MailHost) => hostname.split('.')[0];
  await desk.make({
    smtpdServers: lab.relays.map((one) => ({ hostname: label(one) })),
    smtpClients: lab.homes.map((one) => ({ hostname: label(one), ...(one === last ? { sshUser: 'admin' } : {}) })),
  });
  const { stdout } = await desk.run('relaycerts export ansible');
  expect(stdout).toContain('\n  ansible-playbook -i ansible/inventory.yml ansible/playbook.yml\n');
});
afterAll(() => lab.stop());

describe('the exported playbook', () => {
  const names = (): readonly string[] => hosts.map(({ hostname }) => hostname).toSorted();

  test('with --check says that all hosts change, and changes none', async () => {
    expect((await play('--check')).changed.toSorted()).toEqual(names());
    for (const [host, content] of before) expect(await contentOf(host)).toBe(content);
  });

  test('from nothing: all hosts are set up, relays first, and mail flows', async () => {
    const { changed, said } = await play();
    expect(changed.toSorted()).toEqual(names());
    const order = [...said.matchAll(/^changed: \[(\S+?)\]/gmu)].map(([, host]) => host);
    expect(order.slice(0, size.relays).toSorted()).toEqual(lab.relays.map(({ hostname }) => hostname));
    await deliver(lab.homes[0], lab.outside);
    await deliver(last, lab.outside);
  });

  test('changes nothing the second time, and status knows what it did', async () => {
    expect((await play()).changed).toEqual([]);
    expect((await desk.run('relaycerts status', true)).code).toBe(0);
  });

  test('leaves keys readable only by root, and nothing temporary', async () => {
    const { stdout } = await last.sh(`stat -c '%a %U %n' ${folder}/*.key.pem ${folder}/*.chain.pem; ls ${folder}
      find /root/.ansible /home/admin/.ansible -type f 2>/dev/null || :`);
    expect(stdout).toMatch(/^600 root \S+key\.pem\n600 root \S+chain\.pem\n/u);
    expect(stdout).not.toMatch(/next|install\.sh|\.ansible/u);
  });

  test('stops after a bad batch: its host is restored, the next is not visited', async () => {
    const [first] = lab.homes;
    await desk.run('relaycerts renew --force');
    const content = (host: MailHost) => host.sh(`sha256sum /etc/postfix/*.cf ${folder}/*.pem`);
    const held = (await Promise.all([first, last].map(content))).map(({ stdout }) => stdout);
    await first.exec(['postconf', 'transport_maps=inline:{{*=smtp:[mx.example.net]}}']);
    const { changed, said } = await play('', 2);
    expect(changed.toSorted()).toEqual(lab.relays.map(({ hostname }) => hostname));
    expect(said).toContain('relaycerts: error: this mail goes past the relay');
    await first.exec(['postconf', '-X', 'transport_maps']);
    expect((await Promise.all([first, last].map(content))).map(({ stdout }) => stdout)).toEqual(held);
    await deliver(first, lab.outside);
  });
});
