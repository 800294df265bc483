// The settings file: what parses and its result, what is refused with which words, that the JSON Schema agrees with the
// parser (judged by ajv), and that reading from disk ends well whatever is at the path.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderError, renderHint, type RelaycertsError } from '../../src/errors.js';
import { parseJsonc } from '../../src/settings/jsonc.js';
import { readSettings } from '../../src/settings/load.js';
import { parseSettings, settingsJsonSchema } from '../../src/settings/schema.js';
import { badSettings, smallest } from '../support/bad-settings.js';
import { refusalOf, rejectionOf } from '../support/refusal.js';

const context = {
  file: '/srv/mail/settings.json',
  home: '/home/postmaster',
  program: 'relaycerts',
  command: 'relaycerts',
};
const repository = new URL('../../', import.meta.url);

describe('good settings', () => {
  test('the smallest get every default', () => {
    const { smtpdServers, smtpClients, ...rest } = parseSettings(smallest, context);
    expect(smtpdServers).toEqual([
      {
        role: 'smtpd-server',
        hostname: 'relayhost.example.org',
        port: 2500,
        altNames: [],
        isInbound: false,
        ssh: { isLocal: false, needsSudo: false, user: 'root', host: 'relayhost.example.org', port: 22 },
        tlsLogLevel: 1,
        overrides: {},
      },
    ]);
    expect(smtpClients).toEqual([
      {
        role: 'smtp-client',
        hostname: 'mailhost.example.org',
        altNames: [],
        isInbound: false,
        ssh: { isLocal: false, needsSudo: false, user: 'root', host: 'mailhost.example.org', port: 22 },
        tlsLogLevel: 1,
        program: 'postfix',
        programUser: 'root',
        senders: [],
      },
    ]);
    expect(rest).toEqual({
      file: '/srv/mail/settings.json',
      folder: '/srv/mail',
      program: 'relaycerts',
      command: 'relaycerts',
      domain: 'example.org',
      subject: { country: '', state: '', locality: '', organization: '', organizationalUnit: '' },
      ca: { commonName: 'example.org relay CA', validDays: 3650, keyType: 'ecdsa-p256', permittedDomains: [] },
      certificates: { validDays: 398, keyType: 'ecdsa-p256', renewBeforeDays: 30 },
      passphrase: { file: '/home/postmaster/.example.org-relaycerts-passphrase.gpg', recipients: [] },
      postfix: {
        directory: '/etc/postfix/relaycerts/example.org',
        tableType: 'texthash',
        pin: 'public-key',
        unlisted: 'defer',
        masterChroot: 'y',
      },
      inbound: undefined,
      tunnel: { user: 'relaycerts-tunnel', listen: 2525 },
      hasIdleTunnel: false,
      dkim: undefined,
      dns: { spf: 'mx', dmarc: { policy: 'none', reportTo: undefined }, resolver: undefined },
      relayPort25: undefined,
    });
  });

  test('names are completed, lower-cased and turned into A-labels', () => {
    const settings = parseSettings(
      {
        ...smallest,
        domain: 'B\u00fccher.Example',
        smtpdServers: [{ hostname: 'RELAY', altNames: ['relay.example.net'], sshHost: '2001:db8::1' }],
      },
      context,
    );
    expect(settings.domain).toBe('xn--bcher-kva.example');
    expect(settings.smtpdServers[0].hostname).toBe('relay.xn--bcher-kva.example');
    expect(settings.smtpdServers[0].altNames).toEqual(['relay.example.net']);
    expect(settings.smtpdServers[0].ssh.host).toBe('2001:db8::1');
    expect(settings.passphrase.file).toBe('/home/postmaster/.xn--bcher-kva.example-relaycerts-passphrase.gpg');
  });

  test.each([
    ['~/x.gpg', '/home/postmaster/x.gpg'],
    ['x.gpg', '/srv/mail/x.gpg'],
    ['../x.gpg', '/srv/x.gpg'],
    ['/root/x y.gpg', '/root/x y.gpg'],
  ])('passphrase file %j is %j', (file, path) => {
    expect(parseSettings({ ...smallest, passphrase: { file } }, context).passphrase.file).toBe(path);
  });

  test("a CA's default name fits its 64 characters", () => {
    const domain = `${'a'.repeat(50)}.example`;
    expect(parseSettings({ ...smallest, domain }, context).ca.commonName).toBe('relay CA');
    expect(parseSettings({ ...smallest, domain: domain.slice(3) }, context).ca.commonName).toHaveLength(64);
  });

  test('attributes are counted in characters, not in UTF-16 units', () => {
    const organization = '\u{20000}'.repeat(64);
    expect(parseSettings({ ...smallest, subject: { organization } }, context).subject.organization).toBe(organization);
  });

  test('5000 clients parse', () => {
    const smtpClients = Array.from({ length: 5000 }, (_, index) => ({ hostname: `client${String(index)}` }));
    expect(parseSettings({ ...smallest, smtpClients }, context).smtpClients).toHaveLength(5000);
  });
});

describe('bad settings', () => {
  test('the table is long enough and its rows have unique names', () => {
    expect(badSettings.length).toBeGreaterThanOrEqual(60);
    expect(new Set(badSettings.map(({ name }) => name)).size).toBe(badSettings.length);
  });

  test.each(badSettings)('$name', ({ value, at, says }) => {
    const error = refusalOf(() => parseSettings(value, context));
    expect(error.code).toBe('settings');
    const start = at === '' ? 'settings.json: ' : `settings.json: ${at}: `;
    const messages = error.problems.map(({ message }) => message);
    const problem = error.problems.find(({ message }) => message.startsWith(start) && message.includes(says));
    expect(problem, `expected ${start}...${says}... among ${messages.join('\n')}`).toBeDefined();
    for (const { message, hint } of error.problems) {
      expect(hint).toMatch(/./);
      expect(`${message}${renderHint(hint ?? '', 'relaycerts')}`).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
      expect(message).not.toMatch(/invalid input/i);
    }
  });

  test('every problem is reported at once, each place once', () => {
    const error = refusalOf(() =>
      parseSettings(
        {
          domain: 'example.org',
          smtpdServers: [{ hostname: 'a', port: '25' }, { hostname: 'a' }],
          smtpClients: [{ hostname: '$(id)' }, { hostname: 'a', sshUsr: 'root' }],
          passphrase: 'hunter2',
        },
        context,
      ),
    );
    expect(error.message).toBe('settings.json: 6 problems');
    expect(error.problems.map(({ message }) => message.split(': ')[1])).toEqual([
      'smtpdServers[0].port',
      'smtpClients[0].hostname',
      'smtpClients[1]',
      'passphrase',
      'smtpdServers[1].hostname',
      'smtpClients[1].hostname',
    ]);
    expect(renderError(error).join('\n')).not.toContain('hunter2');
  });

  test.each([
    [36500, 'write 3650'],
    [0, 'write 1'],
    [397.6, 'write 398'],
    ['398', 'write a number without quotes, for example 398'],
  ])('a number that is not allowed: the hint for %j is %s', (validDays, hint) => {
    expect(refusalOf(() => parseSettings({ ...smallest, certificates: { validDays } }, context)).hint).toBe(hint);
  });

  test('one problem is the error itself', () => {
    const error = refusalOf(() => parseSettings({ ...smallest, domain: 'a b.c' }, context));
    expect(error.message).toBe(
      'settings.json: domain: not a host name (it has a character that no DNS name has): "a b.c"',
    );
    expect(error.hint).toContain('relayhost.example.org');
  });

  test('no key of the file pollutes a prototype', () => {
    const value: unknown = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"ca":{"__proto__":{"validDays":1}}}',
    );
    const messages = refusalOf(() => parseSettings(value, context)).problems.map(({ message }) => message);
    expect(messages).toContain('settings.json: unknown key "__proto__"');
    expect(messages).toContain('settings.json: unknown key "constructor"');
    expect(messages).toContain('settings.json: ca: unknown key "__proto__"');
    expect('polluted' in {}).toBe(false);
  });

  test('without a home folder a path under ~/ is refused, another is not', () => {
    const homeless = { ...context, home: '' };
    expect(refusalOf(() => parseSettings(smallest, homeless)).message).toContain(
      'passphrase.file: there is no home folder',
    );
    expect(parseSettings({ ...smallest, passphrase: { file: '/x/y' } }, homeless).passphrase.file).toBe('/x/y');
  });

  test("a settings file's own odd name is quoted", () => {
    const file = '/srv/a\nb.json';
    expect(refusalOf(() => parseSettings([], { ...context, file })).message).toMatch(/^"a\\nb\.json": must be/);
  });
});

describe('the JSON Schema', () => {
  const validate = new Ajv2020({ allErrors: true, strict: true }).compile(settingsJsonSchema());

  test('on disk is the one that the source gives', async () => {
    const text = await readFile(new URL('settings.schema.json', repository), 'utf8');
    expect(JSON.parse(text)).toEqual(settingsJsonSchema());
  });

  test.each(badSettings)('judges as the parser does: $name', ({ value, only }) => {
    expect(validate(value)).toBe(only !== undefined);
  });

  test.each([
    ['the smallest', smallest],
    ['an IDN', { ...smallest, domain: 'b\u00fccher.example', smtpClients: [{ hostname: '\u05d0\u05d1\u05d2' }] }],
    ['a label of digits', { ...smallest, smtpClients: [{ hostname: '1234' }] }],
    ['the longest label', { ...smallest, smtpClients: [{ hostname: 'a'.repeat(63) }] }],
    [
      'every key',
      {
        $schema: './settings.schema.json',
        domain: 'example.org',
        smtpdServers: [
          {
            hostname: 'r',
            port: 1,
            altNames: ['s'],
            sshUser: '_u',
            sshHost: '::1',
            sshPort: 65535,
            tlsLogLevel: 4,
            overrides: {
              smtpd_milters: 'inet:[::1]:8891,unix:rspamd/milter.sock',
              milter_default_action: 'accept',
              milter_macro_daemon_name: 'ORIGINATING',
              milter_connect_timeout: '5s',
              milter_command_timeout: '1m',
              milter_content_timeout: '300',
              content_filter: 'smtp-amavis:[127.0.0.1]:10024',
              header_checks: 'regexp:/etc/postfix/header_checks',
              body_checks: 'pcre:/etc/postfix/a,regexp:/etc/postfix/b',
              message_size_limit: '0',
              smtpd_client_connection_count_limit: '100',
              smtpd_client_connection_rate_limit: '0',
              smtpd_client_message_rate_limit: '100',
              smtpd_client_recipient_rate_limit: '999999999',
              smtpd_client_new_tls_session_rate_limit: '1',
              smtpd_recipient_limit: '1',
              smtpd_hard_error_limit: '20',
              smtpd_junk_command_limit: '100',
              smtpd_timeout: '300s',
              smtpd_starttls_timeout: '1h',
            },
          },
        ],
        smtpClients: [
          {
            hostname: 'c',
            altNames: ['d', 'e.example.org'],
            sshUser: 'u',
            sshHost: '192.0.2.1',
            sshPort: 1,
            tlsLogLevel: 0,
            program: 'exim',
            programUser: 'exim',
            senders: ['Ann@Example.org', 'example.net'],
          },
        ],
        subject: { country: 'nl', state: 'A', locality: 'B b', organization: "O'C & \u5bb6", organizationalUnit: '"' },
        ca: { commonName: 'My CA', validDays: 36500, keyType: 'rsa-4096', permittedDomains: ['example.org'] },
        certificates: { validDays: 3650, keyType: 'ed25519', renewBeforeDays: 3649 },
        passphrase: { file: '~/x', recipients: ['keys/a.asc', '0xDEADBEEF', 'a@example.org'] },
        postfix: {
          directory: '/usr/local/etc/postfix/relaycerts/example.org/',
          tableType: 'cdb',
          pin: 'certificate',
          unlisted: 'reject',
          masterChroot: '-',
        },
        dns: { spf: 'a', dmarc: { policy: 'reject', reportTo: 'Dmarc@example.org' }, resolver: '2001:db8::53' },
      },
    ],
    [
      'mail of the whole domain',
      {
        ...smallest,
        inbound: {
          home: 'mailhost',
          domains: ['example.org', 'example.net'],
          port: 26,
          via: 'tunnel',
          recipients: ['ann@example.org', 'bob+x@example.net'],
        },
        tunnel: { user: 'mail-tunnel', listen: 1024 },
        dkim: { signAt: 'home', domains: ['example.org'], keyType: 'ed25519', socket: 'inet:127.0.0.1:65535' },
        relayPort25: {
          dnsbl: ['zen.spamhaus.org=127.0.0.[2..11]', 'bl.example.net', 'list.example.net=127.0.[1;2].3'],
          dqsKeyFile: '~/.dqs',
          postscreen: true,
          spf: 'mark',
          srs: true,
        },
      },
    ],
  ])('accepts what the parser accepts: %s', (_, value) => {
    expect(parseSettings(value, context).domain).toMatch(/example/);
    expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
  });

  test('every default in it is the one that the parser fills in', () => {
    interface Node {
      readonly default?: unknown;
      readonly properties?: Readonly<Record<string, Node>>;
      readonly items?: Node;
    }
    const withDefaults = (node: Node): Readonly<Record<string, unknown>> =>
      Object.fromEntries(
        Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
          if (child.default === undefined) return [];
          return [[key, child.properties === undefined ? child.default : withDefaults(child)]];
        }),
      );
    const schema: Node = settingsJsonSchema();
    const host = (key: string, hostname: string) => ({
      ...withDefaults(schema.properties?.[key]?.items ?? {}),
      hostname,
    });
    const asked = (key: string) => withDefaults(schema.properties?.[key] ?? {});
    const least = { ...smallest, inbound: { home: 'mailhost' }, dkim: {}, relayPort25: {} };
    const spelled = {
      ...smallest,
      ...withDefaults(schema),
      inbound: { ...least.inbound, ...asked('inbound') },
      dkim: asked('dkim'),
      relayPort25: asked('relayPort25'),
      smtpdServers: [host('smtpdServers', 'relayhost')],
      smtpClients: [host('smtpClients', 'mailhost')],
    };
    expect(Object.keys(spelled.smtpdServers[0] ?? {})).toContain('tlsLogLevel');
    expect(parseSettings(spelled, context)).toEqual(parseSettings(least, context));
  });
});

describe('the example', () => {
  const file = new URL('settings.example.json', repository).pathname;

  test('parses, and its schema accepts it', async () => {
    const settings = await readSettings(file, {
      home: '/home/postmaster',
      program: 'relaycerts',
      command: 'relaycerts',
    });
    expect(settings.smtpdServers.map(({ hostname, port }) => `${hostname}:${String(port)}`)).toEqual([
      'relayhost.example.org:2500',
    ]);
    expect(settings.smtpClients.map(({ hostname }) => hostname)).toEqual(['mailhost.example.org']);
    expect(settings.passphrase.recipients).toEqual([]);
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    expect(value).toMatchObject({ $schema: './settings.schema.json' });
    expect(new Ajv2020().validate(settingsJsonSchema(), value)).toBe(true);
  });
});

function flawsOf(text: string) {
  const parsed = parseJsonc(text);
  return 'flaws' in parsed ? parsed.flaws : [];
}

describe('JSON with comments', () => {
  test.each<[string, unknown]>([
    ['{}', {}],
    ['// one\n{ /* two */ "a": /* three\n */ [1, 2,], // four\n}\n// five', { a: [1, 2] }],
    ['{ "a": "// no comment", "b": "/* nor this */" }', { a: '// no comment', b: '/* nor this */' }],
    ['\t{"a":\r\n-1.5e3,"b":[true,false,null]}\r\n', { a: -1500, b: [true, false, null] }],
    ['"\\u00fc\\n\\/\u{1f4a9}"', '\u00fc\n/\u{1f4a9}'],
  ])('%j is %j', (text, value) => {
    expect(parseJsonc(text)).toEqual({ value });
  });

  test('__proto__ is a key like any other', () => {
    const parsed = parseJsonc('{ "__proto__": { "a": 1 } }');
    expect('value' in parsed && Object.keys(parsed.value as object)).toEqual(['__proto__']);
    expect('a' in {}).toBe(false);
    expect(flawsOf('{ "__proto__": 1, "__proto__": 2 }')).toMatchObject([
      { what: 'key "__proto__" is there twice in one object' },
    ]);
  });

  test.each([
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'expected ",", found text', 'put a comma'],
    ['{\n  # why\n}', 2, 3, 'unexpected "#"', 'write a comment as //'],
    ['{ /* why\n}', 1, 3, 'a comment without its end', 'close it with */'],
    ["{'a': 1}", 1, 2, 'unexpected "\'a\'"', 'straight double quotes'],
    ['{\u201ca\u201d: 1}', 1, 2, 'unexpected "\u201ca\u201d"', 'straight double quotes'],
    ['{a: 1}', 1, 2, 'unexpected "a"', 'in double quotes'],
    ['{1: 1}', 1, 2, 'expected a key in double quotes, found "1"', 'a comma too many'],
    ['{"a" 1}', 1, 6, 'expected ":" after the key, found "1"', 'write "key": value'],
    ['{"a": }', 1, 7, 'expected a value, found "}"', 'missing value'],
    ['{"a": 1,, "b": 2}', 1, 9, 'found ","', 'a comma too many'],
    ['{"a": yes}', 1, 7, 'unexpected "yes"', 'in double quotes'],
    ['{"a": 01}', 1, 8, 'expected ",", found "1"', 'put a comma'],
    ['{"a": 1.}', 1, 7, 'a number without all its digits', '2500'],
    ['{"a": [1, 2}', 1, 12, 'expected ",", found "}"', 'other kind'],
    ['{"a": "b', 1, 7, 'without its closing quote', 'close it'],
    ['{"a": "b\nc"}', 1, 7, 'without its closing quote', 'close it'],
    ['{"a": "b\tc"}', 1, 7, 'a control character', 'write a tab as \\t'],
    ['{"a": "C:\\dir"}', 1, 7, 'a backslash in text that escapes nothing', 'a backslash as'],
    ['{"a": "\\u12"}', 1, 7, 'a backslash in text that escapes nothing', 'a backslash as'],
    ['{"a": 1', 1, 8, 'found the end of the file', 'complete'],
    ['   \n', 2, 1, 'expected a value, found the end of the file', 'complete'],
    ['// nothing else', 1, 16, 'expected a value, found the end of the file', 'complete'],
    ['{} {}', 1, 4, 'expected the end of the file, found "{"', 'remove what follows'],
    ['{"a": 1, "b": {"a": 1, "\\u0061": 2}}', 1, 24, 'key "a" is there twice', 'keep one'],
    ['['.repeat(100_000), 1, 33, 'nested over 32 deep', 'settings.example.json'],
    ['{"a":'.repeat(100_000), 1, 161, 'nested over 32 deep', 'settings.example.json'],
    // The parser continues after a bracket of the wrong kind, and deeper.
    ['[},'.repeat(300_000), 1, 2, 'expected a value, found "}"', 'other kind'],
  ])('flaw %#', (text, line, column, what, hint) => {
    const [flaw, ...others] = flawsOf(text);
    expect(flaw).toMatchObject({ line, column });
    expect(flaw?.what).toContain(what);
    expect(flaw?.hint).toContain(hint);
    expect(others).toEqual([]);
  });

  test('every key that is there twice, and the first error of syntax', () => {
    expect(flawsOf('{ "a": 1, "a": 2,\n"b": 3, "b": 4,\n c, d }').map(({ line, what }) => [line, what])).toEqual([
      [1, 'key "a" is there twice in one object'],
      [2, 'key "b" is there twice in one object'],
      [3, 'unexpected "c"'],
    ]);
  });

  test('a text of a megabyte', () => {
    expect(flawsOf(`{"a": "${'\\"'.repeat(250_000)}${'x'.repeat(500_000)}"}`)).toEqual([]);
  });
});

describe('reading the file', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'relaycerts-settings-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  async function refuse(name: string, content?: string | Uint8Array): Promise<RelaycertsError> {
    const file = join(folder, name);
    if (content !== undefined) await writeFile(file, content);
    const error = await rejectionOf(
      readSettings(file, { home: '/home/postmaster', program: 'relaycerts', command: 'relaycerts' }),
    );
    expect(error.code).toBe('settings');
    expect(error.problems.every(({ hint }) => hint !== undefined && hint !== '')).toBe(true);
    expect(renderError(error).join('\n')).not.toMatch(/\n\s+at |SyntaxError|hunter2/);
    return error;
  }

  const json = JSON.stringify(smallest);

  test('comments and trailing commas', async () => {
    const text = `// ours\n${JSON.stringify(smallest, undefined, 2).replaceAll('\n  ', ' // why\n  ').replace(/\n\}$/u, ',\n}')}`;
    await writeFile(join(folder, 'comments.json'), text);
    const settings = await readSettings(join(folder, 'comments.json'), context);
    expect(settings).toEqual(parseSettings(smallest, { ...context, file: join(folder, 'comments.json') }));
  });

  test.each([
    ['empty', '', 'empty.json: empty'],
    ['a byte order mark', Buffer.from(`\ufeff${json}`), 'begins with a byte order mark'],
    ['UTF-16', Buffer.from(`\ufeff${json}`, 'utf16le'), 'is UTF-16, not UTF-8'],
    ['Latin-1', Buffer.from('{\n"subject": {"state": "Z\u00fcrich"}}', 'latin1'), 'not UTF-8: line 2'],
    ['NUL', `${json}\0`, 'line 1, column 107: unexpected "\\u0000"'],
    ['not JSON', 'domain = example.org\n', 'line 1, column 1: unexpected "domain"'],
    ['YAML', 'domain: example.org\n', 'line 1, column 1: unexpected "domain"'],
    ['a megabyte of brackets', '['.repeat(1_048_576), 'line 1, column 33: nested over 32 deep'],
    ['a secret in the wrong place', '{ "passphrase": { "file": "hunter2 } }', 'text without its closing quote'],
    ['a list', '[]', 'must be an object, is a list'],
    ['a key twice', json.replace('{', '{"domain":"example.net",'), 'key "domain" is there twice'],
    ['over a mebibyte', `${json}${' '.repeat(1_048_576)}`, 'over 1 MiB long'],
  ])('%s', async (name, content, message) => {
    expect((await refuse(`${name.replaceAll(' ', '-')}.json`, content)).message).toContain(message);
  });

  test('a folder', async () => {
    await mkdir(join(folder, 'folder'));
    const { message, hint } = await refuse('folder');
    expect(message).toContain('the settings file is a folder');
    expect(hint).toContain('--settings');
  });

  test('a missing file, or a file in place of a folder', async () => {
    expect((await refuse('missing.json')).hint).toMatchObject({ run: ['wizard'] });
    await writeFile(join(folder, 'file'), json);
    expect((await refuse('file/settings.json')).message).toContain('no settings file');
  });

  test('a link to itself', async () => {
    await symlink('loop.json', join(folder, 'loop.json'));
    expect((await refuse('loop.json')).message).toContain('a link to itself');
  });

  test('a FIFO does not make it wait', async () => {
    execFileSync('mkfifo', [join(folder, 'fifo.json')]);
    expect((await refuse('fifo.json')).message).toContain('not a regular file');
  });

  test('a device', async () => {
    expect(
      (await rejectionOf(readSettings('/dev/zero', { home: '/home/x', program: 'relaycerts', command: 'relaycerts' })))
        .message,
    ).toContain('not a regular file');
  });

  test('a file that may not be read', async () => {
    // Root reads everything, so another user tries, in a separate process (Debian 13's Node has no seteuid). The folder
    // must let others in for that.
    await chmod(folder, 0o755);
    const closed = join(folder, 'closed.json');
    await writeFile(closed, json, { mode: 0o000 });
    const outfile = join(folder, 'load.mjs');
    const entryPoint = fileURLToPath(new URL('src/settings/load.ts', repository));
    await build({
      entryPoints: [entryPoint],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      mainFields: ['module', 'main'],
    });
    await chmod(outfile, 0o644);
    const program = `const { readSettings } = await import(${JSON.stringify(outfile)});
await readSettings(${JSON.stringify(closed)}, { home: '/home/x', program: 'relaycerts', command: 'relaycerts' }).catch(({ code, message, hint }) => console.log(code, message, hint));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: folder,
      encoding: 'utf8',
      ...(process.geteuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}),
    });
    expect(stderr).toBe('');
    const hint = `look at its owner and mode: ls -l ${closed}`;
    expect(stdout).toBe(`settings the settings file may not be read: ${JSON.stringify(closed)} ${hint}\n`);
  });

  test('a good file, by way of a link and up to the last octet allowed', async () => {
    await writeFile(join(folder, 'good.json'), json.padEnd(1_048_576));
    await symlink('good.json', join(folder, 'link.json'));
    const settings = await readSettings(join(folder, 'link.json'), context);
    expect(settings).toEqual(parseSettings(smallest, { ...context, file: join(folder, 'link.json') }));
  });
});
