// The two frames that every command runs in: `reading` for commands that only look, `changing` for those that write.
// Settings, safety, the lock, recovery, the state, contradictions, bundles and the change itself are handled here and
// in no command.

import { basename, dirname } from 'node:path';
import type { CertificateFindingCode } from '../certificate/verify.js';
import { readPassphraseFd } from '../custody/passphrase.js';
import { RelaycertsError, type Problem } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import { installOf, installOfAll, joinNews, type Install, type News } from '../plan/install.js';
import type { SeenHost } from '../plan/installed.js';
import { changeHost, type Inventory } from '../plan/inventory.js';
import { contradictionsOf, type Bundles } from '../plan/plan.js';
import { bundlesOf, tablesOf } from '../render/bundle.js';
import type { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { withFormerHosts } from '../store/former-hosts.js';
import { installedChange, readInstalled } from '../store/installed.js';
import { layoutOf, type Layout } from '../store/layout.js';
import { withLock, type Lock } from '../store/lock.js';
import { orNameRoot } from '../store/ownership.js';
import { readInventory } from '../store/read.js';
import { noteKnown, withMadeKnown, noteRead } from './known-clients.js';
import { assertSafe, warnUnsafe } from '../store/safety.js';
import { readState, recover, sayOutcome } from '../store/state.js';
import { changeTo, hostsThatDiffer, isEmpty, type Decision } from '../store/state-change.js';
import { commitChange, dropDraft, isCutOff, stageChange, type Change } from '../store/transaction.js';
import { realDisk } from '../sys/disk.js';
import type { Sys } from '../sys/sys.js';
import { warnSome } from '../sys/warn-some.js';

/** What every command gets from the global flags. */
export interface GlobalOptions {
  /** Absolute path of the settings file. */
  readonly settings: string;
  readonly json: boolean;
}

/** For every command that opens the CA's key. */
export interface CaOptions extends GlobalOptions {
  /** A file descriptor to read the CA's passphrase from; undefined: the passphrase file is opened. */
  readonly passphraseFd: number | undefined;
}

/** What a command works with. */
export interface Work {
  readonly settings: Settings;
  readonly inventory: Inventory;
  readonly at: Date;
  readonly sys: Sys;
}

/** What was done, and the path. */
export type Done = string | { readonly what: string; readonly path: string };

/** A command's decision, with its output. */
export interface Step extends Decision {
  /** Printed on stdout before the commit, so that nothing changes unannounced; by the hosts to install. */
  readonly tell: (install: readonly Install[]) => string;
  /** The same for --json (writeAnswer). */
  readonly answer: (install: readonly Install[]) => string;
  /** What was done, for stderr; of several batches, the last one says it for all. */
  readonly done: readonly Done[];
  /** More steps follow: only the bundles of the hosts that differ are made now, the others in the last step. */
  readonly isPart?: boolean;
}

export interface Changing extends Work {
  /** The settings without the hosts that they no longer name. */
  readonly named: Settings;
  readonly lock: Lock;
  /** The CA's passphrase, if it was given. */
  readonly given: Secret | undefined;
  /**
   * Carries out a decision, all or nothing, and returns the new state, bundles included. A command may do so several
   * times, in batches, each from the state before. @throws files
   */
  readonly commit: (step: Step) => Promise<Inventory>;
}

/**
 * Reads the settings, warns of unsafe places (if it `isStrict`, refuses them), and returns the result of `read`: a
 * state before or after any change.
 */
export async function reading<T>(
  { settings: file }: Pick<GlobalOptions, 'settings'>,
  sys: Sys,
  read: (settings: Settings) => Promise<T>,
  isStrict = false,
): Promise<{ readonly settings: Settings; readonly found: T; readonly at: Date }> {
  const settings = await readSettings(file, sys);
  return orNameRoot(settings, sys, async () => {
    // Finishing an interrupted change is writing.
    await (isStrict || (await isCutOff(realDisk(), settings.folder)) ? assertSafe : warnUnsafe)(settings, sys);
    return { settings, found: await readState(settings, sys, () => read(settings)), at: sys.now() };
  });
}

/**
 * Runs `work` under the lock, on a state without contradictions. Those about the CA's certificate in `fixes` do not
 * count, because the command replaces it. If it `isUrgent`, contradictions are warnings, and of the bundles at least
 * the relays' tables are written. Hosts that the words in `former` mean count as if the settings still named them.
 * @throws usage, settings, permissions, lock, contradiction, files - and what `work` throws
 */
export async function changing<T>(
  { settings: file, json, passphraseFd }: GlobalOptions & Partial<CaOptions>,
  sys: Sys,
  work: (frame: Changing) => Promise<T>,
  {
    fixes = [],
    isUrgent = false,
    former = [],
  }: {
    readonly fixes?: readonly CertificateFindingCode[];
    readonly isUrgent?: boolean;
    readonly former?: readonly string[];
  } = {},
): Promise<T> {
  const given = passphraseFd === undefined ? undefined : await readPassphraseFd(passphraseFd);
  return locked(file, sys, async (named, lock) => {
    const settings = await withFormerHosts(named, former);
    const at = sys.now();
    assertClock(at);
    let inventory = await readInventory(settings, sys);
    const news = new Map<HostName, readonly News[]>();
    /** Hosts that have a new bundle from earlier parts: said with the last part, or if that fails. */
    const unsaid = new Set<HostName>();
    const problems = contradictionsOf(settings, inventory, at, fixes);
    if (problems.length > 0 && !isUrgent) throw contradiction(problems);
    await noteRead(settings, inventory, at, sys);
    const wordsOf = ({ answer, tell }: Step, install: readonly Install[]): string =>
      json ? answer(install) : sys.isQuiet ? '' : tell(install);
    const commit = async (step: Step): Promise<Inventory> => {
      const isBroken = isUrgent && contradictionsOf(settings, step.after, at).length > 0;
      const only = step.isPart === true ? hostsThatDiffer(step.after, inventory) : undefined;
      const whole = isBroken ? new Map() : bundlesOf(settings, step.after, only);
      // A relay without a certificate has a table all the same, and a revoked pin must leave it.
      const bundles: Bundles = new Map([...(isUrgent ? tablesOf(settings, step.after) : []), ...whole]);
      const change = changeTo(settings, sys.configHome, inventory, step, bundles);
      const made = bundlesIn(settings, change);
      for (const { host, why } of installOf(settings, made)) news.set(host, joinNews(news.get(host) ?? [], why));
      const told = step.isPart === true ? '' : wordsOf(step, installOfAll(settings, news));
      const say = (): void => {
        for (const one of step.done) {
          if (typeof one === 'string') sys.say(one);
          else sys.say(one.what, one.path);
        }
        for (const [host, files] of made) sys.detail(`the bundle of ${host} has a new ${files.join(', ')}`);
        if (step.isPart !== true) sayBundles(new Set([...unsaid, ...made.keys()]), layoutOf(settings), sys);
      };
      const written = await commitChangeWithWords(settings, sys, lock, change, told, say);
      if (step.isPart === true) for (const host of made.keys()) unsaid.add(host);
      else unsaid.clear();
      // As it is now: problems of a file that was put away are gone.
      const left = isBroken ? contradictionsOf(settings, await readInventory(settings, sys), at) : [];
      warnSome(left, sys);
      const after = withBundles(step.after, bundles);
      inventory = withMadeKnown(settings, inventory, after, { bundles, written, at }, sys);
      if (step.isPart !== true && made.size > 0) await noteKnown(settings, inventory, sys);
      return inventory;
    };
    try {
      return await work({ settings, named, inventory, at, sys, lock, given, commit });
    } finally {
      sys.progress.end();
      sayBundles(unsaid, layoutOf(settings), sys);
    }
  });
}

/** Runs `work` under the lock, after finishing an interrupted change. The settings are read once the lock is held. */
export async function locked<T>(
  file: string,
  sys: Sys,
  work: (settings: Settings, lock: Lock) => Promise<T>,
): Promise<T> {
  const before = await readSettings(file, sys);
  return orNameRoot(before, sys, async () => {
    await assertSafe(before, sys);
    return withLock(layoutOf(before).lock, sys, async (lock) => {
      const settings = await readSettings(file, sys, before);
      await recover(settings, sys, lock);
      return work(settings, lock);
    });
  });
}

/**
 * Records what hosts were seen to have, and leaves the others as they are; undefined: the host has nothing of ours any
 * more. Contradictions do not matter here: what is on a host is true whatever is wrong here.
 * @throws permissions, lock, files
 */
export async function noteInstalled(
  { settings: file }: Pick<GlobalOptions, 'settings'>,
  sys: Sys,
  seen: ReadonlyMap<HostName, SeenHost | undefined>,
): Promise<void> {
  if (seen.size > 0) await locked(file, sys, (settings, lock) => noteUnderLock(settings, sys, lock, seen));
}

/** The same for a caller that holds the lock. */
export async function noteUnderLock(
  settings: Settings,
  sys: Sys,
  lock: Lock,
  seen: ReadonlyMap<HostName, SeenHost | undefined>,
): Promise<void> {
  const layout = layoutOf(settings);
  const { hosts } = readInstalled(layout);
  await commitChangeWithWords(settings, sys, lock, installedChange(layout, hosts, seen, settings), '');
}

/**
 * Stages the change, prints what was made and for what, and commits it: so what to do next is printed last. Returns the
 * time of the commit, before which all its files were written, in milliseconds.
 * @throws files - before the commit nothing has changed
 */
export async function commitChangeWithWords(
  { folder }: Settings,
  sys: Sys,
  lock: Lock,
  change: Change,
  words: string,
  say: () => void = () => undefined,
): Promise<number> {
  const unsynced = new Set<string>();
  const disk = realDisk(unsynced);
  if (!isEmpty(change)) await stageChange(disk, folder, change);
  try {
    say();
    // Without words, nothing depends on the output.
    if (words !== '') {
      sys.write(words);
      await sys.flush();
    }
  } catch (error) {
    await dropDraft(disk, folder);
    throw error;
  }
  const written = Date.now();
  if (isEmpty(change)) return written;
  if (unsynced.size > 0) {
    sys.warn(
      'the file system here cannot make a change durable by itself: after a power failure, check that it is there',
    );
  }
  sayOutcome(await commitChange(disk, folder, () => lock.markChange()), sys);
  return written;
}

/** One line each; with more than a few, one line with their number. */
function sayBundles(made: ReadonlySet<HostName>, { hostsFolder, bundleFolder }: Layout, sys: Sys): void {
  if (made.size > 4) sys.say(`made the bundles of ${made.size} hosts`, hostsFolder);
  else for (const host of made) sys.say('made the bundle', bundleFolder(host));
}

/** The error that reports all problems of a state. */
export function contradiction(problems: readonly Problem[]): RelaycertsError {
  return new RelaycertsError('contradiction', problems.map(({ message }) => message).join('; '), { problems });
}

/** A board without a clock starts in 1970, before anybody could run this. */
function assertClock(at: Date): void {
  const year = at.getUTCFullYear();
  if (year >= 2026 && year <= 2099) return;
  throw new RelaycertsError(
    'permissions',
    `this machine's clock says ${at.toISOString()}, and certificates made with it would be useless`,
    { hint: 'timedatectl set-ntp true' },
  );
}

/** The files of each host's bundle that a change writes. */
function bundlesIn(settings: Settings, { writes }: Change): ReadonlyMap<HostName, readonly string[]> {
  const { hostsFolder } = layoutOf(settings);
  const found = new Map<HostName, string[]>();
  for (const { path } of writes) {
    const hostname = dirname(dirname(path)) === hostsFolder ? findHostName(basename(dirname(path))) : undefined;
    if (hostname !== undefined) found.set(hostname, [...(found.get(hostname) ?? []), basename(path)]);
  }
  return found;
}

function withBundles(inventory: Inventory, bundles: Bundles): Inventory {
  const hosts = inventory.hosts.map((found) => {
    const files = bundles.get(found.host.hostname);
    if (files === undefined) return found;
    return changeHost(found, { hasBundle: true, bundle: new Map([...found.bundle, ...files]) });
  });
  return { ...inventory, hosts };
}
