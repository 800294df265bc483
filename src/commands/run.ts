// The two frames that every command runs in: `reading` for commands that only look, `changing` for those that write.
// Settings, safety, the state, contradictions, bundles and what is said of a change are handled here and in no command;
// the lock and the change itself in locked.ts.

import { basename, dirname } from 'node:path';
import type { CertificateFindingCode } from '../certificate/verify.js';
import { readPassphraseFd } from '../custody/passphrase.js';
import { RelaycertsError, type Problem } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import { installOf, installOfAll, joinNews, type Install, type News } from '../plan/install.js';
import { changeHost, type Inventory } from '../plan/inventory.js';
import { contradictionsOf, type Bundles } from '../plan/plan.js';
import { bundlesOf, tablesOf } from '../render/bundle.js';
import type { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { withFormerHosts } from '../store/former-hosts.js';
import { layoutOf, type Layout } from '../store/layout.js';
import type { Lock } from '../store/lock.js';
import { orNameRoot } from '../store/ownership.js';
import { commitChangeWithWords, safely, underLock } from './locked.js';
import { noteKnown, noteRead, readProject, withMadeKnown } from './known-clients.js';
import { assertSafe, warnUnsafe } from '../store/safety.js';
import { glimpseState, readState } from '../store/state.js';
import { changeTo, hostsThatDiffer, type Decision } from '../store/state-change.js';
import { isCutOff, type Change } from '../store/transaction.js';
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
interface Step extends Decision {
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
 * the relays' tables are written. Hosts that the words in `former` mean count as if the settings still named them. On a
 * state that `isDone`, `work` changes nothing, and runs without the lock.
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
    isDone,
  }: {
    readonly fixes?: readonly CertificateFindingCode[];
    readonly isUrgent?: boolean;
    readonly former?: readonly string[];
    readonly isDone?: (work: Work) => Promise<boolean>;
  } = {},
): Promise<T> {
  const given = passphraseFd === undefined ? undefined : await readPassphraseFd(passphraseFd);
  const run = async (named: Settings, lock: Lock | undefined, seen: Inventory | undefined): Promise<T> => {
    const settings = await withFormerHosts(named, former);
    const at = sys.now();
    assertClock(at);
    let inventory = seen ?? (await readProject(settings, sys));
    const news = new Map<HostName, readonly News[]>();
    /** Hosts that have a new bundle from earlier parts: said with the last part, or if that fails. */
    const unsaid = new Set<HostName>();
    const problems = contradictionsOf(settings, inventory, at, fixes);
    if (problems.length > 0 && !isUrgent) throw contradiction(problems);
    await noteRead(settings, inventory, sys);
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
      const left = isBroken ? contradictionsOf(settings, await readProject(settings, sys), at) : [];
      warnSome(left, sys);
      const after = withBundles(step.after, bundles);
      inventory = withMadeKnown(settings, inventory, after, { bundles, written, at }, sys);
      if (step.isPart !== true && made.size > 0) await noteKnown(settings, inventory, sys);
      return inventory;
    };
    try {
      return await work({ settings, named, inventory, at, sys, given, commit });
    } finally {
      sys.progress.end();
      sayBundles(unsaid, layoutOf(settings), sys);
    }
  };
  return safely(file, sys, async (before) => {
    const seen = isDone && (await glimpseState(before, () => readProject(before, sys)));
    if (seen && (await isDone?.({ settings: before, inventory: seen.found, at: sys.now(), sys }))) {
      return run(before, undefined, seen.found);
    }
    return underLock(before, sys, (named, lock) =>
      run(named, lock, named === before && lock.mark === seen?.mark ? seen.found : undefined),
    );
  });
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
