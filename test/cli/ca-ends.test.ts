// What make reports about a CA that ends soon: the CA itself, and that leaves signed now end with it. The program runs
// with a changed clock.

import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';

const day = 86_400_000;
const second = 'second.example.org';

let project: Project;
beforeEach(async () => {
  project = makeProject(smallSettings({ ca: { validDays: 1000 } }));
  expect((await project.run(['make'])).stderr).not.toContain('warning');
});
afterEach(() => {
  project.remove();
});

/** The command run this many days from now. */
async function inDays(days: number, ...words: readonly string[]): Promise<Result> {
  const now = new Date(Date.now() + days * day);
  const result = await project.run(words, { now });
  expect(result.status, result.stderr).toBe(0);
  return result;
}

const ends = (path: string): string => new X509Certificate(project.read(path)).validTo;

it('the plan has the real days of a leaf that ends with its CA', async () => {
  project.settings(
    smallSettings({ ca: { validDays: 1000 }, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }),
  );
  expect((await inDays(600, 'make', '--dry-run')).stdout).toContain(`certificate of ${second}, 398 days`);
  const planned = await inDays(800, 'make', '--dry-run');
  expect(planned.stdout).toContain(`the smtp-client certificate of ${second}, 199 days`);
  expect(planned.stderr).toMatch(
    /warning: the CA expires on \d{4}-\d\d-\d\d, in 199 days, and with it every certificate/u,
  );
  expect(planned.stderr).toContain('hint: relaycerts renew --ca, then install every host\n');
  expect((await inDays(800, 'make')).stderr).toContain(`certificate of ${second}, 199 days`);
  // The message does not decide the validity: the leaf ends with the CA, to the second.
  expect(ends(`certs/smtp-client/${second}.crt.pem`)).toBe(ends('certs/ca/example.org-ca.crt.pem'));
});

it('renew reports the same, and the hinted command fixes both', async () => {
  expect((await inDays(800, 'renew')).stderr).toContain('certificate of mailhost.example.org, 199 days');
  await inDays(800, 'renew', '--ca');
  expect((await inDays(800, 'renew', '--force')).stderr).toContain('certificate of mailhost.example.org, 398 days');
  expect((await inDays(800, 'make')).stderr).not.toContain('warning');
});

it('a CA with no more days than its leaves is named only when due', async () => {
  await project.run(['clean', '--yes']);
  project.settings(smallSettings({ ca: { validDays: 300 } }));
  const { stderr } = await inDays(0, 'make');
  expect(stderr).toContain('certificate of mailhost.example.org, 300 days');
  expect(stderr).not.toContain('warning');
  expect((await inDays(100, 'make')).stderr).not.toContain('warning');
  const due = (await inDays(280, 'make')).stderr;
  expect(due).toMatch(/warning: the CA expires on .*, in 19 days/u);
  // `renew` of a host would be refused.
  expect(due).not.toContain('relaycerts renew mailhost');
});
