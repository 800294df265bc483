// The wizard without a terminal: its lists, its wrapping, its options, and what answers make of settings.

import * as fc from '../support/fast-check.js';
import { describe, expect, test } from 'vitest';
import type { ListedKey } from '../../src/custody/keyring.js';
import { RelaycertsError } from '../../src/errors.js';
import { parseHostName } from '../../src/names.js';
import { parseSettings } from '../../src/settings/schema.js';
import { keyTypes } from '../../src/settings/settings.js';
import { applyAnswers, formatSettings, type JsonObject, type Start } from '../../src/wizard/answers.js';
import { describeMake } from '../../src/wizard/describe.js';
import { gentleRun, keyOption, readSecretKeys } from '../../src/wizard/gnupg.js';
import { holdInterview, type Prompt, type Texts } from '../../src/wizard/interview.js';
import { formatList, parseHostList, parseKeyFingerprints, parseList, parseNumber } from '../../src/wizard/parse.js';
import { questions } from '../../src/wizard/questions.js';
import { wrapText } from '../../src/wizard/wrap.js';

const context = { file: '/srv/mail/settings.json', home: '/home/op', program: 'relaycerts', command: 'relaycerts' };
const domain = parseHostName('example.org');

function startWith(value: JsonObject): Start {
  return { value, settings: parseSettings(value, context) };
}

describe('lists', () => {
  test.each<[string, readonly string[]]>([
    ['', []],
    [' , ,', []],
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
      fc.property(fc.array(item), (items) => {
        expect(parseList(formatList(items))).toEqual(items);
      }),
    );
  });

  test.each([
    ['Relay', ['relay']],
    ['relay, relay2.Example.NET', ['relay', 'relay2.example.net']],
    ['relay.example.org', ['relay.example.org']],
    ['BÜCHER', ['xn--bcher-kva']],
  ])('hosts: %s', (text, hosts) => {
    expect(parseHostList(text, domain)).toEqual(hosts);
  });

  test.each(['', ',', 'a..b', 'relay:2500', '10.0.0.1', '-x', 'a b', '../x', 'a;b', '*.example.org', 'a.'])(
    'no hosts: %j',
    (text) => {
      expect(() => parseHostList(text, domain)).toThrow(RelaycertsError);
    },
  );

  test('fingerprints: with and without spaces and 0x, nothing shorter', () => {
    const hex = '0123456789ABCDEF0123456789ABCDEF01234567';
    const spaced = hex.replaceAll(/(.{4})/gu, '$1 ').trim();
    expect(parseKeyFingerprints(`0x${hex.toLowerCase()}, ${spaced}`)).toEqual([hex, hex]);
    for (const text of ['', hex.slice(2), 'alice@example.org']) {
      expect(() => parseKeyFingerprints(text)).toThrow(RelaycertsError);
    }
  });

  test.each(['', '0', '25', '65536', '1e3', '2500.0', '-1', '0x10', ' ', '９', '99999999999999999999'])(
    'not a port: %j',
    (text) => {
      expect(() => parseNumber(text, ({ smtpdServers }) => smtpdServers.shape.port)).toThrow(RelaycertsError);
    },
  );

  test('a port, with spaces around it', () => {
    expect(parseNumber(' 2500 ', ({ smtpdServers }) => smtpdServers.shape.port)).toBe(2500);
  });
});

describe('wrapping', () => {
  test('no line is as wide as the terminal unless one word is, and no word is lost', () => {
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
  const written = startWith({
    passphrase: { recipients: ['a.asc'], file: 'p.gpg' },
    domain: 'example.org',
    smtpdServers: [
      { altNames: ['x'], hostname: 'Relay1' },
      { hostname: 'relay2', port: 2600, sshUser: 'root' },
    ],
    smtpClients: [{ hostname: 'home.example.org', tlsLogLevel: 2 }],
    certificates: { renewBeforeDays: 7 },
  });

  test('that say what is there change nothing but $schema', () => {
    const value = applyAnswers(written, {
      domain,
      relays: ['relay1', 'relay2'],
      clients: ['home'],
      clientUser: 'root',
      keyType: 'ecdsa-p256',
      validDays: 398,
      recipientsFrom: 'typed',
      recipients: ['a.asc'],
    });
    expect(formatSettings(value)).toBe(formatSettings({ $schema: './settings.schema.json', ...written.value }));
  });

  test('that say something else change that, and keep the rest where it stands', () => {
    const value = applyAnswers(written, {
      relays: ['relay2', 'relay3'],
      relayPort: 2600,
      validDays: 90,
      recipientsFrom: 'operator-key',
    });
    expect(Object.keys(value)).toEqual(['$schema', ...Object.keys(written.value)]);
    expect(value).toMatchObject({
      passphrase: { recipients: [], file: 'p.gpg' },
      smtpdServers: [
        { hostname: 'relay2', port: 2600, sshUser: 'root' },
        { hostname: 'relay3', port: 2600 },
      ],
      smtpClients: written.value['smtpClients'],
      certificates: { renewBeforeDays: 7, validDays: 90 },
    });
  });

  test('a new domain takes the short names along', () => {
    const value = applyAnswers(written, { domain: parseHostName('example.net'), relays: ['relay1'], relayPort: 2500 });
    expect(value).toMatchObject({ domain: 'example.net', smtpdServers: [{ altNames: ['x'], hostname: 'Relay1' }] });
  });

  test('a $schema that is there stays what and where it is', () => {
    const value = applyAnswers(startWith({ ...written.value, $schema: 'mine' }), {});
    expect(value).toEqual({ ...written.value, $schema: 'mine' });
    expect(Object.keys(value).at(-1)).toBe('$schema');
  });

  test('the settings that were started from are not touched', () => {
    const before = JSON.stringify(written.value);
    applyAnswers(written, { relays: ['n'], relayPort: 1, keyType: 'ed25519', recipientsFrom: 'operator-key' });
    expect(JSON.stringify(written.value)).toBe(before);
  });
});

/** Holds an interview whose answers are these texts, and else what Enter takes. */
async function hold(start: Start | undefined, texts: Texts) {
  const asked: [string, Prompt][] = [];
  const refused: [string, string][] = [];
  const notes: string[] = [];
  const result = await holdInterview(
    {
      ...context,
      start,
      keys: () => Promise.resolve({ keys: [], problem: 'none' }),
      proveRecipient: () => Promise.resolve(),
      ask: async (id, prompt) => {
        asked.push([id, prompt]);
        const text = texts[id] ?? prompt.initial;
        const problem = await prompt.check(text);
        if (problem !== undefined) refused.push([id, problem.message]);
        return problem === undefined ? text : undefined;
      },
      note: (line) => notes.push(line),
    },
    {},
  );
  return { ...result, asked, refused, notes };
}

describe('the interview', () => {
  test('every question has an id of its own, a line of why, and fits 40 columns', async () => {
    expect(new Set(questions.map(({ id }) => id)).size).toBe(questions.length);
    for (const { message, why } of questions) {
      expect(`? ${message} `.length).toBeLessThanOrEqual(36);
      expect(why).toMatch(/^[A-Z].*[.]$/u);
    }
    const { asked } = await hold(undefined, { domain: 'example.org' });
    expect(asked.map(([id]) => id)).toEqual(
      questions.map(({ id }) => id).filter((id) => !/Keys|recipients$/u.test(id)),
    );
  });

  test('Enter everywhere, the domain given, is right settings; so it is with every key type', async () => {
    for (const keyType of keyTypes) {
      const { answers, refused } = await hold(undefined, { domain: 'example.org', keyType });
      expect(refused).toEqual([]);
      const settings = parseSettings(applyAnswers(undefined, answers), context);
      expect(settings.certificates.keyType).toBe(keyType);
      expect(describeMake(settings)).toContain('certificates for 1 relay and 1 mail server');
    }
  });

  test('hosts that are asked for later are not compared with the old ones', async () => {
    const start = startWith({
      domain: 'example.org',
      smtpdServers: [{ hostname: 'a' }],
      smtpClients: [{ hostname: 'b' }],
    });
    const { refused, answers } = await hold(start, { relays: 'b', clients: 'a' });
    expect(refused).toEqual([]);
    expect(answers).toMatchObject({ relays: ['b'], clients: ['a'] });
  });

  test.each<[Texts, string, RegExp]>([
    [{ relays: 'x, X' }, 'relays', /^stands already at smtpdServers\[0\]\.hostname/u],
    [{ relays: 'm, x' }, 'clients', /^stands already at smtpdServers\[0\]\.hostname/u],
    [{ clients: 'alias' }, 'clients', /^smtpdServers\[0\]\.altNames\[0\] stands already at smtpClients\[0\]/u],
    [{ relays: 'x.example.net' }, 'relays', /^is outside ca\.permittedDomains/u],
    [{ validDays: '20' }, 'validDays', /^certificates\.renewBeforeDays must be less than/u],
    [{ recipientsFrom: 'typed', recipients: 'a.asc,a.asc' }, 'recipients', /^stands twice: "a\.asc"$/u],
    [{ recipientsFrom: 'typed', recipients: '-x' }, 'recipients', /^not a recipient: "-x"$/u],
    [{ recipientsFrom: 'nobody' }, 'recipientsFrom', /^must be one of operator-key, gnupg, typed: "nobody"$/u],
  ])('%j is refused where it is answered: %s', async (texts, id, message) => {
    const start = startWith({
      domain: 'example.org',
      smtpdServers: [{ hostname: 'r', altNames: ['alias'] }],
      smtpClients: [{ hostname: 'm' }],
      ca: { permittedDomains: ['example.org'] },
    });
    const { refused } = await hold(start, texts);
    expect(refused).toEqual([[id, expect.stringMatching(message)]]);
  });

  test('many hosts, and ports of their own, are passed over with a word', async () => {
    const smtpdServers = [
      { hostname: 'r1', port: 1 },
      { hostname: 'r2', port: 2 },
    ];
    const smtpClients = Array.from({ length: 11 }, (_, index) => ({ hostname: `m${index}` }));
    const { asked, notes, answers } = await hold(startWith({ domain: 'example.org', smtpdServers, smtpClients }), {});
    expect(notes).toEqual([
      'the relays have ports of their own: they stay as they are',
      'the settings have 11 clients: they stay as they are',
    ]);
    expect(asked.map(([id]) => id)).not.toContain('clients');
    expect(answers.clients).toHaveLength(11);
  });
});
