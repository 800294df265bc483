// The program in a shell: short options, the environment, and readers that stop reading.

import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeEach(() => {
  project = makeProject(
    smallSettings({ smtpClients: Array.from({ length: 300 }, (_, at) => ({ hostname: `c${at}` })) }),
  );
});
afterEach(() => {
  project.remove();
});

describe('short options', () => {
  it('-V and -h are --version and --help', async () => {
    expect((await project.run(['-V'])).stdout).toBe((await project.run(['--version'])).stdout);
    expect((await project.run(['make', '-h'])).stdout).toBe((await project.run(['make', '--help'])).stdout);
    expect((await project.run(['-V'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/u);
  });
});

describe('RELAYCERTS_SETTINGS', () => {
  beforeEach(() => {
    mkdirSync(project.path('other'));
    project.write('other/s.json', JSON.stringify(smallSettings({ smtpClients: [{ hostname: 'elsewhere' }] })));
  });
  const env = { RELAYCERTS_SETTINGS: 'other/s.json' };

  it('names the settings, and what is printed runs without it too', async () => {
    const { stdout } = succeed(await project.run(['make', '--dry-run'], { env }));
    expect(stdout).toContain('elsewhere.example.org');
    expect((await project.run(['remove', 'elsewhere'], { env })).stderr).toContain(
      'relaycerts --settings other/s.json add HOST',
    );
  });

  it('gives way to --settings, and is nothing if it is empty', async () => {
    for (const [args, given] of [
      [['--settings', 'settings.json'], env],
      [[], { RELAYCERTS_SETTINGS: '' }],
    ] as const) {
      const { stdout } = succeed(await project.run([...args, 'make', '--dry-run'], { env: given }));
      expect(stdout).toContain('c9.example.org');
    }
  });
});

describe('a reader that goes away', () => {
  it.each([
    ['--help', '| head -n 1'],
    ['make --dry-run', '| head -n 1'],
    ['make --dry-run', '| true'],
    ['make --dry-run --json', '| true'],
    ['status', '| true'],
    ['completion bash', '| true'],
  ])('is not an error: relaycerts %s %s', (words, pipe) => {
    const under = ['bash', '-c', `{ "$@" 3>&1; echo "exit $?" >&2; } ${pipe}`, 'bash'];
    const { status, stderr } = project.spawn(words.split(' '), { under });
    expect(status).toBe(0);
    const lines = stderr
      .split('\n')
      .filter((line) => !line.startsWith('relaycerts: warning: ') && !line.startsWith('relaycerts: hint: '));
    expect(lines).toEqual([words === 'status' ? 'exit 3' : 'exit 0', '']);
  });
});

describe('colour', () => {
  it('is in no output that is not a terminal, with and without NO_COLOR', async () => {
    await putMade(project);
    for (const env of [{}, { NO_COLOR: '1' }, { FORCE_COLOR: '1', TERM: 'xterm-256color' }]) {
      for (const args of [['status'], ['show', 'c1'], ['--help'], ['nonsense']]) {
        const { stdout, stderr } = project.spawn(args, { env });
        expect(stdout + stderr).not.toContain('\u001b');
      }
    }
  });
});
