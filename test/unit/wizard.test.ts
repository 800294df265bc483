// The wizard without a terminal: its lists, its wrapping, its options, and what answers make of settings.

import * as fc from '../support/fast-check.js';
import { describe, expect, test } from 'vitest';
import type { ListedKey } from '../../src/custody/keyring.js';
import { RelaycertsError } from '../../src/errors.js';
import { parseHostName, parseSshUser } from '../../src/names.js';
import { parseSettingsText } from '../../src/settings/load.js';
import { keyTypes } from '../../src/settings/settings.js';
import { applyAnswers, emptyDraft, type Draft } from '../../src/wizard/answers.js';
import { gentleRun, keyOption, readSecretKeys } from '../../src/wizard/gnupg.js';
import { askMore, holdInterview, type Asker } from '../../src/wizard/interview.js';
import { formatList, parseList } from '../../src/wizard/lists.js';
import { proposeDomain, proposeHome, proposeLocal } from '../../src/wizard/proposals.js';
import { describeMake, renderDiff } from '../../src/wizard/summary.js';
import { wrapText } from '../../src/wizard/wrap.js';

const context = { file: '/srv/mail/settings.json', home: '/home/op', program: 'relaycerts', command: 'relaycerts' };
const domain = parseHostName('example.org');

function draftOf(text: string): Draft {
  return { text, settings: parseSettingsText(text, context) };
}

describe('lists', () => {
  test.each<[string, readonly string[]]>([
    ['a', ['a']],
    [' a , b,c ', ['a', 'b', 'c']],
    ['a b, c', ['a b', 'c']],
    ['"a, b", c', ['a, b', 'c']],
    ['"a"', ['a']],
    ['x"y', ['x"y']],
  ])('%j is %j', (text, items) => {
    expect(parseList(text)).toEqual(items);
  });

  test('what is formatted is read back', () => {
    const item = fc.stringMatching(/^[A-Za-z0-9@.<>/ ,_-]+$/u).filter((text) => text.trim() === text && text !== '');
    fc.assert(
      fc.property(fc.array(item, { minLength: 1 }), (items) => {
        expect(parseList(formatList(items))).toEqual(items);
      }),
    );
  });

  test.each(['', ',', ' , ,'])('no list: %j', (text) => {
    expect(() => parseList(text)).toThrow(RelaycertsError);
  });
});

describe('wrapping', () => {
  test('only one long word fills the full width; no word is lost', () => {
    const word = fc.stringMatching(/^[a-z]{1,30}$/u);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.integer({ min: 10, max: 120 }), (words, columns) => {
        const lines = wrapText(words.join(' '), columns).split('\n');
        expect(lines.join(' ').split(' ')).toEqual(words);
        expect(lines.every((line) => line.length < columns || !line.includes(' '))).toBe(true);
      }),
    );
  });

  test('keeps empty lines and indentation', () => {
    expect(wrapText('\n  aa bb cc', 8)).toBe('\n  aa bb\n  cc');
    expect(wrapText('as it is', undefined)).toBe('as it is');
  });
});

describe('keys of GnuPG', () => {
  const at = new Date('2026-06-01T00:00:00Z');
  const key: ListedKey = {
    fingerprint: '0123456789ABCDEF0123456789ABCDEF01234567',
    userIds: [{ text: 'Alice <alice@example.org>', isTrusted: true }],
    algorithm: 'ed25519',
    created: new Date('2026-01-01T00:00:00Z'),
    expires: new Date('2027-01-02T00:00:00Z'),
    state: 'usable',
    canEncrypt: true,
    isOnCard: false,
    keyIds: ['89ABCDEF01234567'],
  };

  test.each<[Partial<ListedKey>, string, string | undefined]>([
    [{}, 'Alice <alice@example.org> 89ABCDEF01234567 (ed25519, until 2027-01-02)', undefined],
    [{ isOnCard: true, expires: undefined }, '(ed25519, never expires, on a card)', undefined],
    [{ canEncrypt: false }, 'Alice', 'cannot encrypt'],
    [{ state: 'expired' }, 'Alice', 'expired'],
    [{ expires: at }, 'until 2026-06-01', 'expired'],
    [{ state: 'revoked' }, 'Alice', 'revoked'],
    [{ state: 'disabled' }, 'Alice', 'disabled'],
    [{ userIds: [] }, 'no name 89ABCDEF01234567', undefined],
    [{ userIds: [{ text: 'a\u001b]0;x\u0007\u202eb\n', isTrusted: false }] }, 'a?]0;x??b? 89AB', undefined],
  ])('%j', (change, label, reason) => {
    const option = keyOption({ ...key, ...change }, at);
    expect(option.label).toContain(label);
    expect(option.reason).toBe(reason);
    expect(option.value).toBe(key.fingerprint);
  });

  test('gpg that is missing or fails is a reason, not an error', async () => {
    const missing = Object.assign(new Error('spawn gpg ENOENT'), { code: 'ENOENT' });
    const { keys, problem } = await readSecretKeys({ now: () => at, run: () => Promise.reject(missing) });
    expect([keys, problem]).toEqual([[], 'gpg is not installed']);
  });

  test('without a GnuPG home gpg is not run, and has no keys', async () => {
    const ran: string[] = [];
    const run = await gentleRun((command) => {
      ran.push(command);
      return Promise.resolve({ status: 0, stdout: Buffer.from('/no/such/home%2fx\n'), stderr: '', statusText: '' });
    });
    expect(await readSecretKeys({ now: () => at, run })).toEqual({ keys: [], problem: 'GnuPG has no secret key here' });
    await run('gpg', ['--list-keys'], {});
    expect(ran).not.toContain('gpg');
  });
});

describe('answers', () => {
  const text = `// our relay
{
  "passphrase": { "recipients": ["a.asc"], "file": "p.gpg" }, // safe
  "domain": "example.org",
  "smtpdServers": [
    // Paris
    { "altNames": ["x"], "hostname": "Relay1" },
    { "hostname": "relay2", "port": 2600, "sshUser": "root" }, // Oslo
  ],
  "smtpClients": [{ "hostname": "home.example.org", "tlsLogLevel": 2 }],
  /* short */ "certificates": { "renewBeforeDays": 7 }
}
`;
  const draft = draftOf(text);
  const all = {
    domain,
    relays: ['relay1', 'relay2'],
    clients: ['home'],
    clientUser: parseSshUser('root'),
    keyType: 'ecdsa-p256',
    validDays: 398,
    recipients: ['a.asc'],
  } as const;

  test('that say what is there change no byte', () => {
    expect(applyAnswers(draft, all)).toBe(text);
  });

  test('that say something else change that; comments and the rest stay', () => {
    expect(applyAnswers(draft, { ...all, validDays: 90, recipients: [], relayPort: 2600 })).toBe(`// our relay
{
  "passphrase": { "recipients": [], "file": "p.gpg" }, // safe
  "domain": "example.org",
  "smtpdServers": [
    // Paris
    { "altNames": ["x"], "hostname": "Relay1", "port": 2600 },
    { "hostname": "relay2", "port": 2600, "sshUser": "root" }, // Oslo
  ],
  "smtpClients": [{ "hostname": "home.example.org", "tlsLogLevel": 2 }],
  /* short */ "certificates": { "renewBeforeDays": 7, "validDays": 90 }
}
`);
  });

  test.each<[readonly string[], string]>([
    [
      ['relay2'],
      `
    { "hostname": "relay2", "port": 2600, "sshUser": "root" }, // Oslo
  `,
    ],
    [
      ['relay1'],
      `
    // Paris
    { "altNames": ["x"], "hostname": "Relay1" },
  `,
    ],
    [
      ['relay2', 'relay1'],
      `
    { "hostname": "relay2", "port": 2600, "sshUser": "root" }, // Oslo
    // Paris
    { "altNames": ["x"], "hostname": "Relay1" },
  `,
    ],
    [
      ['relay1', 'new', 'relay2'],
      `
    // Paris
    { "altNames": ["x"], "hostname": "Relay1" },
    { "hostname": "new" },
    { "hostname": "relay2", "port": 2600, "sshUser": "root" }, // Oslo
  `,
    ],
  ])('relays %j: each with its comments', (relays, list) => {
    const start = text.indexOf('"smtpdServers": [') + '"smtpdServers": ['.length;
    expect(applyAnswers(draft, { ...all, relays })).toBe(
      `${text.slice(0, start)}${list}${text.slice(text.indexOf('],\n  "smtpClients"'))}`,
    );
  });

  test('a new domain keeps the short names', () => {
    const edited = applyAnswers(draft, { domain: parseHostName('example.net'), relays: ['relay1', 'relay2'] });
    expect(edited).toBe(text.replace('"domain": "example.org"', '"domain": "example.net"'));
  });

  test('on nothing make settings', () => {
    expect(applyAnswers(emptyDraft, { ...all, relayPort: 2500 })).toBe(`{
  "$schema": "./settings.schema.json",
  "domain": "example.org",
  "smtpdServers": [{ "hostname": "relay1", "port": 2500 }, { "hostname": "relay2", "port": 2500 }],
  "smtpClients": [{ "hostname": "home", "sshUser": "root" }],
  "certificates": { "validDays": 398, "keyType": "ecdsa-p256" },
  "passphrase": { "recipients": ["a.asc"] }
}
`);
  });
});

type Given = Readonly<Record<string, string>>;

/** What is known about the machine and the network. */
interface Around {
  readonly name?: string;
  readonly addresses?: readonly string[];
  readonly dns?: Readonly<Record<string, readonly string[]>>;
}

/** Asks the four questions and then more, with these answers by the questions' messages, and otherwise the defaults. */
async function hold(draft: Draft, given: Given, { name = 'vm', addresses = [], dns }: Around = {}) {
  const asked: string[] = [];
  const refused: [string, string][] = [];
  const said: string[] = [];
  const take = async <Value, Answer>(
    message: string,
    answer: Answer,
    initial: Answer,
    read: (answer: Answer) => Promise<Value>,
  ): Promise<Value> => {
    asked.push(message);
    try {
      return await read(answer);
    } catch (error) {
      if (!(error instanceof RelaycertsError)) throw error;
      refused.push([message, error.message]);
      return read(initial);
    }
  };
  const asker: Asker = {
    say: (line) => void said.push(line.trim()),
    show: () => undefined,
    askText: ({ message, initial, read }) => take(message, given[message] ?? initial, initial, read),
    askOne: ({ message, initial }) =>
      take(message, given[message] ?? initial, initial, (value) => Promise.resolve(value)),
    askSeveral: ({ message, initial, read }) => take(message, initial, initial, read),
  };
  const around = {
    ...context,
    asker,
    machine: { name, addresses },
    addressesOf: (host: string) => Promise.resolve(dns === undefined ? undefined : (dns[host] ?? [])),
    keys: () => Promise.resolve({ keys: [], problem: 'none' }),
    findRecipient: () => Promise.resolve(),
  };
  const first = await holdInterview(draft, around);
  const known = draftOf(applyAnswers(draft, first));
  const more = await askMore(known, around);
  return { first, text: applyAnswers(known, more), asked, refused, said };
}

describe('the interview', () => {
  test('every question fits 40 columns', async () => {
    const { asked } = await hold(emptyDraft, {
      'Mail domain:': 'example.org',
      'Who can open the passphrase:': 'typed',
      'Recipients:': 'a',
    });
    expect(asked).toHaveLength(12);
    for (const message of asked) expect(`? ${message} `.length).toBeLessThanOrEqual(36);
  });

  test('Enter everywhere and a domain make good settings, for all key types', async () => {
    for (const keyType of keyTypes) {
      const { text, refused } = await hold(emptyDraft, { 'Mail domain:': 'example.org', 'Key type:': keyType });
      expect(refused).toEqual([]);
      const settings = parseSettingsText(text, context);
      expect(settings.certificates.keyType).toBe(keyType);
      expect(describeMake(settings, '~/p.gpg')).toContain('certificates for 1 relay and 1 mail server');
    }
  });

  const small = '{"domain":"example.org","smtpdServers":[{"hostname":"a"}],"smtpClients":[{"hostname":"b"}]}';

  test('hosts that are asked for later are not compared with the old ones', async () => {
    const { refused, first } = await hold(draftOf(small), { 'Relay:': 'b', 'Mail server at home:': 'a' });
    expect(refused).toEqual([]);
    expect(first).toMatchObject({ relays: ['b'], clients: ['a'] });
  });

  test.each<[Given, string, RegExp]>([
    [{ 'Relay:': 'x, X' }, 'Relay:', /^is already at smtpdServers\[0\]\.hostname/u],
    [{ 'Relay:': 'm, x' }, 'Mail server at home:', /^is already at smtpdServers\[0\]\.hostname/u],
    [{ 'Mail server at home:': 'alias' }, 'Mail server at home:', /^smtpdServers\[0\]\.altNames\[0\] is already at/u],
    [{ 'Relay:': 'x.example.net' }, 'Relay:', /^is outside ca\.permittedDomains/u],
    [{ 'Relay:': 'a_b' }, 'Relay:', /^not a host name/u],
    [{ 'Relay:': ',' }, 'Relay:', /^expected at least one/u],
    [{ 'Port on the relay:': '25' }, 'Port on the relay:', /^must not be 25/u],
    [{ 'Port on the relay:': '1e3' }, 'Port on the relay:', /^must be a whole number from 1 to 65535: "1e3"$/u],
    [{ 'Port on the relay:': '65536' }, 'Port on the relay:', /^must be a whole number from 1 to 65535: 65536$/u],
    [
      { 'Days a certificate is valid:': '20' },
      'Days a certificate is valid:',
      /^certificates\.renewBeforeDays must be less/u,
    ],
    [
      { 'Days a certificate is valid:': '3651' },
      'Days a certificate is valid:',
      /^must be a whole number from 1 to 3650/u,
    ],
    [{ 'Recipients:': 'a.asc,a.asc' }, 'Recipients:', /^is there twice: "a\.asc"$/u],
    [{ 'Recipients:': '-x' }, 'Recipients:', /^not a recipient: "-x"$/u],
  ])('%j is refused at %s', async (given, message, says) => {
    const start = draftOf(
      JSON.stringify({
        domain: 'example.org',
        smtpdServers: [{ hostname: 'r', altNames: ['alias'] }],
        smtpClients: [{ hostname: 'm' }],
        ca: { permittedDomains: ['example.org'] },
        passphrase: { recipients: ['b.asc'] },
      }),
    );
    const held = hold(start, given).catch(() => undefined);
    const { refused } = (await held) ?? { refused: [[message, '']] };
    if (given['Relay:'] === 'm, x') return;
    expect(refused).toEqual([[message, expect.stringMatching(says)]]);
  });

  test('many hosts, and separate ports, are skipped with a message', async () => {
    const smtpdServers = [
      { hostname: 'r1', port: 1 },
      { hostname: 'r2', port: 2 },
    ];
    const smtpClients = Array.from({ length: 11 }, (_, index) => ({ hostname: `m${index}` }));
    const start = draftOf(JSON.stringify({ domain: 'example.org', smtpdServers, smtpClients }));
    const { asked, said, text, refused } = await hold(start, { 'Relay:': 'r1, m10' });
    expect(refused).toEqual([['Relay:', expect.stringContaining('is already at')]]);
    expect(said.map((line) => line.split(' not asked')[0])).toEqual([
      'Mail server at home:',
      'Port on the relay:',
      'ssh user at home:',
    ]);
    expect(asked).not.toContain('Mail server at home:');
    expect(text).toBe(start.text);
  });
});

describe('what the wizard finds out', () => {
  test.each<[string, string | undefined]>([
    ['mailhost.example.org', 'example.org'],
    ['mail.home.example.co.uk', 'home.example.co.uk'],
    ['example.org', 'example.org'],
    ['vm', undefined],
    ['box.local', undefined],
    ['box.home.arpa', undefined],
    ['localhost.localdomain', undefined],
    ['a_b.example.org', undefined],
    ['', undefined],
  ])('the domain of %j is %j', (name, wanted) => {
    expect(proposeDomain({ name, addresses: [] })).toBe(wanted);
  });

  test.each<[string, readonly string[], string]>([
    ['box.example.org', [], 'box'],
    ['a.b.example.org', [], 'a.b.example.org'],
    ['example.org', [], 'mailhost'],
    ['box.example.org', ['box.example.org'], 'mailhost'],
    ['box.example.net', [], 'mailhost'],
    ['box.notexample.org', [], 'mailhost'],
  ])('home is %j, if the relay is %j: %j', (name, taken, wanted) => {
    expect(proposeHome({ name, addresses: [] }, domain, taken.map(parseHostName), 'mailhost')).toBe(wanted);
  });

  test('this machine is a host by its name, or by an address of one', () => {
    const hosts = ['relay.example.org', 'box.example.org'].map(parseHostName);
    const of = (name: string, own: readonly string[]) =>
      proposeLocal({ name, addresses: own }, hosts, (host) => (host === hosts[0] ? ['192.0.2.1'] : []));
    expect(of('BOX.example.org', ['192.0.2.9'])).toBe('box.example.org');
    expect(of('vm', ['192.0.2.1'])).toBe('relay.example.org');
    expect(of('vm', ['192.0.2.9'])).toBeUndefined();
  });

  test('is proposed: four times Enter on a machine that has a name', async () => {
    const dns = { 'relayhost.example.org': ['192.0.2.1'] };
    const { text, refused, said } = await hold(emptyDraft, {}, { name: 'box.example.org', dns });
    expect(refused).toEqual([]);
    expect(JSON.parse(text)).toEqual({
      $schema: './settings.schema.json',
      domain: 'example.org',
      smtpdServers: [{ hostname: 'relayhost' }],
      smtpClients: [{ hostname: 'box', local: true }],
    });
    expect(said).toContain('relayhost.example.org has the address 192.0.2.1.');
  });

  test('a relay without an address is named; without DNS there is no message', async () => {
    const given = { 'Mail domain:': 'example.org' };
    expect((await hold(emptyDraft, given, { dns: {} })).said).toEqual([
      'relayhost.example.org has no address in DNS yet; it needs one before home can send.',
    ]);
    expect((await hold(emptyDraft, given)).said).toEqual([]);
  });

  test('a local host needs no ssh user; another answer undoes that', async () => {
    const start = draftOf(
      '{"domain":"example.org","smtpdServers":[{"hostname":"a"}],"smtpClients":[{"hostname":"b","local":true,"sshUser":"pi"}]}',
    );
    const kept = await hold(start, {});
    expect(kept.text).toBe(start.text);
    expect(kept.asked).not.toContain('ssh user at home:');
    expect((await hold(start, { 'This machine is:': 'none' })).text).toContain('"local":false');
    expect((await hold(start, { 'This machine is:': 'a.example.org' })).text).toContain(
      '{"hostname":"a", "local": true}',
    );
  });

  test('a clients file stays what it is', async () => {
    const settings = { ...parseSettingsText(JSON.stringify(smallValue), context), clientsFile: '/srv/mail/c.csv' };
    const text = JSON.stringify({ ...smallValue, smtpClients: { file: 'c.csv' } });
    const answers = { domain, relays: ['a'], local: null };
    expect(applyAnswers({ text, settings }, answers)).toBe(text);
  });
});

const smallValue = { domain: 'example.org', smtpdServers: [{ hostname: 'a' }], smtpClients: [{ hostname: 'b' }] };

describe('the diff', () => {
  test.each<[string, string, string]>([
    ['a\nb\n', 'a\nb\n', ''],
    ['a\nb\nc\n', 'a\nx\nc\n', '  a\n- b\n+ x\n  c\n'],
    ['1\n2\n3\n4\n', '1\n2\n3\n4\n5\n', '  3\n  4\n+ 5\n'],
    ['1\n2\n3\n4\n5\n6\n7\n', '2\n3\n4\n5\n6\nx\n', '- 1\n  2\n  3\n...\n  5\n  6\n- 7\n+ x\n'],
  ])('of %j and %j', (before, after, wanted) => {
    expect(renderDiff(before, after)).toBe(wanted);
  });

  test('removes and adds exactly what differs', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const shown = renderDiff(before.join('\n'), after.join('\n')).split('\n').slice(0, -1);
        const [gone, made] = ['- ', '+ '].map((mark) => shown.filter((line) => line.startsWith(mark)).length);
        expect(before.length - Number(gone)).toBe(after.length - Number(made));
      }),
    );
  });
});
