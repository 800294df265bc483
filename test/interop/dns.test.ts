// The records that `dns` prints, read by BIND, and `dns --check` against real servers: everything right, every trap that
// a zone can have, and servers that refuse, fail, are slow or lie.

import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkDkimRecord } from '../../src/check/dns-dkim.js';
import { dkimRecordValue, type DkimKey } from '../../src/dns/dkim-record.js';
import { makeLookup } from '../../src/dns/lookup.js';
import { answerOf } from '../support/answer.js';
import { hostName } from '../support/chain.js';
import { answerTo, startBind, startLiar, zoneText, type Bind } from '../support/name-server.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

const rsaKey: DkimKey = {
  domain: hostName('dkim.example'),
  selector: 'rc202611',
  publicKeyDer: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' }),
  keyType: 'rsa-2048',
  state: 'active',
};
const value = dkimRecordValue(rsaKey);
const strings = (text: string, size: number): string =>
  (text.match(new RegExp(`.{1,${size}}`, 'gu')) ?? []).map((one) => `"${one}"`).join(' ');
const relay = 'relayhost A 192.0.2.11\nrelayhost TXT "v=spf1 a -all"\n';
const many = (count: number, line: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => line(at)).join('\n');

const zones = {
  // DMARC is looked for up to there.
  example: '',
  'right.example': 'relayhost A 192.0.2.11\n',
  'two.example': `${relay}@ TXT "v=spf1 a:relayhost.two.example -all"\n@ TXT "v=spf1 -all"\n`,
  'eleven.example': `${relay}@ TXT "v=spf1 include:i0.eleven.example -all"\n${many(11, (at) => `i${at} TXT "v=spf1 include:i${at + 1}.eleven.example -all"`)}\n`,
  'ten.example': `${relay}@ TXT "v=spf1 include:i0.ten.example -all"\n${many(9, (at) => `i${at} TXT "v=spf1 include:i${at + 1}.ten.example -all"`)}\ni9 TXT "v=spf1 ip4:192.0.2.11 -all"\n`,
  'split.example': `${relay}@ TXT "v=spf1 ip4:192." "0.2.11 -all"\n_dmarc TXT "v=DMA" "RC1; p=none"\n`,
  'above.example': 'alias CNAME other.example.net.\n',
  'wild.example': `${relay}* TXT "v=spf1 -all"\n* MX 0 .\n`,
  'unquoted.example': `${relay}@ TXT "v=spf1 a:relayhost.unquoted.example -all"\n_dmarc TXT v=DMARC1; p=reject\n`,
  'screen.example': `${relay}@ TXT "v=spf1 \\027[2J\\007 -all"\n_dmarc TXT "v=DMARC1; p=\\027]0;x\\007"\n`,
  'huge.example': `${relay}@ TXT ${strings(`v=spf1 ${'x'.repeat(40_000)}`, 255)}\n@ TXT "v=spf1 -all"\n${many(100, (at) => `@ MX ${at} m${at}.example.net.`)}\n`,
  'void.example': `${relay}@ TXT "v=spf1 a:x.void.example a:y.void.example a:z.void.example -all"\n`,
  'dkim.example': `rc202611._domainkey TXT ${strings(value, 255)}\nspaces._domainkey TXT ${strings(value.replaceAll(/(.{60})/gu, '$1 '), 100)}\nrevoked._domainkey TXT "v=DKIM1; p="\n`,
  'failing.example': undefined,
  'near.example': `here CNAME two.near.example.\ntwo CNAME there.near.example.\nthere TXT "a"\naway CNAME more.near.example.\nmore CNAME x.elsewhere.test.\n`,
  '2.0.192.in-addr.arpa': '11 PTR relayhost.right.example.\n11 PTR evil\\027x.example.\n',
};

let bind: Bind;
let project: Project;
beforeAll(async () => {
  bind = await startBind(zones);
  project = makeProject();
});
afterAll(async () => {
  project.remove();
  await bind.stop();
});

interface Found {
  readonly check: {
    readonly findings: readonly { readonly id: string; readonly severity: string; readonly message: string }[];
  };
}

/** The findings about a domain, as a server answers; `keep` are those of interest. */
async function check(domain: string, server: string, change: Readonly<Record<string, unknown>> = {}) {
  project.settings(smallSettings({ domain, dns: { spf: 'a' }, ...change }));
  const { status, stdout } = await project.run(['dns', '--check', '--resolver', server, '--json']);
  const { findings } = answerOf<Found>(stdout).check;
  return { status, findings, ids: findings.map(({ id }) => id).filter((id) => !id.startsWith('ptr-')) };
}

describe('what dns prints', () => {
  it('is a zone that named loads, and dns --check finds all of it right', async () => {
    const dns = { dmarc: { reportTo: 'dmarc@right.example' } };
    project.settings(smallSettings({ domain: 'right.example', inbound: { home: 'mailhost' }, dns }));
    const { stdout } = succeed(
      await project.run(['dns', '--format', 'zone', '--mta-sts', 'testing', '--resolver', bind.address]),
    );
    const file = join(bind.folder, 'printed');
    writeFileSync(file, zoneText('right.example', stdout));
    const read = spawnSync('named-checkzone', ['-D', 'right.example', file], { encoding: 'utf8' });
    expect(read.status, read.stdout).toBe(0);
    expect(read.stdout).toMatch(
      /_dmarc\.right\.example\.\s+\d+ IN TXT\s+"v=DMARC1; p=none; rua=mailto:dmarc@right\.example"/u,
    );

    expect((await check('right.example', bind.address, { inbound: { home: 'mailhost' }, dns })).status).toBe(3);
    const reverse = /^; (11\.2\.0\.192\.in-addr\.arpa.*)$/mu.exec(stdout)?.[1] ?? '';
    await bind.replace({ 'right.example': stdout, '2.0.192.in-addr.arpa': reverse });
    const after = await check('right.example', bind.address, { inbound: { home: 'mailhost' }, dns });
    expect(after).toEqual({ status: 0, findings: [], ids: [] });
  });
});

describe('a zone', () => {
  it.each([
    ['with two SPF records', 'two.example', ['spf-several', 'dmarc-missing']],
    ['with eleven look-ups for SPF', 'eleven.example', ['spf-permerror', 'dmarc-missing']],
    ['with ten look-ups for SPF', 'ten.example', ['dmarc-missing']],
    ['with names in SPF that do not exist', 'void.example', ['spf-permerror', 'dmarc-missing']],
    ['with records in several strings', 'split.example', []],
    ['with wildcards', 'wild.example', ['spf-missing', 'dmarc-missing']],
    ['with a DMARC record that a ; cuts', 'unquoted.example', ['dmarc-flawed']],
    ['with what a terminal acts on', 'screen.example', ['spf-permerror', 'dmarc-flawed']],
    ['with huge and many records', 'huge.example', ['dmarc-missing', 'spf-several']],
    [
      'with an alias for the domain',
      'alias.above.example',
      ['domain-alias', 'relay-no-address', 'spf-helo-missing', 'dmarc-missing', 'dns-unknown'],
    ],
  ])('%s', async (_, domain, ids) => {
    const { findings, ids: found } = await check(domain, bind.address);
    expect(found).toEqual(expect.arrayContaining(ids));
    expect(found.length).toBe(ids.length);
    expect(findings.filter(({ message }) => /[\p{Cc}\p{Cf}]/u.test(message) || message.length > 600)).toEqual([]);
  });

  it.each([
    ['in several strings', 'rc202611', []],
    ['with blanks in the key', 'spaces', []],
    ['revoked', 'revoked', ['dkim-revoked']],
    ['missing', 'none', ['dkim-missing']],
  ])('a DKIM record %s', async (_, selector, ids) => {
    const { findings } = await checkDkimRecord({ ...rsaKey, selector }, makeLookup(bind.address));
    expect(findings.map(({ id }) => id)).toEqual(ids);
  });
});

it('an alias of a name that the server does not know is not "no record"', async () => {
  const { txt } = makeLookup(bind.address);
  expect(await txt('here.near.example')).toEqual({ kind: 'found', values: ['a'] });
  expect(await txt('away.near.example')).toEqual({ kind: 'unknown', why: 'the DNS server answers REFUSED' });
  expect(await makeLookup(bind.address).a('here.near.example')).toEqual({ kind: 'absent' });
});

const text = (...parts: readonly string[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part, 'latin1')])));
const garbage = (question: Buffer): Buffer => Buffer.concat([question.subarray(0, 2), Buffer.alloc(30, 0xff)]);
const forged = (question: Buffer): Buffer => {
  const answer = answerTo(question, 0, 16, text('v=spf1 +all'));
  answer[0] = (answer[0] ?? 0) ^ 0xff;
  return answer;
};

describe('a server', () => {
  it.each([
    ['that fails', 'failing.example'],
    ['that refuses', 'refused.test'],
  ])('%s leaves everything unknown', async (_, domain) => {
    const { status, findings } = await check(domain, bind.address);
    expect(new Set(findings.map(({ severity }) => severity))).toEqual(new Set(['unknown']));
    expect(status).toBe(0);
  });

  it('that is silent, forged, malformed or not there leaves everything unknown, in seconds', async () => {
    const servers = await Promise.all([
      startLiar(() => undefined),
      startLiar(forged),
      startLiar(garbage),
      startLiar((question) => answerTo(question, 4)),
      startLiar((question) => answerTo(question, 1)),
    ]);
    const begun = performance.now();
    const [{ status, findings }, ...answers] = await Promise.all([
      check('a.example', servers[0].address),
      ...[...servers.map(({ address }) => address), '127.0.0.1:1'].map((address) =>
        makeLookup(address).txt('a.example'),
      ),
    ]);
    expect(answers.map(({ kind }) => kind)).toEqual(Array.from({ length: 6 }, () => 'unknown'));
    expect(new Set(findings.map(({ id }) => id))).toEqual(new Set(['dns-unknown']));
    expect(status).toBe(0);
    expect(performance.now() - begun).toBeLessThan(240_000);
    await Promise.all(servers.map((server) => server.stop()));
  });

  it('that answers everything with one text has no record right', async () => {
    const liar = await startLiar((question) => {
      const type = question[question.indexOf(0, 12) + 2];
      if (type === 16) return answerTo(question, 0, 16, text('v=spf1 +all \u001B[2J', '\u0007'), text('p=none'));
      return type === 1 ? answerTo(question, 0, 1, Buffer.from([192, 0, 2, 1])) : answerTo(question, 3);
    });
    const { ids, findings } = await check('lies.example', liar.address);
    expect(ids.toSorted()).toEqual(['dmarc-missing', 'spf-permerror', 'spf-permerror']);
    expect(findings.map(({ id }) => id)).toContain('ptr-missing');
    await liar.stop();
  });
});

describe('check', () => {
  it('looks at the DNS if the settings are about more than relaying', async () => {
    const dns = { resolver: bind.address };
    const foundOf = async (change: Readonly<Record<string, unknown>>) => {
      project.settings(smallSettings({ domain: 'two.example', ...change }));
      const { stdout } = await project.run(['check', '--json']);
      return answerOf<Found['check']>(stdout).findings.map(({ id }) => id);
    };
    expect(await foundOf({ dns })).toContain('spf-several');
    expect((await foundOf({})).filter((id) => !/^(?:state|project)-/u.test(id))).toEqual([]);
    project.settings(smallSettings({ domain: 'two.example', dns }));
    const offline = await project.run(['check', '--offline', '--json']);
    expect(offline.stdout).not.toContain('spf-');
  });
});

describe('the command line', () => {
  it('refuses a server that is no address, and a format with --check', async () => {
    for (const words of [
      ['--resolver', 'dns.example'],
      ['--resolver', '192.0.2.1:99999'],
      ['--check', '--format', 'zone'],
      // Without inbound in the settings.
      ['--mta-sts', 'testing', '--resolver', bind.address],
    ]) {
      const { status, stderr } = await project.run(['dns', ...words]);
      expect(status).toBe(2);
      expect(stderr).toContain('relaycerts: hint: ');
    }
  });

  it('needs the certificate for --tlsa', async () => {
    project.settings(smallSettings());
    const { status, stderr } = await project.run(['dns', '--tlsa', '--resolver', bind.address]);
    expect([status, stderr]).toEqual([1, expect.stringContaining('relaycerts make')]);
  });
});
