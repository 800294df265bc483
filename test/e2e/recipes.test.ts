// The commands of README.md and docs/recipes.md on real hosts, as they are printed, in the order of a life: the first
// mail, another client, a stolen laptop, new keys, a new relay, a new machine with a backup and without, and the end.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { blocksUnder } from '../support/page.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver, send } from './lab/operator.js';

const recipes = 'docs/recipes.md';
let lab: Lab;
let desk: Desk;
let [relay, newRelay, home, laptop]: readonly MailHost[] = [];
const before = new Map<MailHost, string>();

/** What a person would answer: yes, and the password of the backup. */
function answered(line: string): string {
  const [, verb = ''] = /^relaycerts (\S+)/u.exec(line) ?? [];
  if (verb === 'deploy' || verb === 'clean') return `${line} --yes`;
  return verb === 'backup' || verb === 'restore' ? `${line} --password-fd 3 3<~/password` : line;
}

/** Runs a block line by line, each as it stands; `environment` comes before it. */
async function follow(block: string | undefined, environment = ''): Promise<void> {
  if (block === undefined) throw new TypeError('no such block');
  for (const line of block.trim().split('\n')) {
    const { code, stdout, stderr } = await desk.run(`${environment}${answered(line)}`, true);
    expect(code, `${line}\n${stdout}${stderr}`).toBe(0);
  }
}

async function followAll(heading: string): Promise<void> {
  for (const block of blocksUnder(recipes, heading)) await follow(block);
}

const isThere = (host: MailHost | undefined): MailHost => {
  if (host === undefined) throw new TypeError('a lab with two relays and two homes');
  return host;
};

beforeAll(async () => {
  requireTools('openssl');
  lab = await startLab({ relays: 2, homes: 2, faults: ['pin-not-listed'] });
  [relay, newRelay] = lab.relays;
  [home, laptop] = lab.homes;
  for (const host of [...lab.relays, ...lab.homes]) before.set(host, await contentOf(host));
  desk = new Desk(lab.operator, '/home/operator/relay');
  await lab.operator.sh(`mkdir -p ${desk.folder} && umask 077 && echo 'a password for the backup' >~/password`);
});
afterAll(() => lab.stop());

describe('a life', () => {
  test('the README, from nothing to the first mail', async () => {
    const [settings = ''] = blocksUnder('README.md', 'From nothing to a relay', 'json');
    await lab.operator.writeFile(`${desk.folder}/settings.json`, settings);
    const [block = ''] = blocksUnder('README.md', 'From nothing to a relay');
    // test/cli/wizard.test.ts answers its questions.
    const [wizard, ...rest] = block.split('\n');
    expect(wizard).toBe('relaycerts wizard');
    await follow(rest.join('\n'));
    await deliver(isThere(home), lab.outside);
  });

  test('another client', async () => {
    await followAll('Another client');
    await deliver(isThere(laptop), lab.outside);
  });

  test('a stolen laptop is cut off, and relays again with a new key', async () => {
    const [cutOff, again] = blocksUnder(recipes, 'A stolen laptop');
    await follow(cutOff);
    await send(isThere(laptop));
    expect(await isThere(laptop).waitForDeferred()).toContain('said: 450 4.3.2');
    await deliver(isThere(home), lab.outside);
    await follow(again);
    await isThere(laptop).exec(['postqueue', '-f']);
    await deliver(isThere(laptop), lab.outside);
  });

  test('a client that leaves is as it was before', async () => {
    await followAll('A client that leaves');
    expect(await contentOf(isThere(laptop))).toBe(before.get(isThere(laptop)));
    await deliver(isThere(home), lab.outside);
  });

  test('a new key for a host', async () => {
    const [renewed, retired] = blocksUnder(recipes, 'A new key for a host');
    await follow(renewed);
    await deliver(isThere(home), lab.outside);
    await follow(retired);
    await deliver(isThere(home), lab.outside);
  });

  test('the second year: what is printed, and by hand', async () => {
    await followAll('The second year, by itself');
    await deliver(isThere(home), lab.outside);
  });

  test('a new VPS with another name', async () => {
    const [added, removed] = blocksUnder(recipes, 'A new VPS with another name');
    await follow(added);
    await deliver(isThere(home), lab.outside);
    await follow(removed);
    expect(await contentOf(isThere(relay))).toBe(before.get(isThere(relay)));
    expect(await deliver(isThere(home), lab.outside)).toContain('by relayhost2.example.org');
  });

  test.each(['A new certificate for the CA', 'A new key for the CA'])('%s', async (heading) => {
    await followAll(heading);
    await deliver(isThere(home), lab.outside);
  });

  test('a new operator machine, with a backup', async () => {
    const [saved, restored] = blocksUnder(recipes, 'A new operator machine');
    await follow(saved);
    await lab.operator.sh('mkdir -p ~/second/project && cp ~/password ~/example.org.backup.gpg ~/second');
    desk = new Desk(lab.operator, '/home/operator/second/project');
    await follow(restored, 'export HOME=/home/operator/second\n');
    await deliver(isThere(home), lab.outside);
  });

  test('a new operator machine, without one', async () => {
    const [, , anew] = blocksUnder(recipes, 'A new operator machine');
    await lab.operator.sh('mkdir -p ~/third/project && cp ~/second/project/settings.json ~/third/project');
    desk = new Desk(lab.operator, '/home/operator/third/project');
    await follow(anew, 'export HOME=/home/operator/third\n');
    await deliver(isThere(home), lab.outside);
  });

  test('removing everything: each host is as it was before', async () => {
    const [block] = blocksUnder(recipes, 'Removing everything');
    await follow(block, 'export HOME=/home/operator/third\n');
    for (const host of [relay, newRelay, home, laptop].map(isThere)) {
      expect(await contentOf(host)).toBe(before.get(host));
    }
  });
});
