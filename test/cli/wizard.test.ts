// The wizard as a user sees it: the built program in a real terminal, with real keys.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answerOf } from '../support/answer.js';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, program, treeOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { bare, openTerminal, type Terminal, type TerminalRequest } from '../support/terminal.js';

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
    // As if installed, so that printed commands begin with `relaycerts`.
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

/** What to wait for, then the text to type (after clearing the input), then the keys. */
type Step = readonly [wait: string, text: string, ...keys: readonly [string, ...string[]]];

const domain: Step = ['? Mail domain:', 'example.org', 'Enter'];
const relays: Step = ['? Relay:', '', 'Enter'];
const clients: Step = ['? Mail server at home:', '', 'Enter'];
const machine: Step = ['? This machine is:', '', 'Enter'];
const justWrite: Step = ['? Write settings.json:', '', 'Down', 'Enter'];
const first = [domain, relays, clients, machine] as const;

const more: Step = ['? Write settings.json:', '', 'Down', 'Down', 'Enter'];
const port: Step = ['? Port on the relay:', '', 'Enter'];
const relayUser: Step = ['? ssh user on the relay:', '', 'Enter'];
const clientUser: Step = ['? ssh user at home:', '', 'Enter'];
const days: Step = ['? Days a certificate is valid:', '', 'Enter'];
const mailProgram: Step = ['? Mail program at home:', '', 'Enter'];
const keyType: Step = ['? Key type:', '', 'Enter'];
const operator: Step = ['? Who can open the passphrase:', '', 'Enter'];
const rest = [port, relayUser, clientUser, days, mailProgram, keyType, operator] as const;

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
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [{ hostname: 'mailhost' }],
};

function written(): unknown {
  return JSON.parse(project.read('settings.json'));
}

function expectNothing(): void {
  expect(readdirSync(project.folder)).toEqual([]);
  expect(readdirSync(project.home)).toEqual([]);
}

describe('from nothing', () => {
  test('four questions make the settings, and nothing else', async () => {
    const terminal = await openWizard();
    await take(terminal, [...first, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(terminal.screen().match(/^\? /gmu)).toBeNull();
    expect(terminal.screen()).toContain('This machine is: none of them\n');
    expect(terminal.screen()).toContain('settings.json: yes\n');
    expect(written()).toEqual(expected);
    expect(lstatSync(project.path('settings.json')).mode & 0o777).toBe(0o644);
    expect(readdirSync(project.folder)).toEqual(['settings.json', 'settings.schema.json']);
    expect(readdirSync(project.home)).toEqual([]);
    await terminal.waitFor('relaycerts: wrote settings.json');
    await terminal.waitFor('next: relaycerts make');
  });

  test('on a machine with a name, Enter is enough; that host needs no ssh', async () => {
    writeFileSync(project.path('../bin/hostname'), '#!/bin/sh\necho box.example.org\n', { mode: 0o755 });
    const terminal = await openWizard();
    await take(terminal, [['? Mail domain: (example.org)', '', 'Enter'], relays]);
    await take(terminal, [['? Mail server at home: (box)', '', 'Enter'], machine, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, smtpClients: [{ hostname: 'box', local: true }] });
    expect(terminal.screen()).toContain('This machine is: box.example.org\n');
  });

  test('to finished certificates', async () => {
    const terminal = await openWizard();
    await take(terminal, [...first, ['? Write settings.json:', '', 'Enter']]);
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

  test('plain relaycerts, without settings, is the wizard', async () => {
    const terminal = await openWizard({ command: [process.execPath, program] });
    await terminal.waitFor('there are no settings here yet');
    await take(terminal, [...first, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual(expected);
  });

  test('more leads to the rest, and Enter at all of it writes nothing more', async () => {
    const terminal = await openWizard();
    await take(terminal, [...first, more, ...rest, justWrite]);
    expect(await terminal.ended()).toBe(0);
    for (const answer of ['Key type: ecdsa-p256', 'Who can open the passphrase: the operator key']) {
      expect(terminal.screen()).toContain(`${answer}\n`);
    }
    const said = terminal.screen().replaceAll(/\s+/gu, ' ');
    expect(said.match(/[Dd]efault/gu)?.length).toBeGreaterThanOrEqual(rest.length);
    expect(written()).toEqual(expected);
  });

  test('arrow keys choose, up, down and past a line that is not wanted', async () => {
    const terminal = await openWizard();
    const chosen: Step = ['? Key type:', '', 'Down', 'Down', 'Down', 'Up', 'Up', 'Enter'];
    await take(terminal, [...first, more, ...rest.map((step) => (step === keyType ? chosen : step)), justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, certificates: { keyType: 'ecdsa-p384' } });
  });

  test('several hosts, a whole name, this machine, another port and users', async () => {
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain:', 'Example.ORG', 'Enter'],
      ['? Relay:', 'Relay1, relay2.example.net', 'Enter'],
      ['? Mail server at home:', 'mail', 'Enter'],
      ['? This machine is:', '', 'Down', 'Enter'],
      more,
      ['? Port on the relay:', '2525', 'Enter'],
      ['? ssh user on the relay:', 'admin', 'Enter'],
      ['? ssh user at home:', 'pi', 'Enter'],
      days,
      ['? Mail program at home:', '', 'Down', 'Enter'],
      keyType,
      operator,
      justWrite,
    ]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({
      ...expected,
      smtpdServers: [
        { hostname: 'Relay1', local: true, port: 2525 },
        { hostname: 'relay2.example.net', port: 2525, sshUser: 'admin' },
      ],
      smtpClients: [{ hostname: 'mail', sshUser: 'pi', program: 'exim' }],
    });
  });

  test('"ask again" starts over with the answers so far', async () => {
    const terminal = await openWizard();
    await take(terminal, [...first, ['? Write settings.json:', '', 'Down', 'Down', 'Down', 'Enter']]);
    await take(terminal, [
      ['? Mail domain: (example.org)', '', 'Enter'],
      ['? Relay:', 'other', 'Enter'],
    ]);
    await take(terminal, [clients, machine, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, smtpdServers: [{ hostname: 'other' }] });
  });

  test('"leave" writes nothing', async () => {
    const terminal = await openWizard();
    await take(terminal, [...first, ['? Write settings.json:', '', 'Down', 'Down', 'Down', 'Down', 'Enter']]);
    expect(await terminal.ended()).toBe(0);
    expectNothing();
  });

  test('--json prints only the settings on stdout', async () => {
    const stdout = `${project.home}/out`;
    const terminal = await openWizard({ args: ['--json'], stdout });
    await take(terminal, [...first, ['? Write settings.json:', '', 'Enter']]);
    expect(await terminal.ended()).toBe(0);
    expect(answerOf(readFileSync(stdout, 'utf8'))).toMatchObject({ command: 'wizard', settings: written() });
  });
});

describe('a wrong answer', () => {
  const noHost = 'not a host name';
  const all = [...first, more, ...rest] as const;

  test.each<[string, Step, string, string, string, object]>([
    ['domain', domain, 'a_b', `${noHost} (it has an underscore)`, 'example.org', {}],
    ['relay', relays, 'r;reboot', noHost, 'r', { smtpdServers: [{ hostname: 'r' }] }],
    ['two relays alike', relays, 'relay, RELAY.example.org', 'is already at smtpdServers[0].hostname', 'relayhost', {}],
    ['client = relay', clients, 'relayhost', 'is already at smtpdServers[0].hostname', 'mailhost', {}],
    ['port', port, '25', 'must not be 25', '26', { smtpdServers: [{ hostname: 'relayhost', port: 26 }] }],
    ['port in words', port, 'smtp', 'must be a whole number from 1 to 65535: "smtp"', '2500', {}],
    [
      'user',
      relayUser,
      '-oX=y',
      'not a login name',
      'pi',
      { smtpdServers: [{ hostname: 'relayhost', sshUser: 'pi' }] },
    ],
    ['validity', days, '30', 'certificates.renewBeforeDays must be less than', '398', {}],
  ])('is said where it is typed, and corrected: %s', async (_, question, wrong, said, right, change) => {
    const terminal = await openWizard();
    const [wait] = question;
    const index = all.indexOf(question);
    await take(terminal, [...all.slice(0, index), [wait, wrong, 'Enter']]);
    await terminal.waitFor(`> ${said}`);
    for (let left = wrong.length; left > 0; left -= 1) terminal.press('BSpace');
    await take(terminal, [[wait, right, 'Enter'], ...all.slice(index + 1), justWrite]);
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
  const typed: Step = ['? Who can open the passphrase:', '', 'Down', 'Down', 'Enter'];
  const route = [...first, more, ...rest.slice(0, -1), typed] as const;
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
    await take(terminal, [...first, ['? Write settings.json:', '', key]]);
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
    await take(terminal, [
      clients,
      machine,
      more,
      ...rest.map((step) => (step === keyType ? chosen : step)),
      justWrite,
    ]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, certificates: { keyType: 'ecdsa-p384' } });
    const prose = terminal.screen().replaceAll(/\s+/gu, ' ');
    expect(prose).toContain('The part after the @. Short host names are completed with it.');
    expect(prose).toContain('It changes no host, and prints the command that does.');
  });

  test.each([[], ['wizard']])('with TERM=dumb it is not a terminal to ask on: relaycerts %s', async (...args) => {
    const terminal = await openWizard({ term: 'dumb', command: [process.execPath, program, ...args] });
    expect(await terminal.ended()).toBe(2);
    await terminal.waitFor('relaycerts: error: the wizard needs a terminal that can move its cursor');
    await terminal.waitFor('relaycerts: hint: write settings.json yourself: { "domain": "example.org"');
    expectNothing();
  });

  test('none at all: the hint has settings that make takes', async () => {
    const { status, stdout, stderr } = await project.run(['wizard']);
    expect([status, stdout]).toEqual([2, '']);
    const [error, hint = '', ...others] = stderr.trimEnd().split('\n');
    expect([error, others]).toEqual(['relaycerts: error: the wizard needs a terminal that can move its cursor', []]);
    expectNothing();
    project.write('settings.json', hint.replace('relaycerts: hint: write settings.json yourself: ', ''));
    expect((await project.run(['make', '--dry-run'])).status).toBe(0);
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
    await take(terminal, [...first, justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(project.read('settings.schema.json')).toBe('mine');
    const deeper = await openWizard({ args: ['--settings', 'a/b/settings.json'] });
    await take(deeper, [...first, justWrite]);
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
    await take(terminal, [kept, ...first.slice(1), ['? What next:', '', 'Down', 'Down', 'Down', 'Enter']]);
    expect(await terminal.ended()).toBe(0);
    expect(treeOf(project.folder)).toEqual(before);
  });

  test('answers change settings, as a diff; the rest, order and mode stay', async () => {
    project.write('settings.json', old);
    chmodSync(project.path('settings.json'), 0o600);
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain: (example.org)', '', 'Enter'],
      ['? Relay: (relayhost)', 'relayhost, second', 'Enter'],
      ['? Mail server at home: (mailhost, office)', 'office, mailhost.example.org', 'Enter'],
      machine,
      more,
    ]);
    await take(terminal, [
      ['? Port on the relay: (2500)', '587', 'Enter'],
      relayUser,
      clientUser,
      ['? Days a certificate is valid: (90)', '14', 'Enter'],
      ['certificates.renewBeforeDays must be less than certificates.validDays (14): 14', '', 'BSpace', 'BSpace'],
      ['? Days a certificate is valid:', '60', 'Enter'],
      keyType,
      operator,
    ]);
    await terminal.waitFor('settings.json will change:', 2);
    expect(terminal.screen()).toContain(
      '\n- "certificates": { "renewBeforeDays": 14, "validDays": 90 },'.replace('- ', '-   '),
    );
    expect(terminal.screen()).toContain('\n+   "certificates": { "renewBeforeDays": 14, "validDays": 60 },');
    await take(terminal, [justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(project.read('settings.json')).toBe(`{ "domain": "example.org", // ours
  "postfix": { "pin": "certificate" },
  "smtpClients": [{ "hostname": "office", "sshUser": "root" }, { "sshPort": 2222, "hostname": "mailhost" }],
  "smtpdServers": [{ "hostname": "relayhost", "altNames": ["mx"], "port": 587 }, { "hostname": "second", "port": 587 }],
  "certificates": { "renewBeforeDays": 14, "validDays": 60 },
  "passphrase": { "file": "pass.gpg" },
  "subject": { "organization": "Example" } }
`);
    expect(lstatSync(project.path('settings.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  test.each([
    ['stays', 'Enter', ['mailhost', 'office', 'laptop'], false],
    ['leaves', 'Down', ['laptop'], true],
  ] as const)('a host that is typed over is named, and %s', async (_, key, names, isLeaving) => {
    project.write('settings.json', old.replace('"hostname": "mailhost"', '"hostname": "mailhost", "local": true'));
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain:', '', 'Enter'],
      relays,
      ['? Mail server at home:', 'laptop', 'Enter'],
      machine,
    ]);
    for (const host of ['mailhost', 'office']) {
      await terminal.waitFor(`${host}.example.org is in the settings, but not in your answer`);
      await take(terminal, [['? Remove it:', '', key]]);
      if (isLeaving) terminal.press('Enter');
      await terminal.waitFor(`Remove it: ${isLeaving ? 'yes' : 'no'}`, host === 'mailhost' ? 1 : 2);
    }
    await take(terminal, [justWrite]);
    expect(await terminal.ended()).toBe(0);
    const settings = JSON.parse(project.read('settings.json').replace('// ours', '')) as typeof expected;
    expect(settings.smtpClients.map(({ hostname }) => hostname).toSorted()).toEqual(names.toSorted());
    // This machine was none of the hosts in the answer.
    expect(settings.smtpClients.some((host) => 'local' in host && host.local === true)).toBe(!isLeaving);
    const told = bare(terminal.screen()).includes(
      bare('to undo and revoke office.example.org: relaycerts remove office'),
    );
    expect(told).toBe(isLeaving);
  });

  test('a link stays one, and the file that it names changes', async () => {
    mkdirSync(project.path('real'));
    project.write('real/s.json', old);
    symlinkSync('real/s.json', project.path('settings.json'));
    const terminal = await openWizard();
    await take(terminal, [
      ['? Mail domain:', '', 'Enter'],
      ['? Relay:', 'relayhost, other', 'Enter'],
      clients,
      machine,
      justWrite,
    ]);
    expect(await terminal.ended()).toBe(0);
    expect(lstatSync(project.path('settings.json')).isSymbolicLink()).toBe(true);
    expect(project.read('real/s.json')).toContain('{ "hostname": "other" }');
  });

  test('changed by somebody else meanwhile, they are not overwritten', async () => {
    project.write('settings.json', old);
    const terminal = await openWizard();
    await take(terminal, [['? Mail domain:', '', 'Enter'], ['? Relay:', 'relayhost, new', 'Enter'], clients, machine]);
    await terminal.waitFor('? Write settings.json:');
    project.write('settings.json', `${old} `);
    terminal.press('Enter');
    expect(await terminal.ended()).toBe(1);
    await terminal.waitFor('changed meanwhile, and was left as it is');
    expect(project.read('settings.json')).toBe(`${old} `);
  });

  test('that are wrong are reported and not changed: exit 2', async () => {
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

  const beforeRecipients = [...first, more, ...rest.slice(0, -1)];
  const fromGnupg: Step = ['? Who can open the passphrase:', '', 'Down', 'Enter'];
  const open = (way: Way = {}) => openWizard({ ...way, env: { GNUPGHOME: gnupg.home } });

  test('keys of GnuPG: marked with space; those that cannot be used say why', async () => {
    const terminal = await open();
    await take(terminal, [...beforeRecipients, fromGnupg, ['? GnuPG keys that open it:', '', 'Enter']]);
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
    await take(terminal, [...beforeRecipients, fromGnupg, ['? GnuPG keys that open it:', '', 'Space', 'C-c']]);
    expect(await terminal.ended()).toBe(130);
    expectNothing();
  });

  test('typed: a file, an address; one that is of no use is refused at once', async () => {
    project.write('key.asc', gnupg.gpg(['--armor', '--export', alice]));
    const terminal = await open();
    const typed: Step = ['? Who can open the passphrase:', '', 'Down', 'Down', 'Enter'];
    await take(terminal, [...beforeRecipients, typed, ['? Recipients:', 'nokey.asc', 'Enter']]);
    await terminal.waitFor('"nokey.asc" is neither a file beside the settings nor a fingerprint');
    terminal.press('C-u');
    await take(terminal, [
      ['? Recipients:', 'sign@example.org', 'Enter'],
      ['can only sign', '', 'C-u'],
    ]);
    await take(terminal, [
      ['? Recipients:', 'key.asc, key.asc', 'Enter'],
      ['is there twice: "key.asc"', '', 'C-u'],
    ]);
    await take(terminal, [['? Recipients:', 'key.asc, carol@example.org', 'Enter'], justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual({ ...expected, passphrase: { recipients: ['key.asc', 'carol@example.org'] } });
  });

  test('no gpg: it says so, and still offers the operator key', async () => {
    const terminal = await openWizard({ command: ['env', 'PATH=/nowhere', process.execPath, program, 'wizard'] });
    await take(terminal, beforeRecipients);
    await terminal.waitFor('secret keys in GnuPG, also on a card (gpg is not installed)');
    await take(terminal, [['? Who can open the passphrase:', '', 'Down', 'Enter']]);
    await terminal.waitFor('not this one');
    terminal.press('Up', 'Enter');
    await take(terminal, [justWrite]);
    expect(await terminal.ended()).toBe(0);
    expect(written()).toEqual(expected);
  });

  test('no GnuPG home: it says that there is no key, and makes none', async () => {
    const terminal = await openWizard();
    await take(terminal, beforeRecipients);
    await terminal.waitFor('GnuPG has no secret key here');
    terminal.press('C-c');
    expect(await terminal.ended()).toBe(130);
    expect(existsSync(`${project.home}/.gnupg`)).toBe(false);
  });
});
