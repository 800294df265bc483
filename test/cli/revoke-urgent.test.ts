// `relaycerts revoke` where something else is wrong: it goes through, the tables come out without the revoked pin, what it
// cannot write well stays as it is, and what is wrong is said.

import { X509Certificate, createHash } from 'node:crypto';
import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const home = 'mailhost.example.org';
const second = 'second.example.org';
const relay = 'relayhost.example.org';
const relay2 = 'relayhost2.example.org';
const relays = [relay, relay2];

let project: Project;
let pins: { readonly home: string; readonly second: string };
beforeEach(() => {
  project = makeProject(
    smallSettings({
      smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
      smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
    }),
  );
  succeed(run('make'));
  pins = { home: pinOf(home), second: pinOf(second) };
});
afterEach(() => {
  project.remove();
});

const run = (...words: readonly string[]): Result => project.run(words);

function pinOf(hostname: string): string {
  const { publicKey } = new X509Certificate(project.read(`certs/smtp-client/${hostname}.crt.pem`));
  const digest = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return digest.toUpperCase().replaceAll(/..(?!$)/gu, '$&:');
}

const table = (hostname: string): string => project.read('hosts', hostname, 'relay_clientcerts');

/** The tree without what a revocation of mailhost is for. */
const others = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(treeOf(project.folder)).filter(
      ([name]) => !name.includes(home) && !/relay_clientcerts|issued\.jsonl|certs\/revoked/u.test(name),
    ),
  );

/** Breaks something, revokes mailhost, and gives what was said; nothing but the tables and mailhost's files changed. */
function revokeWith(breakIt: () => void): string {
  breakIt();
  expect(run('renew', '--force').status).toBe(1);
  const before = others();
  const { stderr, stdout } = succeed(run('revoke', 'mailhost'));
  expect(others()).toEqual(before);
  expect(stderr).toContain(`revoked ${home}, serial `);
  expect(stdout).toContain(`relaycerts show ${relay} --format sh | ssh root@${relay} sh`);
  for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
  expect(
    (JSON.parse(run('status', '--json').stdout) as { host: string; state: string }[]).find(({ host }) => host === home)
      ?.state,
  ).toBe('revoked');
  return stderr;
}

const key = (hostname: string, role = 'smtp-client'): string => `certs/${role}/${hostname}.key.pem`;

describe('goes through', () => {
  it.each<readonly [string, () => void, RegExp]>([
    ["another client's key is damaged", () => project.write(key(second), 'damaged'), /second\.example\.org\.key\.pem/u],
    ["another client's key is missing", () => rmSync(project.path(key(second))), /its key .* is missing/u],
    ["a relay's key is open to others", () => chmodSync(project.path(key(relay, 'smtpd-server')), 0o644), /mode 0644/u],
    [
      "a relay's key is another's",
      () => copyFileSync(project.path(key(second)), project.path(key(relay, 'smtpd-server'))),
      /does not belong to the certificate/u,
    ],
    [
      "the CA's key is missing",
      () => rmSync(project.path('certs/ca/example.org-ca.key.pem')),
      /CA's certificate .* its key/u,
    ],
    [
      "the CA's certificate is damaged",
      () => project.write('certs/ca/example.org-ca.crt.pem', 'damaged'),
      /ca\.crt\.pem/u,
    ],
  ])('where %s', (_name, breakIt, said) => {
    const stderr = revokeWith(breakIt);
    expect(stderr).toMatch(/relaycerts: warning: /u);
    expect(stderr).toMatch(said);
    for (const hostname of relays) expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
  });

  it("where another client's certificate is damaged: then that one is in no table either, and this is said", () => {
    const path = `certs/smtp-client/${second}.crt.pem`;
    const whole = project.read(path);
    const stderr = revokeWith(() => project.write(path, 'damaged'));
    expect(stderr).toContain(`warning: ${second} is in no table any more, for its certificate cannot be read`);
    expect(stderr).toContain('hint: mend that, then: relaycerts make\n');
    project.write(path, whole);
    succeed(run('make'));
    for (const hostname of relays) expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
  });

  it('where its own certificate is damaged or gone, by what the ledger has', () => {
    for (const breakIt of [
      () => project.write(`certs/smtp-client/${home}.crt.pem`, 'damaged'),
      () => rmSync(project.path(`certs/smtp-client/${home}.crt.pem`)),
    ]) {
      const before = project.read('certs/ca/issued.jsonl').trimEnd().split('\n');
      const { serial } = JSON.parse(before.findLast((line) => line.includes(`"${home}"`)) ?? '') as { serial: string };
      breakIt();
      const { stderr } = succeed(run('revoke', 'mailhost'));
      expect(stderr).toContain(`relaycerts: revoked ${home}, serial ${serial}\n`);
      expect(stderr).not.toMatch(/warning|error/u);
      for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
      expect(run('make').stderr).toContain('nothing to make');
      succeed(run('make', '--again', 'mailhost'));
      pins = { ...pins, home: pinOf(home) };
    }
  });

  it('where the CA has expired', () => {
    requireTools('faketime');
    const at = new Date(Date.now() + 4000 * 86_400_000).toISOString().slice(0, 19).replace('T', ' ');
    const result = project.run(['revoke', 'mailhost'], { under: ['faketime', '-f', `@${at}`], env: { TZ: 'UTC' } });
    expect(succeed(result).stderr).toMatch(/warning: .*ca\.crt\.pem" expired/u);
    for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
  });

  it("where another's rekey was cut off and cannot be settled", () => {
    const stderr = revokeWith(() => project.write(`certs/smtp-client/${second}.old.crt.pem`, 'damaged'));
    expect(stderr).toMatch(/warning: .*second\.example\.org\.old\.crt\.pem/u);
    for (const hostname of relays) expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
  });
});

it('a serial in the ledger that is none reaches no path', () => {
  rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
  const lines = project.read('certs/ca/issued.jsonl').replaceAll(/"serial":"[0-9a-f]+"/gu, '"serial":"../../../x"');
  project.write('certs/ca/issued.jsonl', lines);
  const before = treeOf(project.folder);
  expect(run('revoke', 'mailhost').status).toBe(2);
  expect(treeOf(project.folder)).toEqual(before);
});
