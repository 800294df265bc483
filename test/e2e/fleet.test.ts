// A fleet of 2 relays and 20 homes: every step in the life of certificates is one command and one deploy, mail flows
// throughout, and check finds nothing wrong. With RELAYCERTS_DEEP=1 all homes go through the stages of a new CA,
// otherwise a few.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { expectGreen } from './lab/check.js';
import { reloadFaults, reloadReason, startFlow, type MailFlow } from './lab/mail-flow.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver, send } from './lab/operator.js';

const homesOfFleet = 20;
const staying = process.env['RELAYCERTS_DEEP'] === '1' ? homesOfFleet - 2 : 3;

let lab: Lab;
let desk: Desk;
let flow: MailFlow;
let fresh: string;

const labelOf = ({ hostname }: MailHost): string => hostname.replace(/\..*/u, '');

const hosts = (all: readonly MailHost[]) => all.map((host) => ({ hostname: labelOf(host) }));

function settingsOf(homes: readonly MailHost[]) {
  return { smtpdServers: hosts(lab.relays), smtpClients: hosts(homes) };
}

const homeOf = (number: number): MailHost => {
  const home = lab.homes[number - 1];
  if (home === undefined) throw new TypeError(`the lab has no home ${number}`);
  return home;
};

async function deploy(words = ''): Promise<string> {
  const { code, stdout, stderr } = await desk.run(`relaycerts deploy --yes ${words}`, true);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

async function expectOnlyReloads(): Promise<void> {
  const reasons = await flow.stop();
  expect(reasons.filter((reason) => !reloadReason.test(reason))).toEqual([]);
}

beforeAll(async () => {
  requireTools('openssl');
  lab = await startLab({
    relays: 2,
    homes: homesOfFleet,
    faults: ['pin-not-listed', 'no-client-certificate', ...reloadFaults],
  });
  desk = new Desk(lab.operator);
  fresh = await contentOf(homeOf(19));
  await desk.make(settingsOf(lab.homes.slice(0, -1)));
});
afterAll(() => lab.stop());

describe('a fleet', () => {
  test('relays after one command, and then there is nothing to do', async () => {
    expect(await deploy()).toContain(`deploy: ${homesOfFleet + 1} installed\n`);
    await Promise.all(lab.homes.slice(0, -1).map((home) => deliver(home, lab.outside)));
    expect(await deploy()).toMatch(/^nothing to deploy: every host is up to date, as last seen .*\n$/u);
    flow = await startFlow(lab.homes.slice(0, 3), lab.outside);
  });

  test('gets a new client', async () => {
    await desk.make(settingsOf(lab.homes));
    expect(await deploy()).toContain('deploy: 3 installed');
    await deliver(homeOf(homesOfFleet), lab.outside);
  });

  test('has nothing that check finds wrong', async () => {
    await expectGreen(desk);
  });

  test('takes a renewal of a relay and a home, and a new key of another home', async () => {
    await desk.run('relaycerts renew --force relayhost mailhost');
    expect(await deploy()).toContain('deploy: 2 installed');
    await desk.run('relaycerts renew --rekey mailhost2');
    expect(await deploy()).toContain('deploy: 3 installed');
    await desk.run('relaycerts retire mailhost2');
    expect(await deploy()).toContain('deploy: 2 installed');
  });

  test('cuts off a client that is revoked', async () => {
    const stolen = homeOf(homesOfFleet);
    await desk.run(`relaycerts revoke ${labelOf(stolen)}`);
    expect(await deploy()).toContain('deploy: 2 installed');
    await send(stolen);
    expect(await stolen.waitForDeferred()).toContain('said: 450 4.3.2');
  });

  test('undoes hosts that the settings no longer name', async () => {
    await desk.make(settingsOf(lab.homes.slice(0, staying)));
    expect(await deploy('--undo mailhost19')).toContain('undo: 1 undone');
    expect(await contentOf(homeOf(19))).toBe(fresh);
    expect(await deploy()).toContain('deploy: 2 installed');
  });

  test.each(['both are trusted', 'the hosts change over', 'the old one goes'])(
    'takes a new CA in a stage after which %s',
    async () => {
      await desk.run('relaycerts renew --ca --rekey');
      expect(await deploy()).toContain(`deploy: ${staying + 2} installed`);
    },
  );

  test('lost no mail in all that, and only a reload made some wait', async () => {
    await expectOnlyReloads();
    await Promise.all(lab.homes.slice(0, staying).map((home) => deliver(home, lab.outside)));
  });
});
