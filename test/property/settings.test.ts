// Settings survive a round trip: a file's values come out typed, and written as a file again mean the same. Any JSON
// value is refused with an error that names a place, or parses; and texts that JSON.parse accepts are read as it reads
// them. RELAYCERTS_DEEP=1 tries fifty times more.

import * as fc from '../support/fast-check.js';
import { expect, test } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { parseJsonc } from '../../src/settings/jsonc.js';
import { parseSettings } from '../../src/settings/schema.js';
import {
  hostsOf,
  keyTypes,
  mailPrograms,
  tableTypes,
  type HostSettings,
  type Settings,
} from '../../src/settings/settings.js';
import { badSettings, smallest } from '../support/bad-settings.js';
import { refusalOf } from '../support/refusal.js';

const factor = process.env['RELAYCERTS_DEEP'] === '1' ? 50 : 1;
const context = {
  file: '/srv/mail/settings.json',
  home: '/home/postmaster',
  program: 'relaycerts',
  command: 'relaycerts',
};

const label = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,15}[a-z0-9])?$/).filter((each) => !each.startsWith('xn--'));
const idn = fc.constantFrom('b\u00fccher', 'stra\u00dfe', '\u4f8b\u5b50', '\u03c0');
const name = fc.oneof(
  { weight: 4, arbitrary: label },
  { weight: 1, arbitrary: idn },
  { weight: 2, arbitrary: fc.tuple(label, label, label).map((labels) => labels.join('.')) },
);
const words = fc
  .array(fc.oneof(label, fc.constantFrom('\u00c5', '\u5bb6', '$(id)', '"', "'", '\\', ';', '`', '\u{20000}')), {
    minLength: 1,
    maxLength: 5,
  })
  .map((parts) => Array.from(parts.join(' ')).slice(0, 64).join('').trim());
const port = fc.integer({ min: 1, max: 65535 }).filter((each) => each !== 25);
const ssh = {
  sshUser: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/),
  sshHost: fc.oneof(label, fc.ipV4()),
  sshPort: fc.integer({ min: 1, max: 65535 }),
  tlsLogLevel: fc.integer({ min: 0, max: 4 }),
};

const someSenders = fc.uniqueArray(
  fc.oneof(
    fc.tuple(label, label).map((labels) => labels.join('.')),
    fc.tuple(fc.stringMatching(/^[A-Za-z0-9_+-]{1,32}$/), label).map(([local, host]) => `${local}@${host}.example.org`),
  ),
  { minLength: 1, maxLength: 5 },
);

const overrides = fc.record(
  {
    smtpd_milters: fc.tuple(fc.ipV4(), port).map(([address, number]) => `inet:${address}:${String(number)}`),
    message_size_limit: fc.nat({ max: 999_999_999 }).map(String),
    smtpd_timeout: fc.integer({ min: 1, max: 999 }).map((seconds) => `${String(seconds)}s`),
  },
  { requiredKeys: [] },
);

/** Any settings file that should parse, keys left out at will; names are told apart by a number. */
const file = fc
  .record({
    domain: fc.tuple(fc.oneof(label, idn), label).map((labels) => labels.join('.')),
    names: fc.array(name, { minLength: 2, maxLength: 9 }),
    servers: fc.integer({ min: 1, max: 8 }),
    server: fc.record({ port, overrides, ...ssh }, { requiredKeys: [] }),
    client: fc.record(
      { program: fc.constantFrom(...mailPrograms), programUser: ssh.sshUser, senders: someSenders, ...ssh },
      { requiredKeys: [] },
    ),
    sections: fc.record(
      {
        subject: fc.record(
          {
            country: fc.stringMatching(/^[A-Za-z]{2}$/),
            state: words,
            locality: words,
            organization: words,
            organizationalUnit: words,
          },
          { requiredKeys: [] },
        ),
        ca: fc.record(
          {
            commonName: words.map((each) => Array.from(`CA ${each}`).slice(0, 64).join('').trim()),
            validDays: fc.integer({ min: 1, max: 36500 }),
            keyType: fc.constantFrom(...keyTypes),
          },
          { requiredKeys: [] },
        ),
        certificates: fc.record(
          {
            validDays: fc.integer({ min: 31, max: 3650 }),
            keyType: fc.constantFrom(...keyTypes),
            renewBeforeDays: fc.integer({ min: 0, max: 30 }),
          },
          { requiredKeys: [] },
        ),
        passphrase: fc.record(
          {
            file: fc.oneof(
              label,
              label.map((each) => `~/${each}`),
              label.map((each) => `/root/${each}`),
            ),
            recipients: fc.uniqueArray(
              fc.oneof(
                label,
                label.map((each) => `${each}@example.org`),
              ),
            ),
          },
          { requiredKeys: [] },
        ),
        postfix: fc.record(
          {
            directory: fc.tuple(label, label).map(([one, two]) => `/opt/${one}/${two}`),
            tableType: fc.constantFrom(...tableTypes),
            pin: fc.constantFrom('public-key', 'certificate'),
            unlisted: fc.constantFrom('defer', 'reject'),
            masterChroot: fc.constantFrom('y', 'n', '-'),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ domain, names, servers, server, client, sections }) => {
    const distinct = names.map((each, index) => `h${String(index)}-${each}`);
    const relays = Math.min(servers, names.length - 1);
    return {
      domain,
      smtpdServers: distinct.slice(0, relays).map((hostname, index) => ({
        hostname,
        ...server,
        ...(index === 0 ? { altNames: ['z-alt', 'z-alt.example.net'] } : {}),
      })),
      smtpClients: distinct.slice(relays).map((hostname, index) => ({
        hostname,
        ...client,
        ...(index === 0 ? { altNames: ['y-alt', 'y-alt.example.net'] } : {}),
      })),
      ...sections,
    };
  });

function writeHost(settings: HostSettings): object {
  const { hostname, altNames, tlsLogLevel, ssh: login } = settings;
  const host = { hostname, altNames, tlsLogLevel, sshUser: login.user, sshHost: login.host, sshPort: login.port };
  if (settings.role === 'smtpd-server') return { ...host, port: settings.port, overrides: settings.overrides };
  const { program, programUser, senders } = settings;
  return { ...host, program, programUser, ...(senders.length === 0 ? {} : { senders }) };
}

/** A settings file with every value of the settings. */
function writeFile(settings: Settings): unknown {
  const { domain, subject, smtpdServers, smtpClients, ca, certificates, passphrase, postfix } = settings;
  return {
    domain,
    ca,
    certificates,
    passphrase,
    postfix,
    smtpdServers: smtpdServers.map(writeHost),
    smtpClients: smtpClients.map(writeHost),
    subject: Object.fromEntries(Object.entries(subject).filter(([, value]) => value !== '')),
  };
}

test('settings go round', () => {
  fc.assert(
    fc.property(file, (value) => {
      const settings = parseSettings(value, context);
      expect(parseSettings(writeFile(settings), context)).toEqual(settings);
      expect(parseSettings(JSON.parse(JSON.stringify(value)), context)).toEqual(settings);
      const hosts = hostsOf(settings);
      expect(hosts).toHaveLength(value.smtpdServers.length + value.smtpClients.length);
      expect(new Set(hosts.map(({ hostname }) => hostname)).size).toBe(hosts.length);
      for (const { hostname } of hosts) expect(hostname).toMatch(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/);
      expect(settings.passphrase.file).toMatch(/^\//);
    }),
    { numRuns: 200 * factor },
  );
});

function expectRefusalOrSettings(value: unknown): void {
  try {
    parseSettings(value, context);
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    expect(error.code).toBe('settings');
    expect(error.problems.length).toBeGreaterThan(0);
    for (const { message, hint } of error.problems) {
      expect(message).toMatch(/^settings\.json: ./);
      expect(hint).toMatch(/./);
    }
  }
}

test('any JSON value is refused in words, or parses', () => {
  fc.assert(fc.property(fc.jsonValue(), expectRefusalOrSettings), { numRuns: 300 * factor });
});

test('so is any JSON value anywhere in settings', () => {
  const places = ['domain', 'smtpdServers', 'smtpClients', 'subject', 'ca', 'certificates', 'passphrase', 'postfix'];
  const keys = [
    'hostname',
    'port',
    'altNames',
    'sshHost',
    'state',
    'commonName',
    'permittedDomains',
    'validDays',
    '__proto__',
  ];
  const entries = fc.tuple(
    fc.constantFrom(...keys, 'file', 'recipients', 'directory', 'renewBeforeDays'),
    fc.jsonValue(),
  );
  const nested = entries.map(([key, value]): unknown =>
    JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`),
  );
  const changes = fc.tuple(fc.constantFrom(...places), fc.oneof(fc.jsonValue(), nested, fc.array(nested)));
  fc.assert(
    fc.property(changes, ([place, value]) => {
      expectRefusalOrSettings({ ...smallest, [place]: value });
    }),
    { numRuns: 500 * factor },
  );
});

test('accepts what JSON.parse does, plus comments and trailing commas', () => {
  const nearly = fc
    .tuple(
      fc.json({ maxDepth: 4 }),
      fc.nat(),
      fc.nat({ max: 3 }),
      fc.constantFrom('', ',', '"', '{', '}', '[', ':', '\\', '0', '-', '\n', '\t', 'e', '.', '//', '\u2028', ' '),
    )
    .map(([json, at, cut, put]) => {
      const offset = at % (json.length + 1);
      return json.slice(0, offset) + put + json.slice(offset + cut);
    });
  fc.assert(
    fc.property(fc.oneof(nearly, fc.json(), fc.string()), (text) => {
      const parsed = parseJsonc(text);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        if ('value' in parsed) expect(text).toMatch(/\/\/|\/\*|,\s*[\]}]/u);
        return;
      }
      const flaws = 'flaws' in parsed ? parsed.flaws : [];
      for (const { what } of flaws) expect(what).toMatch(/is there twice in one object$/u);
      if ('value' in parsed) expect(JSON.stringify(parsed.value)).toBe(JSON.stringify(value));
    }),
    { numRuns: 2000 * factor },
  );
});

test('one bad value among good ones is reported', () => {
  const alone = badSettings.filter(({ at }) => at !== '' && !/^domain|^subject/.test(at));
  fc.assert(
    fc.property(fc.constantFrom(...alone), words, ({ value, at, says }, organizationalUnit) => {
      const changed = Object.assign({}, value, { subject: { organizationalUnit } });
      const { problems } = refusalOf(() => parseSettings(changed, context));
      expect(problems.some(({ message }) => message.includes(at) && message.includes(says))).toBe(true);
    }),
    { numRuns: 200 * factor },
  );
});
