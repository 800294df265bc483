// Hosts that make their own key, a home and a relay: with the printed text to the letter, in its order, and with the
// script. Mail flows with both locks in place, and neither key was ever anywhere but on its host.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { blocksOf } from '../support/blocks.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { warningsIn } from './lab/logs.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';
import { folder } from '../support/folder.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1 });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
});
afterAll(() => lab.stop());

/** Pastes the blocks of one section; returns the output of each. */
async function pasteSection(host: MailHost, section: string): Promise<readonly string[]> {
  const said: string[] = [];
  for (const block of blocksOf(await desk.show(`${host.hostname} --section ${section}`))) {
    const { stdout } =
      block.where === 'here'
        ? await desk.run(`exec 2>&1\n${block.text}`)
        : await host.exec(['sh', '-c', 'exec sh 2>&1'], { input: block.text });
    said.push(stdout);
  }
  return said;
}

/** Prints the files that hold a line. */
const find = (line: string): string => `grep -rlF -e '${line}' "$HOME" /etc/postfix /tmp || true`;

/** The secret part of the key: the lines of its PEM. */
async function keyOf(host: MailHost): Promise<string> {
  const pem = await host.readFile(`${folder}/${host.hostname}.key.pem`);
  const [, body = ''] = /-----BEGIN PRIVATE KEY-----\n([^-]+)\n-----END/u.exec(pem) ?? [];
  expect(body.length).toBeGreaterThan(60);
  return body;
}

async function expectFlow(): Promise<void> {
  await Promise.all([relay.markLog(), home.markLog()]);
  // If Postfix can, it leaves the client and its TLS out of Received; the log has both.
  const hides = await relay.knows('smtpd_hide_client_session');
  expect(await deliver(home, lab.outside)).toMatch(
    hides ? /by relayhost\.example\.org \(Postfix\) id /u : /by relayhost\.example\.org \(Postfix\) with ESMTPS id /u,
  );
  await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2500: /u);
  await relay.waitForLog(/postfix\/relaycerts\/smtpd\[\d+\]: Trusted TLS connection established from mailhost/u);
  for (const host of [relay, home]) expect(warningsIn(await host.mailLog())).toEqual([]);
}

describe('keys that never left their hosts', () => {
  test('key and request there, signed here, before anything else was made', async () => {
    await desk.settings({ smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] });
    for (const host of [home, relay]) {
      const [made, signed] = await pasteSection(host, 'request');
      expect(made).toBe('');
      expect(signed).toContain(`relaycerts: made the certificate of ${host.hostname}`);
      const stat = await host.sh(`stat -c '%n %U:%G %a' ${folder} ${folder}/*`);
      expect(stat.stdout).toBe(
        [
          `${folder} root:root 700`,
          `${folder}/${host.hostname}.csr.pem root:root 600`,
          `${folder}/${host.hostname}.key.pem root:root 600`,
          '',
        ].join('\n'),
      );
    }
    expect((await desk.run('relaycerts make 2>&1')).stdout).toContain('nothing to make');
  });

  test('the text, pasted whole, in its order', async () => {
    const before = [await keyOf(home), await keyOf(relay)];
    const [key, signed, copy, chain, configure, check, end, listens, table, , ...more] = await desk.paste(relay);
    expect(more).toEqual([]);
    expect([key, copy, chain, configure, end]).toEqual(['', '', '', '', '']);
    expect(signed).toContain('relaycerts: nothing to sign: relayhost.example.org has its certificate');
    expect(check).toMatch(/relayhost\.example\.org\.crt\.pem: OK\n/u);
    expect(listens).toMatch(/^LISTEN .*:2500 /mu);
    expect(table).toBe('mailhost.example.org\n');

    const said = await desk.paste(home);
    expect(said[6]).toMatch(/mailhost\.example\.org\.crt\.pem: OK\n/u);
    expect(said[7]).toMatch(/: Verified TLS connection established to relayhost\.example\.org\S*:2500: /u);
    expect(said[8]).toContain('250 2.1.5 Ok');
    expect([await keyOf(home), await keyOf(relay)]).toEqual(before);
    const chainFile = `${folder}/${home.hostname}.chain.pem`;
    expect((await home.sh(`stat -c '%U:%G %a' ${chainFile}`)).stdout).toBe('root:root 600\n');
    expect(await home.readFile(chainFile)).toMatch(/^-----BEGIN PRIVATE KEY-----/u);
    await expectFlow();
  });

  test('the script, which makes the chain itself', async () => {
    await lab.restore();
    for (const host of [relay, home]) {
      await host.sh(`rm -rf ${folder}`);
      const none = await desk.script(host);
      expect(none.code).toBe(1);
      expect(none.stderr).toContain(`the folder ${folder} is missing`);
    }
    // The hosts lost their keys, so they make new ones, and the old certificates and requests are removed.
    for (const host of [relay, home]) {
      const [, refused] = await pasteSection(host, 'request').catch((error: unknown) => ['', String(error)]);
      expect(refused).toContain('is for another key than the one stored');
      const remove = /here: (rm [^,]*), and sign again/u.exec(refused ?? '')?.[1] ?? '';
      await desk.run(remove);
      await pasteSection(host, 'request');
    }
    for (const host of [relay, home]) {
      await desk.copy(host);
      const { code, stdout, stderr } = await desk.script(host);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`relaycerts: ${host.hostname} is set up: `);
      const again = await desk.script(host);
      expect(again.stdout).toContain(`relaycerts: nothing to change on ${host.hostname}: `);
    }
    await expectFlow();
  });

  test('half of it: the script says what is missing, and breaks nothing', async () => {
    const key = `${folder}/${home.hostname}.key.pem`;
    const chain = await home.readFile(`${folder}/${home.hostname}.chain.pem`);
    await home.sh(`mv ${key} ${key}.away`);
    const missing = await desk.script(home);
    expect([missing.code, missing.stderr]).toEqual([
      1,
      `relaycerts: error: ${key} is missing: ${home.hostname} makes its own key\n` +
        `relaycerts: hint: make it and its request first: relaycerts show ${home.hostname} --section request\n`,
    ]);
    await home.sh(`umask 077; openssl genpkey -algorithm ED25519 -out ${key}`);
    const other = await desk.script(home);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain(`the key in ${key} does not belong to the certificate`);
    expect(await home.readFile(`${folder}/${home.hostname}.chain.pem`)).toBe(chain);
    await home.sh(`mv ${key}.away ${key}`);
    expect((await desk.script(home)).code).toBe(0);
    await expectFlow();
  });

  test('neither key is on the machine that signs, or on the other host', async () => {
    // The first line's end is the key's own; no two keys have it alike.
    const [homeLine = '', relayLine = ''] = [await keyOf(home), await keyOf(relay)].map(
      (key) => key.split('\n')[0] ?? '',
    );
    expect((await home.sh(find(homeLine))).stdout).not.toBe('');
    expect((await relay.sh(find(relayLine))).stdout).not.toBe('');
    expect((await relay.sh(find(homeLine))).stdout).toBe('');
    expect((await home.sh(find(relayLine))).stdout).toBe('');
    for (const line of [homeLine, relayLine]) expect((await desk.run(find(line))).stdout).toBe('');
    expect((await desk.run('find . -name "*.key.pem"')).stdout).toBe('./certs/ca/example.org-ca.key.pem\n');
  });
});
