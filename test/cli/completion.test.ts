// Completion in the real shells: what is typed before Tab, and what is there afterwards. The shells ask the program, so
// its answers are tested without a shell.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { openTerminal, type Terminal } from '../support/terminal.js';

const settings = smallSettings({
  smtpClients: [{ hostname: 'mailhost' }, { hostname: 'office' }, { hostname: 'far.example.net' }],
});

let project: Project;
let terminal: Terminal | undefined;
beforeAll(() => requireTools('bash', 'zsh', 'fish', 'tmux'));
beforeEach(() => {
  project = makeProject(settings);
});
afterEach(() => {
  terminal?.dispose();
  terminal = undefined;
  project.remove();
});

const wordsAfter = async (...words: readonly string[]): Promise<readonly string[]> => {
  const { status, stdout, stderr } = await project.run(['completion', 'bash', '--words', '--', ...words]);
  expect([status, stderr]).toEqual([0, '']);
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0] ?? '']));
};

describe('what fits', () => {
  it.each<[string, readonly string[]]>([
    ['ren', ['renew']],
    ['show re', ['relayhost']],
    ['show ', ['relayhost', 'mailhost', 'office', 'far.example.net']],
    ['show mailhost of', ['office']],
    ['show office.e', ['office.example.org']],
    ['show --form', ['--format']],
    ['fingerprint --of ', ['public-key', 'certificate']],
    ['show --format j', ['json']],
    ['show --format=j', ['--format=json']],
    ['show --format = j', ['json']],
    ['show --format sh ma', ['mailhost']],
    ['sign --host of', ['office']],
    ['sign ', [':files']],
    ['fingerprint a.pem ', [':files']],
    ['--settings ', [':files']],
    ['--settings settings.json show off', ['office']],
    ['--settings=settings.json show off', ['office']],
    ['--settings = settings.json show off', ['office']],
    ['--settings nowhere.json show ', []],
    ['--settings ~/s.json show ath', ['athome2', 'athome']],
    ['help ren', ['renew']],
    ['help export p', ['p12']],
    ['explain ', [':files']],
    ['adopt ', [':files']],
    ['export ansible --output ', [':files']],
    ['passphrase sh', ['show']],
    ['passphrase show ', []],
    ['passphrase nothing ', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['revoke --reason ma', []],
    ['--qu', ['--quiet']],
    ['nothing at all', []],
    ['make --ag', ['--again']],
    ['make --again m', ['mailhost']],
  ])('after "%s"', async (line, wanted) => {
    const athome = smallSettings({ smtpClients: [{ hostname: 'athome' }], smtpdServers: [{ hostname: 'athome2' }] });
    writeFileSync(join(project.home, 's.json'), JSON.stringify(athome));
    expect(await wordsAfter(...line.split(' '))).toEqual(wanted);
  });

  it('is nothing, and no error, with broken settings', async () => {
    project.write('settings.json', '{');
    expect(await wordsAfter('show', '')).toEqual([]);
  });

  it('is of the settings that the environment names', async () => {
    mkdirSync(project.path('other'));
    project.write('other/s.json', JSON.stringify(smallSettings({ smtpClients: [{ hostname: 'elsewhere' }] })));
    const env = { RELAYCERTS_SETTINGS: 'other/s.json' };
    const { stdout } = await project.run(['completion', 'fish', '--words', '--', 'show', 'else'], { env });
    expect(stdout).toBe('elsewhere\t\n');
  });
});

const load = {
  bash: 'eval "$(relaycerts completion bash)"',
  zsh: 'autoload -Uz compinit; compinit -u; eval "$(relaycerts completion zsh)"',
  fish: 'relaycerts completion fish | source',
};
const commands = {
  bash: ['bash', '--norc', '--noprofile', '-i'],
  zsh: ['zsh', '-f', '-i'],
  fish: ['fish', '--no-config', '-i'],
} as const;

describe.each(['bash', 'zsh', 'fish'] as const)('%s', (shell) => {
  it('reads its script', async () => {
    const { stdout } = await project.run(['completion', shell]);
    project.write('script', stdout);
    const { status, stderr } = spawnSync(shell, ['-n', project.path('script')], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  it('completes a command, an option, its value, a host and a file', async () => {
    project.write('request.csr.pem', '');
    // The command that Enter runs prints the completed line; completion asks the real program.
    mkdirSync(project.path('bin'));
    const real = project.path('../bin/relaycerts');
    const said = String.raw`printf 'ran:'; printf ' [%s]' "$@"; echo`;
    writeFileSync(
      project.path('bin/relaycerts'),
      `#!/bin/sh\nif test "$1" = completion; then exec ${real} "$@"; fi\n${said}\n`,
      { mode: 0o755 },
    );
    terminal = await openTerminal({
      command: commands[shell],
      cwd: project.folder,
      env: { PATH: `${project.path('bin')}:${process.env['PATH'] ?? ''}`, HOME: project.home, LANG: 'C.UTF-8' },
      columns: 120,
    });
    terminal.type(`${load[shell]}; relaycerts loaded`);
    terminal.press('Enter');
    await terminal.waitFor('ran: [loaded]');
    for (const [typed, whole] of [
      ['relaycerts finge', '[fingerprint]'],
      ['relaycerts show --sect', '[show] [--section]'],
      ['relaycerts show --section rsy', '[show] [--section] [rsync]'],
      ['relaycerts show off', '[show] [office]'],
      ['relaycerts sign requ', '[sign] [request.csr.pem]'],
      ['relaycerts --settings=requ', '[--settings=request.csr.pem]'],
    ] as const) {
      terminal.type(typed);
      terminal.press('Tab', 'Enter');
      await terminal.waitFor(`ran: ${whole}`);
    }
  });
});
