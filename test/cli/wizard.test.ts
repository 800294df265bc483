// The wizard as a person meets it: the built program in a real terminal, with real keys.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answerOf } from '../support/answer.js';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, program, treeOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { openTerminal, type Terminal, type TerminalRequest } from '../support/terminal.js';

type Way = Partial<TerminalRequest> & { readonly args?: readonly string[] };

let project: Project;
const terminals: Terminal[] = [];

beforeAll(() => requireTools('tmux', 'openssl'));
beforeEach(() => {
  project = makeProject();
  rmSync(project.path('settings.json'));
});
afterEach(() => {
  for (const terminal of terminals.splice(0)) terminal.dispose();
  project.remove();
});

async function openWizard({ args = [], env = {}, ...rest }: Way = {}): Promise<Terminal> {
  const terminal = await openTerminal({
    command: [process.execPath, program, ...args, 'wizard'],
    cwd: project.folder,
    // As installed, so that printed commands begin with `relaycerts`.
    env: {
      PATH: `${project.path('../bin')}:${process.env['PATH'] ?? ''}`,
      HOME: project.home,
      LANG: 'C.UTF-8',
      ...env,
    },
    ...rest,
  });
  terminals.push(terminal);
  return terminal;
}

/** What is waited for, then the text that is typed (after what is there was cleared), then the keys. */
type Step = readonly [wait: string, text: string, ...keys: readonly [string, ...string[]]];

const domain: Step = ['? Mail domain:', 'example.org', 'Enter'];
const relays: Step = ['? Relay:', '', 'Enter'];
const port: Step = ['? Port on the relay:', '', 'Enter'];
const relayUser: Step = ['? ssh user on the relay:', '', 'Enter'];
const clients: Step = ['? Mail server at home:', '', 'Enter'];
const clientUser: Step = ['? ssh user on it:', '', 'Enter'];
const keyType: Step = ['? Key type:', '', 'Enter'];
const days: Step = ['? Days a certificate is valid:', '', 'Enter'];
const operator: Step = ['? Who opens the passphrase:', '', 'Enter'];
const justWrite: Step = ['? Write settings.json:', '', 'Down', 'Enter'];
const defaults = [domain, relays, port, relayUser, clients, clientUser, days, keyType, operator] as const;

async function take(terminal: Terminal, steps: readonly Step[]): Promise<void> {
  for (const [wait, text, ...keys] of steps) {
    await terminal.waitFor(wait);
    if (text !== '') terminal.type(text);
    terminal.press(...keys);
  }
}

const expected = {
  $schema: './settings.schema.json',
  domain: 'example.org',
  smtpdServers: [{ hostname: 'relayhost', port: 2500, sshUser: 'root' }],
  smtpClients: [{ hostname: 'mailhost', sshUser: 'root' }],
  certificates: { validDays: 398, keyType: 'ecdsa-p256' },
  passphrase: { recipients: [] },
};

function written(): unknown {
  return JSON.parse(project.read('settings.json'));
}

function expectNothing(): void {
  expect(readdirSync(project.folder)).toEqual([]);
  expect(readdirSync(project.home)).toEqual([]);
}

describe('from nothing', () => {
  test('Enter at every question makes the settings, and nothing else', async () => {
    const terminal = await openWizard();
    await take(terminal, [...defaults, justWrite]);
    expect(await terminal.ended()).toBe(0);
    for (const answer of ['Key type: ecdsa-p256', 'Who opens the passphrase: the operator key', 'settings.json: yes']) {
      expect(terminal.screen()).toContain(`${answer}\n`);
    }
    expect(written()).toEqual(expected);
    expect(lstatSync(project.path('settings.json')).mode & 0o777).toBe(0o644);
    expect(readdirSync(project.folder)).toEqual(['settings.json', 'settings.schema.json']);
    expect(readdirSync(project.home)).toEqual([]);
    await terminal.waitFor('relaycerts: wrote settings.json');
    await terminal.waitFor('next: relaycerts make');
  });

  test('to finished certificates', async () => {
    const terminal = await openWizard();
    await take(terminal, [
      ...defaults,
      ['? Write settings.json:', '', 'Enter'],
      ['? Password of the new operator key', '', 'Enter'],
    ]);
    expect(await terminal.ended()).toBe(0);
    const ca = project.path('certs/ca/example.org-ca.crt.pem');
    for (const [role, host, purpose] of [
      ['smtpd-server', 'relayhost', 'sslserver'],
      ['smtp-client', 'mailhost', 'sslclient'],
    ] as const) {
      const certificate = project.path('certs', role, `${host}.example.org.crt.pem`);
      const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, certificate];
      expect(execFileSync('openssl', args).toString()).toContain(': OK');
    }
    expect((await project.run(['make'])).stderr).toContain('nothing to make');
  });

  test('relaycerts alone, where there are no settings, is the wizard', async () => {
    const terminal = await openWizard({ command: [process.execPath, program] });
    await terminal.waitFor('there are no settings here yet');
    await take(terminal, [...defaults, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual(expected);
  });

  test('arrow keys choose, up, down and past a line that is not wanted', async () => {
    const terminal = await openWizard();
    const chosen: Step = ['? Key type:', '', 'Down', 'Down', 'Down', 'Up', 'Up', 'Enter'];
    await take(terminal, [...defaults.map((step) => (step === keyType ? chosen : step)), justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, certificates: { validDays: 398, keyType: 'ecdsa-p384' } });
  });

  test('several hosts, a whole name, another port and users', async () => {
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain:', 'Example.ORG', 'Enter'],
      ['? Relay:', 'Relay1, relay2.example.net', 'Enter'],
      ['? Port on the relay:', '2525', 'Enter'],
      ['? ssh user on the relay:', 'admin', 'Enter'],
      ['? Mail server at home:', 'mail', 'Enter'],
      ['? ssh user on it:', 'pi', 'Enter'],
      days,
      keyType,
      operator,
      justWrite,
    ]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({
      ...expected,
      smtpdServers: [
        { hostname: 'Relay1', port: 2525, sshUser: 'admin' },
        { hostname: 'relay2.example.net', port: 2525, sshUser: 'admin' },
      ],
      smtpClients: [{ hostname: 'mail', sshUser: 'pi' }],
    });
  });

  test('"ask again" starts over with the answers so far', async () => {
    const terminal = await openWizard();
    await take(terminal, [...defaults, ['? Write settings.json:', '', 'Down', 'Down', 'Enter']]);
    await take(terminal, [
      ['? Mail domain: (example.org)', '', 'Enter'],
      ['? Relay:', 'other', 'Enter'],
    ]);
    await take(terminal, [...defaults.slice(2), justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({
      ...expected,
      smtpdServers: [{ hostname: 'other', port: 2500, sshUser: 'root' }],
    });
  });

  test('"leave" writes nothing', async () => {
    const terminal = await openWizard();
    await take(terminal, [...defaults, ['? Write settings.json:', '', 'Down', 'Down', 'Down', 'Enter']]);
    expect(await terminal.ended()).toBe(0);
    expectNothing();
  });

  test('--json leaves stdout to the settings alone', async () => {
    const stdout = `${project.home}/out`;
    const terminal = await openWizard({ args: ['--json'], stdout });
    await take(terminal, [...defaults, ['? Write settings.json:', '', 'Enter']]);
    expect(await terminal.ended()).toBe(0);
    expect(answerOf(readFileSync(stdout, 'utf8'))).toMatchObject({ command: 'wizard', settings: written() });
  });
});

describe('a wrong answer', () => {
  const relay = { hostname: 'relayhost', port: 2500, sshUser: 'root' };
  const noHost = 'not a host name';

  test.each<[string, number, string, string, string, object]>([
    ['domain', 0, 'a_b', `${noHost} (it has an underscore)`, 'example.org', {}],
    ['relay', 1, 'r;reboot', noHost, 'r', { smtpdServers: [{ ...relay, hostname: 'r' }] }],
    ['two relays alike', 1, 'relay, RELAY.example.org', 'stands already at smtpdServers[0].hostname', 'relayhost', {}],
    ['port', 2, '25', 'must not be 25', '26', { smtpdServers: [{ ...relay, port: 26 }] }],
    ['port in words', 2, 'smtp', 'must be a whole number from 1 to 65535: "smtp"', '2500', {}],
    ['user', 3, '-oX=y', 'not a login name', 'pi', { smtpdServers: [{ ...relay, sshUser: 'pi' }] }],
    ['client = relay', 4, 'relayhost', 'stands already at smtpdServers[0].hostname', 'mailhost', {}],
    ['validity', 6, '30', 'certificates.renewBeforeDays must be less than', '398', {}],
  ])('is said where it is typed, and corrected: %s', async (_, index, wrong, said, right, change) => {
    const terminal = await openWizard();
    const wait = defaults[index]?.[0] ?? '';
    await take(terminal, [...defaults.slice(0, index), [wait, wrong, 'Enter']]);
    await terminal.waitFor(`> ${said}`);
    for (let left = wrong.length; left > 0; left -= 1) terminal.press('BSpace');
    await take(terminal, [[wait, right, 'Enter'], ...defaults.slice(index + 1), justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, ...change });
  });

  test('no domain at all: Enter is not an answer', async () => {
    const terminal = await openWizard();
    await take(terminal, [['? Mail domain:', '', 'Enter']]);
    await terminal.waitFor('it is empty');
    terminal.press('C-c');
    expect(await terminal.ended()).toBe(130);
  });
});

describe('Ctrl-C', () => {
  const typed: Step = ['? Who opens the passphrase:', '', 'Down', 'Down', 'Enter'];
  const route = [...defaults.slice(0, 8), typed] as const;
  const questions = [...route.map(([wait]) => wait), '? Recipients:'];

  test.each(questions.map((wait, index) => [wait, index] as const))(
    'at "%s" leaves nothing behind',
    async (wait, index) => {
      const terminal = await openWizard();
      await take(terminal, route.slice(0, index));
      await terminal.waitFor(wait);
      if (index % 2 === 1) terminal.type('half');
      terminal.press('C-c');
      expect(await terminal.ended()).toBe(130);
      expectNothing();
      expect(terminal.screen().match(/^relaycerts: .*$/gmu)).toEqual([
        'relaycerts: error: interrupted; nothing was written',
      ]);
    },
  );

  test.each(['C-c', 'C-d'])('at the last question, by %s', async (key) => {
    const terminal = await openWizard();
    await take(terminal, [...defaults, ['? Write settings.json:', '', key]]);
    expect(await terminal.ended()).toBe(130);
    expectNothing();
  });

  test('Ctrl-D on an empty line is the same', async () => {
    const terminal = await openWizard();
    await take(terminal, [domain, ['? Relay:', '', 'C-d']]);
    expect(await terminal.ended()).toBe(130);
    expectNothing();
  });

  test('leaves settings that are there untouched', async () => {
    project.write(
      'settings.json',
      '{"domain":"a.example","smtpdServers":[{"hostname":"r"}],"smtpClients":[{"hostname":"c"}]}',
    );
    const before = treeOf(project.folder);
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain: (a.example)', 'b.example', 'Enter'],
      ['? Relay:', '', 'C-c'],
    ]);
    expect(await terminal.ended()).toBe(130);
    expect(treeOf(project.folder)).toEqual(before);
  });
});

describe('the terminal', () => {
  test.each([
    [40, 24],
    [40, 60],
    [200, 50],
  ])('of %i columns and %i rows: the same settings, every word whole', async (columns, rows) => {
    const terminal = await openWizard({ columns, rows });
    await take(terminal, [domain, ['? Relay:', 'a_b', 'Enter']]);
    await terminal.waitFor('> not a host name');
    const lines = terminal.screen().split('\n');
    expect(lines.some((line) => line.startsWith('> not a host name'))).toBe(true);
    expect(lines.join(' ').replaceAll(/\s+/gu, ' ')).toContain('letters, digits and hyphens, with dots between');
    terminal.press('BSpace', 'BSpace', 'BSpace', 'Enter');
    const chosen: Step = ['? Key type:', '', 'Down', 'Up', 'Down', 'Enter'];
    await take(terminal, [...defaults.slice(2).map((step) => (step === keyType ? chosen : step)), justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, certificates: { validDays: 398, keyType: 'ecdsa-p384' } });
    const prose = terminal.screen().replaceAll(/\s+/gu, ' ');
    expect(prose).toContain('The part after the @. Short host names are completed with it.');
    expect(prose).toContain('Then it prints what to run on each host; it touches no host.');
  });

  test.each([[], ['wizard']])('with TERM=dumb it is not a terminal to ask on: relaycerts %s', async (...args) => {
    const terminal = await openWizard({ term: 'dumb', command: [process.execPath, program, ...args] });
    expect(await terminal.ended()).toBe(2);
    await terminal.waitFor('relaycerts: error: the wizard needs a terminal that can move its cursor');
    await terminal.waitFor('relaycerts: hint: copy settings.example.json to settings.json and edit it');
    expectNothing();
  });

  test('none at all: the same words', async () => {
    expect(await project.run(['wizard'])).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'relaycerts: error: the wizard needs a terminal that can move its cursor\n' +
        'relaycerts: hint: copy settings.example.json to settings.json and edit it\n',
    });
    expectNothing();
  });

  test('a folder that cannot be written is refused before anything is asked', async () => {
    chmodSync(project.folder, 0o555);
    // Root may write anywhere, so the program must not be root here.
    const under = process.geteuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    const terminal = await openWizard({ command: ['env', ...under, process.execPath, program, 'wizard'] });
    expect(await terminal.ended()).toBe(1);
    await terminal.waitFor('permission denied');
    chmodSync(project.folder, 0o755);
    expectNothing();
  });

  test('the schema that is there stays, and a missing folder is made', async () => {
    project.write('settings.schema.json', 'mine');
    const terminal = await openWizard();
    await take(terminal, [...defaults, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(project.read('settings.schema.json')).toBe('mine');
    const deeper = await openWizard({ args: ['--settings', 'a/b/settings.json'] });
    await take(deeper, [...defaults, justWrite]);
    expect(await deeper.ended()).toBe(0);
    expect(readdirSync(project.path('a/b'))).toEqual(['settings.json', 'settings.schema.json']);
    const schema = readFileSync(new URL('../../settings.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(project.read('a/b/settings.schema.json'))).toEqual(JSON.parse(schema));
  });
});

describe('settings that are there', () => {
  const old = `{ "domain": "example.org", // ours
  "postfix": { "pin": "certificate" },
  "smtpClients": [{ "sshPort": 2222, "hostname": "mailhost" }, { "hostname": "office", "sshUser": "root" }],
  "smtpdServers": [{ "hostname": "relayhost", "altNames": ["mx"], "port": 2500 }],
  "certificates": { "renewBeforeDays": 14, "validDays": 90 },
  "passphrase": { "file": "pass.gpg" },
  "subject": { "organization": "Example" } }
`;

  test('Enter at every question changes no byte', async () => {
    project.write('settings.json', old);
    const before = treeOf(project.folder);
    const terminal = await openWizard();
    await terminal.waitFor('settings.json exists');
    const kept: Step = ['? Mail domain: (example.org)', '', 'Enter'];
    await take(terminal, [kept, ...defaults.slice(1), ['? And now:', '', 'Down', 'Down', 'Enter']]);
    expect(await terminal.ended()).toBe(0);
    expect(treeOf(project.folder)).toEqual(before);
  });

  test('what is asked changes; what is not asked stays, in its order; the old mode stays closed', async () => {
    project.write('settings.json', old);
    chmodSync(project.path('settings.json'), 0o600);
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain: (example.org)', '', 'Enter'],
      ['? Relay: (relayhost)', 'relayhost, second', 'Enter'],
      ['? Port on the relay: (2500)', '587', 'Enter'],
      relayUser,
      ['? Mail server at home: (mailhost, office)', 'office, mailhost.example.org', 'Enter'],
      clientUser,
      ['? Days a certificate is valid: (90)', '14', 'Enter'],
      ['certificates.renewBeforeDays must be less than certificates.validDays (14): 14', '', 'BSpace', 'BSpace'],
      ['? Days a certificate is valid:', '60', 'Enter'],
      keyType,
      operator,
    ]);
    await terminal.waitFor('settings.json will become:');
    await take(terminal, [justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(project.read('settings.json')).toBe(`{ "domain": "example.org", // ours
  "postfix": { "pin": "certificate" },
  "smtpClients": [{ "hostname": "office", "sshUser": "root" }, { "sshPort": 2222, "hostname": "mailhost" }],
  "smtpdServers": [{ "hostname": "relayhost", "altNames": ["mx"], "port": 587 }, { "hostname": "second", "port": 587, "sshUser": "root" }],
  "certificates": { "renewBeforeDays": 14, "validDays": 60 },
  "passphrase": { "file": "pass.gpg" },
  "subject": { "organization": "Example" } }
`);
    expect(lstatSync(project.path('settings.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  test('a link stays one, and the file that it names changes', async () => {
    mkdirSync(project.path('real'));
    project.write('real/s.json', old);
    symlinkSync('real/s.json', project.path('settings.json'));
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain:', '', 'Enter'],
      relays,
      ['? Port on the relay:', '2600', 'Enter'],
      ...defaults.slice(3),
      justWrite,
    ]);
    expect(await terminal.ended()).toBe(0);
    expect(lstatSync(project.path('settings.json')).isSymbolicLink()).toBe(true);
    expect(project.read('real/s.json')).toContain('"port": 2600');
  });

  test('changed by somebody else meanwhile, they are left alone', async () => {
    project.write('settings.json', old);
    const terminal = await openWizard();
    await take(terminal, [['? Mail domain:', '', 'Enter'], ['? Relay:', 'new', 'Enter'], ...defaults.slice(2)]);
    await terminal.waitFor('? Write settings.json:');
    project.write('settings.json', `${old} `);
    terminal.press('Enter');
    expect(await terminal.ended()).toBe(1);
    await terminal.waitFor('changed while the wizard ran, and was left as it is');
    expect(project.read('settings.json')).toBe(`${old} `);
  });

  test('that are wrong are told and left: exit 2', async () => {
    project.write('settings.json', '{ "domain": "example.org", "smtpdServers": [], "smtpClint": [] }');
    const before = treeOf(project.folder);
    const terminal = await openWizard();
    expect(await terminal.ended()).toBe(2);
    expect(treeOf(project.folder)).toEqual(before);
    for (const said of [
      'smtpdServers: must name a relay, is empty',
      'did you mean "smtpClients"?',
      'the wizard changes only settings without errors',
      `mv ${project.path('settings.json')} `,
    ]) {
      await terminal.waitFor(said);
    }
  });
});

describe('recipients', () => {
  let gnupg: Gnupg;
  let [alice, carol] = ['', ''];

  beforeAll(() => {
    gnupg = makeGnupg();
    alice = gnupg.makeKey({ userId: 'Alice <alice@example.org>' });
    gnupg.makeKey({ userId: 'Sign Only <sign@example.org>', algorithm: 'ed25519', usage: 'sign' });
    gnupg.makeKey({ userId: 'Old <old@example.org>', madeAt: '20200101T000000', expire: '1y' });
    carol = gnupg.makeKey({ userId: 'Carol \u001b[2J<carol@example.org>', algorithm: 'rsa3072', subkey: 'rsa3072' });
  });
  afterAll(() => gnupg.dispose());

  const fromGnupg: Step = ['? Who opens the passphrase:', '', 'Down', 'Enter'];
  const open = (way: Way = {}) => openWizard({ ...way, env: { GNUPGHOME: gnupg.home } });

  test('keys of GnuPG: marked with space; those that cannot be used say why', async () => {
    const terminal = await open();
    await take(terminal, [...defaults.slice(0, 8), fromGnupg, ['? GnuPG keys that open it:', '', 'Enter']]);
    await terminal.waitFor('no key is chosen');
    const screen = terminal.screen().replaceAll(/\s+/gu, ' ');
    expect(screen).toMatch(
      /Alice <alice@example\.org> [0-9A-F]{16} \(ed25519, (?:until \d{4}-\d\d-\d\d|never expires)\)/u,
    );
    expect(screen).toMatch(/Sign Only <sign@example\.org> [^()]*\([^()]*\) \(cannot encrypt\)/u);
    expect(screen).toMatch(/Old <old@example\.org> [^()]*\(ed25519, until 2020-12-31\) \(expired\)/u);
    expect(screen).toContain('Carol ?[2J<carol@example.org>');
    terminal.press('Down', 'Space');
    await terminal.waitFor('not this one');
    terminal.press('Up', 'Space', 'Down', 'Down', 'Down', 'Space', 'Enter');
    await take(terminal, [justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, passphrase: { recipients: [alice, carol] } });
    expect(readdirSync(project.home)).toEqual([]);
  });

  test('Ctrl-C among the keys leaves nothing', async () => {
    const terminal = await open({ columns: 40 });
    await take(terminal, [...defaults.slice(0, 8), fromGnupg, ['? GnuPG keys that open it:', '', 'Space', 'C-c']]);
    expect(await terminal.ended()).toBe(130);
    expectNothing();
  });

  test('typed: a file, an address; one that is of no use is refused at once', async () => {
    project.write('key.asc', gnupg.gpg(['--armor', '--export', alice]));
    const terminal = await open();
    const typed: Step = ['? Who opens the passphrase:', '', 'Down', 'Down', 'Enter'];
    await take(terminal, [...defaults.slice(0, 8), typed, ['? Recipients:', 'nokey.asc', 'Enter']]);
    await terminal.waitFor('"nokey.asc" is neither a file beside the settings nor a fingerprint');
    terminal.press('C-u');
    await take(terminal, [
      ['? Recipients:', 'sign@example.org', 'Enter'],
      ['can only sign', '', 'C-u'],
    ]);
    await take(terminal, [
      ['? Recipients:', 'key.asc, key.asc', 'Enter'],
      ['stands twice: "key.asc"', '', 'C-u'],
    ]);
    await take(terminal, [['? Recipients:', 'key.asc, carol@example.org', 'Enter'], justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, passphrase: { recipients: ['key.asc', 'carol@example.org'] } });
  });

  test('no gpg: it says so, and the operator key is still offered', async () => {
    const terminal = await openWizard({ command: ['env', 'PATH=/nowhere', process.execPath, program, 'wizard'] });
    await take(terminal, defaults.slice(0, 8));
    await terminal.waitFor('secret keys in GnuPG, also on a card (gpg is not installed)');
    await take(terminal, [['? Who opens the passphrase:', '', 'Down', 'Enter']]);
    await terminal.waitFor('not this one');
    terminal.press('Up', 'Enter');
    await take(terminal, [justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual(expected);
  });

  test('no GnuPG home: it says that there is no key, and makes none', async () => {
    const terminal = await openWizard();
    await take(terminal, defaults.slice(0, 8));
    await terminal.waitFor('GnuPG has no secret key here');
    terminal.press('C-c');
    expect(await terminal.ended()).toBe(130);
    expect(existsSync(`${project.home}/.gnupg`)).toBe(false);
  });
});
