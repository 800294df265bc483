// `relaycerts revoke` if something else is wrong: it succeeds, the tables lose the revoked pin, what it cannot write
// well stays as it is, and what is wrong is reported.

import { spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { chmodSync, chownSync, copyFileSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { certificatesOf } from '../support/answer.js';
import { putMade } from '../support/made-project.js';
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
beforeEach(async () => {
  project = makeProject(
    smallSettings({
      smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
      smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
    }),
  );
  await putMade(project);
  pins = { home: pinOf(home), second: pinOf(second) };
});
afterEach(() => {
  project.remove();
});

const run = (...words: readonly string[]): Promise<Result> => project.run(words);

function pinOf(hostname: string): string {
  const { publicKey } = new X509Certificate(project.read(`certs/smtp-client/${hostname}.crt.pem`));
  const digest = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return digest.toUpperCase().replaceAll(/..(?!$)/gu, '$&:');
}

const table = (hostname: string): string => project.read('hosts', hostname, 'relay_clientcerts');

/** The tree without what a revocation of mailhost changes. */
const others = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(treeOf(project.folder)).filter(
      ([name]) => !name.includes(home) && !/relay_clientcerts|issued\.jsonl|certs\/revoked/u.test(name),
    ),
  );

/** Breaks something, revokes mailhost, and returns the output; only the tables and mailhost's files changed. */
async function revokeWith(breakIt: () => void, isReadable = true): Promise<string> {
  breakIt();
  expect((await run('renew', '--force')).status).toBe(1);
  const before = others();
  const { stderr, stdout } = succeed(await run('revoke', 'mailhost'));
  expect(others()).toEqual(before);
  expect(stderr).toContain(`revoked ${home}, serial `);
  // deploy would refuse this state; the printed commands work.
  expect((await run('deploy', 'relayhost', '--yes')).status).toBe(1);
  const shows = commandsIn(stdout).filter((line) => line.startsWith('relaycerts show '));
  expect(shows.map((line) => line.split(' | ')[0])).toEqual(
    relays.flatMap((name) => [
      `relaycerts show ${name} --section rsync --format sh`,
      `relaycerts show ${name} --format sh`,
    ]),
  );
  for (const line of shows) {
    // What cannot be read has to be fixed first.
    const { status } = await run(...(line.split(' | ')[0] ?? '').split(' ').slice(1));
    expect([line, status]).toEqual([line, isReadable ? 0 : 1]);
  }
  for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
  expect(
    certificatesOf<{ host: string; state: string }>(await run('status', '--json')).find(({ host }) => host === home)
      ?.state,
  ).toBe('revoked');
  return stderr;
}

const key = (hostname: string, role = 'smtp-client'): string => `certs/${role}/${hostname}.key.pem`;

describe('succeeds', () => {
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
  ])('if %s', async (_name, breakIt, said) => {
    const stderr = await revokeWith(breakIt);
    expect(stderr).toMatch(/relaycerts: warning: /u);
    expect(stderr).toMatch(said);
    for (const hostname of relays) expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
  });

  it("if another client's certificate is damaged, which leaves the tables", async () => {
    const path = `certs/smtp-client/${second}.crt.pem`;
    const whole = project.read(path);
    const stderr = await revokeWith(() => project.write(path, 'damaged'), false);
    expect(stderr).toContain(`warning: ${second} is no longer in any table, because its certificate cannot be read`);
    expect(stderr).toContain('hint: fix that, then: relaycerts make\n');
    project.write(path, whole);
    succeed(await run('make'));
    for (const hostname of relays) expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
  });

  it('if its own certificate is damaged or gone, by what the ledger has', async () => {
    for (const breakIt of [
      () => project.write(`certs/smtp-client/${home}.crt.pem`, 'damaged'),
      () => rmSync(project.path(`certs/smtp-client/${home}.crt.pem`)),
    ]) {
      const before = project.read('certs/ca/issued.jsonl').trimEnd().split('\n');
      const { serial } = JSON.parse(before.findLast((line) => line.includes(`"${home}"`)) ?? '') as { serial: string };
      breakIt();
      const { stderr } = succeed(await run('revoke', 'mailhost'));
      expect(stderr).toContain(`relaycerts: revoked ${home}, serial ${serial}\n`);
      expect(stderr).not.toMatch(/warning|error/u);
      for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
      expect((await run('make')).stderr).toContain('nothing to make');
      succeed(await run('make', '--again', 'mailhost'));
      pins = { ...pins, home: pinOf(home) };
    }
  });

  it('if the CA has expired', async () => {
    const now = new Date(Date.now() + 4000 * 86_400_000);
    const result = await project.run(['revoke', 'mailhost'], { now });
    expect(succeed(result).stderr).toMatch(/warning: .*ca\.crt\.pem" expired/u);
    for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
  });

  it('if the table of one relay is too large to be read', async () => {
    const path = project.path('hosts', relay2, 'relay_clientcerts');
    truncateSync(path, (64 << 20) + 1);
    const result = succeed(await run('revoke', 'mailhost'));
    expect(result.stderr).not.toContain('warning');
    for (const hostname of relays) {
      expect(table(hostname)).not.toContain(pins.home);
      expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
    }
    expect(commandsIn(result.stdout)).toContain(`relaycerts show ${relay2} --section rsync --format sh | sh`);
    expect((await run('make')).stderr).toContain('nothing to make');
  });

  it('unless a table belongs to another user; the hint lets it through', () => {
    requireTools('setpriv');
    chmodSync(project.path('hosts', relay, 'relay_clientcerts'), 0o600);
    for (const folder of [project.folder, project.home]) spawnSync('chown', ['-R', '4711:4711', folder]);
    chownSync(project.path('hosts', relay, 'relay_clientcerts'), 0, 0);
    const stranger = ['setpriv', '--reuid=4711', '--regid=4711', '--clear-groups'];
    const before = treeOf(project.folder);
    const refused = project.spawn(['revoke', 'second'], { under: stranger });
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(treeOf(project.folder)).toEqual(before);
    // As root, so that sudo is not needed for it.
    const [, hint = 'exit 99'] = /hint: sudo (chown -R 4711 \S+)\n/u.exec(refused.stderr) ?? [];
    expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    const again = succeed(project.spawn(['revoke', 'second'], { under: stranger }));
    for (const hostname of relays) {
      expect(table(hostname)).not.toContain(pins.second);
    }
    expect(commandsIn(again.stdout)).toContain(installs('relayhost', 'relayhost2'));
  });

  it('and writes the table of a relay whose certificate is gone', async () => {
    rmSync(project.path(`certs/smtpd-server/${relay2}.crt.pem`));
    succeed(await run('revoke', 'mailhost'));
    for (const hostname of relays) expect(table(hostname)).not.toContain(pins.home);
  });

  it('but fails if the bundle of a relay is gone, which has no new table', async () => {
    rmSync(project.path('hosts', relay2), { recursive: true });
    const whole = project.read(key(second));
    project.write(key(second), 'damaged');
    for (let times = 0; times < 2; times += 1) {
      const result = await run('revoke', 'mailhost');
      expect([result.status, commandsIn(result.stdout)]).toEqual([
        1,
        [
          `relaycerts show ${relay} --section rsync --format sh | sh`,
          `relaycerts show ${relay} --format sh | ssh root@${relay} sh`,
          `relaycerts make --again ${home}`,
        ],
      ]);
      expect(result.stderr).toContain(
        `error: ${home} is revoked, but there is no new table for ${relay2}, whose bundle is not here`,
      );
      expect(table(relay)).not.toContain(pins.home);
    }
    expect(JSON.parse((await run('revoke', 'mailhost', '--json')).stdout)).toMatchObject({
      install: [{ host: relay, why: ['table'] }],
      error: { code: 'contradiction', message: expect.stringContaining(relay2) as string },
    });
    // As the hint says.
    project.write(key(second), whole);
    succeed(await run('make'));
    expect(succeed(await run('revoke', 'mailhost')).stdout).toContain(installs('relayhost', 'relayhost2'));
    expect(table(relay2)).not.toContain(pins.home);
  });

  it('and does not name a relay that was never made', async () => {
    project.settings(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }, { hostname: 'new' }],
        smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
      }),
    );
    expect(succeed(await run('revoke', 'mailhost')).stdout).not.toMatch(/^ .* new\b(?! key)/mu);
  });

  it("if another client's old certificate is damaged", async () => {
    const stderr = await revokeWith(() => project.write(`certs/smtp-client/${second}.old.crt.pem`, 'damaged'), false);
    expect(stderr).toMatch(/warning: .*second\.example\.org\.old\.crt\.pem/u);
    for (const hostname of relays) expect(table(hostname)).toContain(`${pins.second} ${second}\n`);
  });
});

it('a serial in the ledger that is not one reaches no path', async () => {
  rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
  rmSync(project.path('hosts', home), { recursive: true });
  const lines = project.read('certs/ca/issued.jsonl').replaceAll(/"serial":"[0-9a-f]+"/gu, '"serial":"../../../x"');
  project.write('certs/ca/issued.jsonl', lines);
  succeed(await run('revoke', 'mailhost'));
  expect(readdirSync(project.path('certs/revoked'))).toEqual([`${home}-unknown.key.pem`]);
  expect((await run('status')).stderr).toContain('damaged lines, which are skipped: 5');
});
