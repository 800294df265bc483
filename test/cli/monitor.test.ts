// The lines of `show --section monitor`, run as printed, as cron and systemd run them. During a CA rekey the CA file
// may have two CAs, and either may be the one that ends.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksFor } from '../support/blocks.js';
import { makeCa, makeLeaf } from '../support/chain.js';
import { makeProject, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

const home = 'mailhost.example.org';
const day = 86_400_000;

let project: Project;
let folder: string;
let script: string;
let long: string;
let ending: string;
beforeAll(async () => {
  requireTools('dash', 'busybox');
  project = makeProject();
  folder = project.path('installed');
  mkdirSync(folder);
  expect((await project.run(['make'])).status).toBe(0);
  // On a host it is a system folder; here it is the project's.
  const printed = (await project.run(['show', 'mailhost', '--section', 'monitor'])).stdout;
  const shown = printed.replaceAll('/etc/postfix/relaycerts/example.org', folder).replaceAll('/etc/cron.d', folder);
  const [block = ''] = blocksFor(shown, { host: home });
  expect(spawnSync('sh', { input: block, encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '', stderr: '' });
  // Cron's subject is the whole line; a percent sign would end it.
  const [, command = ''] = /^\d+ 6 \* \* \* root (.*)$/mu.exec(project.read('installed/relaycerts-example_org')) ?? [];
  expect(command).toMatch(/^sh \S+\/check-expiry$/u);
  expect(shown).toContain(`\nExecStart=/bin/${command} mail\n`);
  script = command.slice('sh '.length);
  const young = await makeCa({});
  long = young.pem;
  ending = (await makeCa({ at: new Date(Date.now() - 80 * day), validDays: 100 })).pem;
  writeFileSync(`${folder}/${home}.crt.pem`, (await makeLeaf(young)).pem);
});
afterAll(() => {
  project.remove();
});

/** The script's output with this CA file, the same in each shell; without output cron sends no mail. */
function cronSays(ca: string | undefined): string {
  const file = `${folder}/example.org-ca.crt.pem`;
  if (ca === undefined) rmSync(file, { force: true });
  else writeFileSync(file, ca);
  const said = [['dash'], ['busybox', 'sh'], ['bash', '--posix']].map(
    ([shell = '', ...args]) => spawnSync(shell, [...args, script], { encoding: 'utf8' }).stdout,
  );
  expect(new Set(said).size).toBe(1);
  return said[0] ?? '';
}

/** The mail of systemd's unit; it goes to a file here. */
function systemdSays(): string {
  const mailed = readFileSync(script, 'utf8').replace('/usr/sbin/sendmail root', 'cat');
  expect(mailed).not.toContain('sendmail');
  return spawnSync('sh', ['-s', 'mail'], { input: mailed, encoding: 'utf8' }).stdout;
}

function warning(): string {
  return `relaycerts: the CA of example.org expires within 30 days, or cannot be read: ${folder}/example.org-ca.crt.pem\n`;
}

describe('the CA file', () => {
  it('one CA that is good, and two', () => {
    for (const good of [long, long + long]) {
      expect(cronSays(good)).toBe('');
      expect(systemdSays()).toBe('');
    }
  });

  it('one that ends soon, be it the first, the second or the third', () => {
    for (const due of [ending, ending + long, long + ending, long + long + ending]) {
      expect(cronSays(due)).toBe(warning());
      expect(systemdSays()).toBe(`Subject: relaycerts: certificates of ${home} expire\n\n${warning()}`);
    }
  });

  it('what is missing, empty, cut off or something else', () => {
    for (const wrong of [undefined, '', 'no certificate\n', long + long.slice(0, 200), `${long}\nmore\n`]) {
      expect(cronSays(wrong)).toBe(warning());
      expect(systemdSays()).toContain(warning());
    }
  });
});

describe('--undo', () => {
  const marker = `# relaycerts: the certificates of ${home}\n`;
  const names = ['cron', 'unit.timer', 'unit.service', 'folder/check-expiry'];

  it.each([
    ['all of it is ours', names],
    ['cron only', ['cron', 'folder/check-expiry']],
    ['systemd only', ['unit.timer', 'unit.service', 'folder/check-expiry']],
    ['nothing', []],
  ])('removes what has our marker: %s', async (_what, ours) => {
    const text = (await project.run(['show', 'mailhost', '--undo'])).stdout;
    const [, lines = ''] = /^\((\nhost=[^]*?)^\)$/mu.exec(text) ?? [];
    for (const shell of [['dash'], ['busybox', 'sh'], ['bash', '--posix']] as const) {
      const root = mkdtempSync(project.path('undo-'));
      mkdirSync(`${root}/folder`);
      for (const name of names) writeFileSync(`${root}/${name}`, `${ours.includes(name) ? marker : '# theirs\n'}x\n`);
      writeFileSync(`${root}/systemctl`, `#!/bin/sh\necho "$*" >>${root}/asked\nexit 1\n`, { mode: 0o755 });
      const here = lines.replace(/^(folder|cron|unit)=.*$/gmu, `$1=${root}/$1`);
      const env = { PATH: `${root}:${process.env['PATH'] ?? ''}` };
      const { status, stderr } = spawnSync(shell[0], [...shell.slice(1), '-eu'], {
        input: here,
        env,
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      expect(names.filter((name) => !existsSync(`${root}/${name}`))).toEqual(ours);
      const asked = readFileSync(`${root}/asked`, 'utf8');
      expect(asked).toBe(`${ours.includes('unit.timer') ? 'disable --now unit.timer\n' : ''}daemon-reload\n`);
    }
  });
});

describe('two domains on one relay', () => {
  const domains = ['example.org', 'other.example', 'a-b.example', 'a.b.example'];

  it("keep each other's warnings, under names that cron and systemd read", async () => {
    const work = domains.map(async (domain) => {
      const own = makeProject({
        domain,
        smtpdServers: [{ hostname: 'relay.example.net' }],
        smtpClients: [{ hostname: 'mailhost' }],
      });
      try {
        expect((await own.run(['make'])).status).toBe(0);
        const show = async (...args: readonly string[]): Promise<string> =>
          (await own.run(['show', 'relay.example.net', ...args])).stdout;
        const text = await show('--section', 'monitor');
        const [, cron = ''] = /cat >(\/etc\/cron\S+) <<'END'$/mu.exec(text) ?? [];
        // cron(8), Debian: letters, digits, underscores and hyphens, or the file is ignored.
        expect(cron).toMatch(/^\/etc\/cron\.d\/[A-Za-z0-9_-]+$/u);
        const units = [...text.matchAll(/\/etc\/systemd\/system\/(\S+)\.(?:service|timer)\b/gu)];
        expect(new Set(units.map(([, unit]) => unit)).size).toBe(1);
        expect(text).toContain(`systemctl enable --now ${units[0]?.[1] ?? ''}.timer`);
        // Only this domain's files are removed.
        expect((await show('--undo')).split('\n')).toContain(`cron=${cron}`);
        expect((await show('--undo', '--format', 'sh')).split('\n')).toContain(`cron=${cron}`);
        return [cron, ...units.map(([whole]) => whole)];
      } finally {
        own.remove();
      }
    });
    const files = await Promise.all(work);
    expect(files[0]?.[0]).toBe('/etc/cron.d/relaycerts-example_org');
    expect(new Set(files.flat()).size).toBe(3 * domains.length);
  });
});
