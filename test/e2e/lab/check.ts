// `relaycerts check --json` on the operator's machine, and the cures it prints, run to the letter.

import { expect } from 'vitest';

import { unasked } from '../../support/now-run.js';
import type { MailHost } from './mail-host.js';
import type { Desk } from './operator.js';

export interface CheckFinding {
  readonly id: string;
  readonly severity: 'error' | 'warning' | 'unknown';
  readonly host: string | null;
  readonly message: string;
  readonly cure: readonly { readonly kind: 'words' | 'command'; readonly text: string }[];
}

/** The findings of check; its exit code has to match. */
export async function findAll(desk: Desk, words = ''): Promise<readonly CheckFinding[]> {
  const { code, stdout, stderr } = await desk.run(`relaycerts check --json ${words}`, true);
  if (stdout === '') throw new Error(`check ended with ${code}: ${stderr}`);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly CheckFinding[] };
  expect(code).toBe(findings.some(({ severity }) => severity !== 'unknown') ? 3 : 0);
  return findings;
}

/** Expects no findings. */
export async function expectGreen(desk: Desk): Promise<void> {
  const findings = await findAll(desk);
  expect(findings.map(({ message }) => message)).toEqual([]);
}

/** Expects this kind of finding, about this host. */
export async function expectFound(desk: Desk, id: string, host: string | null): Promise<CheckFinding> {
  const findings = await findAll(desk);
  const found = findings.find((one) => one.id === id && one.host === host);
  if (found === undefined) throw new Error(`not ${id} of ${host ?? 'here'}, but: ${JSON.stringify(findings, null, 1)}`);
  return found;
}

/** Runs the commands of a cure, each as printed. */
export async function runCure(desk: Desk, { cure, id }: CheckFinding): Promise<void> {
  const commands = cure.filter(({ kind }) => kind === 'command');
  if (commands.length === 0) throw new Error(`${id} has no command to run`);
  for (const { text } of commands) await desk.run(unasked(text));
}

/** Does something on a host, and makes Postfix pick it up. */
export async function changeHost(host: MailHost, script: string): Promise<void> {
  await host.sh(`{ ${script}\n} >/dev/null 2>&1`);
  // A Postfix that is stopped, or cannot read its files, picks nothing up.
  const isUp = 'postconf -n >/dev/null 2>&1 && ! /usr/lib/postfix/sbin/master -t';
  const { code } = await host.sh(isUp, { anyExit: true });
  if (code === 0) await host.reload();
}

/** A failed test leaves nothing on the host for the next one. */
export async function orRestored(desk: Desk, host: MailHost, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await host.restorePostfix();
    await desk.install(host);
    throw error;
  }
}
