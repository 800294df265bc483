// `relaycerts check --json` on the operator's machine, what it prints to do, run to the letter, and what `relaycerts
// explain` says of the same fault, once a mail has met it.

import { expect } from 'vitest';

import { unasked } from '../../support/now-run.js';
import type { MailHost } from './mail-host.js';
import { send, type Desk } from './operator.js';

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

/** Expects no findings, about this host or anything. */
export async function expectGreen(desk: Desk, host = ''): Promise<void> {
  const findings = await findAll(desk, host);
  expect(findings.map(({ message }) => message)).toEqual([]);
}

/** Expects this kind of finding, when only this host is checked: that takes half the time. */
export async function expectFound(desk: Desk, id: string, host: string | null): Promise<CheckFinding> {
  const findings = await findAll(desk, host ?? '');
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

/** Runs the commands of all cures, each once, until check names none. */
export async function runCures(desk: Desk): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    const cures = (await findAll(desk)).flatMap(({ cure }) => cure);
    const commands = new Set(cures.flatMap(({ kind, text }) => (kind === 'command' ? [text] : [])));
    if (commands.size === 0) return;
    for (const text of commands) await desk.run(unasked(text));
  }
}

/** What a log says of a fault: the id that explain gives it, and whose log it is. */
export type Logged = readonly [id: string, log: 'home' | 'relay'];

/**
 * Sends a mail that has to wait, and finds in the log of each host what explain calls it. The logs should be empty when the
 * fault is put in: a server says what it lacks as it starts, and check has met it before.
 */
export async function expectLogged(
  desk: Desk,
  hosts: { readonly home: MailHost; readonly relay: MailHost },
  logged: readonly Logged[],
): Promise<void> {
  const { home } = hosts;
  try {
    // A relay that was out of reach is left alone for a while, unless qmgr starts again.
    await home.reload();
    await send(home);
    await home.waitForDeferred();
    for (const log of new Set(logged.map(([, one]) => one))) {
      const { stdout } = await desk.run(`relaycerts explain --json ${hosts[log].hostname}`, true);
      const { findings, unknown } = JSON.parse(stdout) as {
        readonly findings: readonly { readonly id: string }[];
        readonly unknown: readonly unknown[];
      };
      expect(unknown).toEqual([]);
      const wanted = logged.flatMap(([id, one]) => (one === log ? [id] : []));
      const ids = findings.map(({ id }) => id);
      expect(ids, await hosts[log].mailLog()).toEqual(expect.arrayContaining(wanted));
    }
  } finally {
    await home.exec(['postsuper', '-d', 'ALL']);
  }
}

/** Empties the logs of hosts. */
export async function emptyLogs(...hosts: readonly MailHost[]): Promise<void> {
  await Promise.all(hosts.map((host) => host.emptyLog()));
}

/** Does something on a host, and has Postfix take it up. */
export async function changeHost(host: MailHost, script: string): Promise<void> {
  await host.sh(`{ ${script}\n} >/dev/null 2>&1`);
  await host.settleMainCf();
  // A Postfix that is stopped, or cannot read its files, takes nothing up.
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
