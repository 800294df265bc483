// DKIM keys as make, show, backup and clean know them. What OpenDKIM does with them is in test/e2e/dkim.test.ts.

import { copyFileSync, readFileSync, writeFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

const at = new Date('2026-11-27T12:00:00Z');
const key = 'certs/dkim/example.org.rc202611.key.pem';

let project: Project;
beforeEach(() => {
  project = makeProject(smallSettings({ dkim: {} }));
});
afterEach(() => {
  project.remove();
});

const make = async () => succeed(await project.run(['make'], { now: at }));

describe('make with dkim', () => {
  it('makes a key for root only, in the bundle of the relay and no other', async () => {
    const { stderr } = await make();
    expect(stderr).toContain('made the DKIM key of example.org, selector rc202611, rsa-2048');
    expect(stderr).not.toContain('Ed25519');
    expect(statSync(project.path(key)).mode & 0o777).toBe(0o600);
    const bundle = readdirSync(project.path('hosts/relayhost.example.org'));
    expect(bundle).toContain('example.org.dkim.key.pem');
    expect(statSync(project.path('hosts/relayhost.example.org/example.org.dkim.key.pem')).mode & 0o777).toBe(0o600);
    expect(readdirSync(project.path('hosts/mailhost.example.org')).filter((name) => /dkim/u.test(name))).toEqual([]);
    expect(project.read('certs/ca/issued.jsonl')).toContain('"event":"made","role":"dkim","name":"example.org"');
    const again = await make();
    expect(again.stderr).toContain('nothing to make');
    const ledger = await project.run(['status'], { now: at });
    expect(ledger.stderr).not.toContain('damaged');
  });

  it('adds a key to a project without opening the passphrase', async () => {
    project.settings(smallSettings());
    await make();
    expect(existsSync(project.path('certs/dkim'))).toBe(false);
    expect((await project.run(['show', 'relayhost'])).stdout).not.toMatch(/opendkim|milter_macro/u);
    project.settings(smallSettings({ dkim: { signAt: 'home', keyType: 'ed25519' } }));
    const { stderr } = succeed(await project.run(['make'], { now: at, env: { PATH: '/nowhere' } }));
    expect(stderr).not.toContain('dkim.keyType is');
    expect(stderr).toContain('few receivers verify DKIM signatures of Ed25519 keys');
    expect(project.read('hosts/mailhost.example.org/opendkim.conf')).toContain('SignatureAlgorithm ed25519-sha256\n');
    expect(existsSync(project.path('hosts/relayhost.example.org/opendkim.conf'))).toBe(false);
  });

  it('says that another type of key waits for the next change of keys, and so does status', async () => {
    await make();
    project.settings(smallSettings({ dkim: { keyType: 'ed25519' } }));
    const words = 'dkim.keyType is "ed25519", but the DKIM key rc202611 is rsa-2048';
    expect((await make()).stderr).toContain(words);
    expect((await project.run(['status'], { now: at })).stderr).toContain(words);
    succeed(await project.run(['renew', '--dkim'], { now: at }));
    expect((await make()).stderr).not.toContain(words);
  });

  it.each([
    ['a missing key', () => project.write(key, ''), /example\.org\.rc202611\.key\.pem/u],
    ['a damaged list', () => project.write('certs/dkim/selectors.json', '{}'), /selectors\.json.* is damaged/u],
  ])('makes no other key in place of %s', async (_, damage, words) => {
    await make();
    damage();
    const { status, stderr } = await project.run(['make'], { now: at });
    expect(status).toBe(1);
    expect(stderr).toMatch(words);
    expect(readdirSync(project.path('certs/dkim'))).toHaveLength(2);
  });
});

describe('the record of a new key', () => {
  const publish = 'First publish the DNS record of the new DKIM key, which this prints:\n  relaycerts dns\nNow run:\n';
  const domains = ['example.org', 'example.com'];

  it('is to be published before the deploy, whenever make makes a key', async () => {
    expect((await make()).stdout).toContain(publish);
    expect((await make()).stdout).toBe('');
    project.settings(smallSettings({ dkim: { domains } }));
    expect((await make()).stdout).toContain(publish);
    expect((await project.run(['dns'], { now: at })).stdout).toMatch(/rc202611\._domainkey\.example\.com/u);
  });

  it('is not named if make makes no key', async () => {
    await make();
    project.settings(smallSettings({ dkim: {}, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'other' }] }));
    const { stdout } = await make();
    expect(stdout).toMatch(/^Now run:\n/u);
    expect(stdout).not.toContain('DKIM');
  });
});

describe('a DKIM key', () => {
  it('is in a backup, with what it is for, and comes back', async () => {
    await make();
    const password = 'a long password of the backup';
    expect(project.spawn(['backup', 'b.gpg', '--password-fd', '0'], { input: password }).status).toBe(0);
    const other = makeProject(null);
    try {
      const restored = other.spawn(['restore', project.path('b.gpg'), '--password-fd', '0'], { input: password });
      expect(restored.status, restored.stderr).toBe(0);
      expect(other.read(key)).toBe(project.read(key));
      expect(other.read('certs/dkim/selectors.json')).toBe(project.read('certs/dkim/selectors.json'));
    } finally {
      other.remove();
    }
  });

  it('goes with clean', async () => {
    await make();
    succeed(await project.run(['clean', '--yes']));
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });
});

describe('renew --dkim', () => {
  it('makes the next key, and says which record to publish', async () => {
    await make();
    const { stdout } = succeed(await project.run(['renew', '--dkim', '--json'], { now: at }));
    const { dkim } = answerOf<{ readonly dkim: unknown }>(stdout);
    expect(dkim).toMatchObject({ stage: 'made', keys: [{ selector: 'rc202611b', state: 'published-next' }] });
    const status = await project.run(['status'], { now: at });
    expect(status.stderr).toContain('the next DKIM key rc202611b, made just now, signs once its record is in the DNS');
    // The bundle still has the key that signs.
    expect(project.read('hosts/relayhost.example.org/opendkim.KeyTable')).toContain(':rc202611:');
  });

  it('with --force names a host that is not known to sign with the new key', async () => {
    await make();
    copyFileSync(project.path(key), project.path(key.replace('rc202611', 'rc202610')));
    const former = { domain: 'example.org', selector: 'rc202610', keyType: 'rsa-2048', state: 'former', since: at };
    const file = project.path('certs/dkim/selectors.json');
    const known = readFileSync(file, 'utf8');
    writeFileSync(file, known.replace('"selectors": [', `"selectors": [${JSON.stringify(former)},`));
    const { stderr } = succeed(await project.run(['renew', '--dkim', '--force'], { now: at }));
    expect(stderr).toMatch(
      /warning: relayhost\.example\.org was not seen to sign .*\n.*deploy relayhost\.example\.org/u,
    );
    expect(stderr).toContain('removed the former DKIM key of example.org, rc202610');
  });

  it('says what is missing without dkim in the settings', async () => {
    project.settings(smallSettings());
    await make();
    const { status, stderr } = await project.run(['renew', '--dkim']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/ask for no DKIM signatures\nrelaycerts: hint: add "dkim": \{\}/u);
  });
});
