// Certificates made while this machine's clock was ahead, once it is right again: a host's blocks nothing and is
// renewed, the CA's stops everything but its renewal. The program runs with a changed clock; openssl says what verifies
// now.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { runTool } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';

const home = 'mailhost.example.org';
const second = 'second.example.org';
const relay = 'relayhost.example.org';

let project: Project;
beforeEach(() => {
  project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
});
afterEach(() => {
  project.remove();
});

const run = (...words: readonly string[]): Promise<Result> => project.run(words);

/** The command with the clock two days ahead. */
async function ahead(...words: readonly string[]): Promise<Result> {
  const now = new Date(Date.now() + 2 * 86_400_000);
  return succeed(await project.run(words, { now }));
}

/** openssl's verdict on a host's certificate with its own CA file, at this instant. */
function isTaken(hostname: string): boolean {
  const file = (name: string): string => project.path('hosts', hostname, name);
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', file('example.org-ca.crt.pem')];
  return runTool('openssl', ['verify', ...trust, file(`${hostname}.crt.pem`)]).status === 0;
}

interface Row {
  readonly host: string;
  readonly state: string;
  readonly why: string | null;
}

const rows = async (): Promise<readonly Row[]> => certificatesOf<Row>(await run('status', '--json'));

describe("a host's certificate", () => {
  beforeEach(async () => {
    await putMade(project);
    await ahead('renew', '--force', 'mailhost');
    expect(isTaken(home)).toBe(false);
  });

  it('make warns and has nothing to do; status has a state for it', async () => {
    const { stderr } = succeed(await run('make'));
    expect(stderr).toMatch(
      /warning: the certificate of mailhost\.example\.org is not valid before \d{4}-.*Z: the clock was ahead/u,
    );
    expect(stderr).toContain(`hint: if it is right now: relaycerts renew ${home} --force, then install it there\n`);
    expect(stderr).toContain('nothing to make');
    expect((await run('status')).status).toBe(3);
    expect((await rows())[0]).toMatchObject({ host: home, state: 'not-yet-valid' });
    expect((await rows())[0]?.why).toContain(`made: relaycerts renew ${home} --force`);
    expect(await run('status', '--format', 'nagios')).toMatchObject({ status: 2 });
    expect((await run('status', '--format', 'nagios')).stdout).toMatch(
      /CRITICAL - mailhost\.example\.org not-yet-valid/u,
    );
  });

  it('deploy says so before any host refuses it', async () => {
    const { stderr } = succeed(await run('deploy', '--dry-run'));
    expect(stderr).toBe(
      `relaycerts: warning: by this machine's clock, the certificates here are not valid now: ${home}\nrelaycerts: hint: what to do about each: relaycerts status\n`,
    );
  });

  it('the hint fixes it, for the same key', async () => {
    const key = project.read(`certs/smtp-client/${home}.key.pem`);
    succeed(await run('renew', home, '--force'));
    expect(isTaken(home)).toBe(true);
    expect(project.read(`certs/smtp-client/${home}.key.pem`)).toBe(key);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    expect((await run('make')).stderr).not.toContain('warning');
  });

  it('stops neither other hosts nor its own revocation', async () => {
    succeed(await run('renew', '--rekey', 'second'));
    succeed(await run('retire', 'second'));
    succeed(await run('revoke', 'mailhost'));
    expect(project.read(`hosts/${relay}/relay_clientcerts`)).not.toContain(home);
    expect(project.read(`hosts/${relay}/relay_clientcerts`)).toContain(second);
  });

  it('is in no PKCS#12 file, and the hint fixes it', async () => {
    const words = ['export', 'p12', 'mailhost', '--password-fd', '0'];
    const refused = project.spawn(words, { input: 'secret' });
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/is not valid before .*, and it is .* now/u);
    const hint = /hint: .*ahead when this was made: relaycerts (.*)\n/u.exec(refused.stderr)?.[1] ?? '';
    succeed(await run(...hint.split(' ')));
    succeed(project.spawn(words, { input: 'secret' }));
  });
});

describe("the CA's certificate", () => {
  beforeEach(async () => {
    await ahead('make');
  });

  it('stops make and renew, with the clock and its renewal in the hint', async () => {
    const before = treeOf(project.folder);
    for (const words of [['make'], ['renew', '--force']]) {
      const result = await run(...words);
      expect([result.status, result.stdout]).toEqual([1, '']);
      expect(result.stderr).toMatch(/error: the certificate ".*example\.org-ca\.crt\.pem" is not valid before /u);
      expect(result.stderr).toContain(
        "hint: set this machine's clock: timedatectl set-ntp true; if it is right, and was ahead when this was made: relaycerts renew --ca\n",
      );
    }
    expect(treeOf(project.folder)).toEqual(before);
    const ca = (await rows()).find(({ host }) => host === 'example.org relay CA');
    expect(ca?.state).toBe('not-yet-valid');
    expect(ca?.why).toMatch(/made: relaycerts renew --ca$/u);
    // Its own line is enough for each host, because the CA's is the last.
    const leaf = (await rows()).find(({ host }) => host === home);
    expect(leaf?.why).toMatch(/made: relaycerts renew --ca, then relaycerts renew mailhost\.example\.org --force$/u);
  });

  it.each([
    ['for the same key', ['renew', '--ca']],
    ['for a new one', ['renew', '--ca', '--rekey']],
  ])('is mended %s, and then its leaves', async (_name, words) => {
    const first = succeed(await run(...words));
    expect(first.stderr).toMatch(
      /warning: the CA is not valid before \d{4}-.*Z, and this machine's clock says \d{4}-.*Z: /u,
    );
    expect(first.stderr).toContain('if the clock is wrong, set it and run the same command again');
    if (words.length === 3) {
      // Stage 1 does not change the CA that signs; stage 2 signs every certificate again.
      expect((await run('make')).status).toBe(1);
      expect((await rows()).find(({ host }) => host === home)?.why).toMatch(/made: relaycerts renew --ca --rekey$/u);
      succeed(await run(...words));
      expect(isTaken(home)).toBe(true);
      succeed(await run(...words));
    } else {
      expect((await rows()).filter(({ state }) => state === 'not-yet-valid')).toHaveLength(3);
      succeed(await run('renew', '--force'));
    }
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    for (const hostname of [home, second, relay]) expect(isTaken(hostname)).toBe(true);
    expect((await run('make')).stderr).toContain('nothing to make');
  });
});
