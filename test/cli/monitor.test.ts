// The lines of `show --section monitor`, run as they are printed: by dash as cron runs them, and as systemd hands them to
// sh. The CA file may hold two CAs while the CA gets a new key, and either of them may be the one that ends.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCa, makeLeaf } from '../support/chain.js';
import { makeProject, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

const home = 'mailhost.example.org';
const day = 86_400_000;
// What sh is on Debian.
const shell = 'dash';

let project: Project;
let folder: string;
let lines: { readonly cron: readonly string[]; readonly systemd: readonly string[] };
let long: string;
let ending: string;
beforeAll(async () => {
  requireTools(shell);
  project = makeProject();
  folder = project.path('installed');
  mkdirSync(folder);
  expect((await project.run(['make'])).status).toBe(0);
  // The host's folder is one of the system's; here it is the project's.
  const printed = (await project.run(['show', 'mailhost', '--section', 'monitor'])).stdout;
  const shown = printed.replaceAll('/etc/postfix/relaycerts', folder);
  const commands = (start: RegExp): readonly string[] =>
    shown.split('\n').flatMap((line) => (start.test(line) ? [line.replace(start, '')] : []));
  lines = { cron: commands(/^\d+ 6 \* \* \* root /u), systemd: commands(/^ExecStart=/u) };
  expect([lines.cron.length, lines.systemd.length]).toEqual([2, 2]);
  const young = await makeCa({});
  long = young.pem;
  ending = (await makeCa({ at: new Date(Date.now() - 80 * day), validDays: 100 })).pem;
  writeFileSync(`${folder}/${home}.crt.pem`, (await makeLeaf(young)).pem);
});
afterAll(() => {
  project.remove();
});

/** What the lines print with this as the CA file; nothing means that cron sends no mail. */
function cronSays(ca: string | undefined): string {
  const file = `${folder}/example.org-ca.crt.pem`;
  if (ca === undefined) rmSync(file, { force: true });
  else writeFileSync(file, ca);
  // In a line of cron a percent sign ends the command.
  for (const line of lines.cron) expect(line).not.toContain('%');
  return lines.cron.map((line) => spawnSync(shell, ['-c', line], { encoding: 'utf8' }).stdout).join('');
}

/** The same by the unit's lines: systemd takes the quotes away and makes one $ of two; its mail goes to a file here. */
function systemdSays(): string {
  return lines.systemd
    .map((line) => {
      const script = /^\/bin\/sh -c '([^']*)'$/u.exec(line)?.[1];
      if (script === undefined) throw new Error(`not a line for systemd: ${line}`);
      expect(script.replaceAll('$$', '')).not.toMatch(/[$%\\]/u);
      const mailed = script.replaceAll('$$', '$').replace('/usr/sbin/sendmail root', 'cat');
      return spawnSync(shell, ['-c', mailed], { encoding: 'utf8' }).stdout;
    })
    .join('');
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
      expect(systemdSays()).toBe(`Subject: the CA of example.org expires\n\n${warning()}`);
    }
  });

  it('what is missing, empty, cut off or something else', () => {
    for (const wrong of [undefined, '', 'no certificate\n', long + long.slice(0, 200), `${long}\nmore\n`]) {
      expect(cronSays(wrong)).toBe(warning());
      expect(systemdSays()).toContain(warning());
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
        const [, cron = ''] = /^cat >(\S+) <<'END'$/mu.exec(text) ?? [];
        expect(text).toContain(`\nchmod 644 ${cron}\n`);
        // cron(8), Debian: letters, digits, underscores and hyphens, or the file is passed over.
        expect(cron).toMatch(/^\/etc\/cron\.d\/[A-Za-z0-9_-]+$/u);
        const units = [...text.matchAll(/\/etc\/systemd\/system\/(\S+)\.(?:service|timer)\b/gu)];
        expect(new Set(units.map(([, unit]) => unit)).size).toBe(1);
        expect(text).toContain(`systemctl enable --now ${units[0]?.[1] ?? ''}.timer`);
        // What is taken back is this domain's alone.
        expect((await show('--undo')).split('\n')).toContain(`rm -f ${cron}`);
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
