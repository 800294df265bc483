// One visit of `deploy`: the files and the script go to a host, and the script installs them and asks whether to keep
// them. The result is data, with the same ids as `check`. It does not choose the hosts, and prints nothing.

import { shorten } from '../findings/finding.js';
import type { KeyPlace } from '../plan/bundle-names.js';
import type { HostInventory } from '../plan/inventory.js';
import type { VisitFiles } from '../plan/deployment.js';
import { feedHost, runOnHost, type Outcome } from '../remote/script-run.js';
import { asksForVerdict, renderDelivery } from '../render/delivery.js';
import type { Failure } from '../render/deployment.js';
import { renderScript } from '../render/script.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';

/** `unchanged`: the host had everything. */
export type Delivered = { readonly kind: 'installed' | 'unchanged'; readonly warnings: readonly string[] } | Failure;

/** Seconds for a visit: a reload, postmap of a large table, and the look at the host. */
const seconds = 600;

export interface DeliveryOptions {
  readonly files: VisitFiles;
  readonly bundle: ReadonlyMap<string, Buffer>;
  readonly forceRoutes: boolean;
  readonly at: Date;
  /** Looks at the host with everything installed; returns the reason if it does not work and must be rolled back. */
  readonly look: () => Promise<string | undefined>;
}

/** Brings a host what it should have. @throws tool - ssh is missing here */
export async function deliver(
  settings: Settings,
  { host, request }: HostInventory,
  { bundle, look, ...options }: DeliveryOptions,
  sys: Sys,
): Promise<Delivered> {
  const { script, input } = renderDelivery(settings, host, bundle, { ...options, keyPlace: keyPlaceOf(request) });
  let flaw: string | undefined;
  const judge = async (): Promise<string> => {
    flaw = await look();
    return flaw === undefined ? 'keep\n' : 'back\n';
  };
  const answer = (line: string): Promise<string> | undefined => (asksForVerdict(line) ? judge() : undefined);
  const outcome = await feedHost(host, { script, seconds, input, answer }, sys);
  const failure = failureOf(host, outcome);
  if (failure !== undefined) {
    return flaw === undefined ? failure : { kind: 'failed', id: 'verdict-bad', message: flaw, hint: undefined };
  }
  const isUnchanged = outcome.kind === 'ran' && /^relaycerts: nothing to change on /mu.test(outcome.stdout);
  return { kind: isUnchanged ? 'unchanged' : 'installed', warnings: warningsOf(outcome) };
}

/** Undoes the whole installation on a host. @throws tool */
export async function takeBack(settings: Settings, { host, request }: HostInventory, sys: Sys): Promise<Delivered> {
  const script = renderScript(settings, host, { undo: true, forceRoutes: false, keyPlace: keyPlaceOf(request) });
  const outcome = await runOnHost(host, { script, seconds }, sys);
  const isUnchanged = outcome.kind === 'ran' && /^relaycerts: nothing to undo on /mu.test(outcome.stdout);
  return failureOf(host, outcome) ?? { kind: isUnchanged ? 'unchanged' : 'installed', warnings: warningsOf(outcome) };
}

/** A host that made its request also has the key. */
const keyPlaceOf = (request: unknown): KeyPlace => (request === undefined ? 'here' : 'host');

const ids = {
  unreachable: 'ssh-unreachable',
  'host-key': 'ssh-host-key',
  denied: 'ssh-denied',
  'no-sudo': 'no-sudo',
  slow: 'probe-slow',
} as const;

/** What to do about a host that cannot be worked on. */
const hints = {
  unreachable: 'see that it is up, and that sshHost and sshPort in the settings are right',
  'host-key': 'log in there by hand with ssh, which compares its key and says what to do',
  denied: 'allow a login with an ssh key there, or set sshUser in the settings',
  'no-sudo': 'allow sudo without a password there (NOPASSWD in sudoers), or deploy as root',
  slow: 'see why it is slow, then deploy again',
} as const;

/** The scripts' errors, by their words; the first that matches counts. */
const scriptWords: readonly (readonly [string, RegExp])[] = [
  ['disk-full', /no space left on device|disk quota exceeded/iu],
  ['postfix-missing', /^relaycerts: error: (?!openssl ).* is not installed on /mu],
  ['postfix-old', / is too old: /u],
  ['postfix-check', /postfix check finds an error/u],
  ['port-taken', /port \d+ is taken|listens on port|in use by/u],
  ['route-stops', /this mail will stop/u],
  ['reload-failed', /reload failed|stopped at the reload|does not listen on port|does not take its configuration/u],
];

function failureOf({ hostname }: HostSettings, outcome: Outcome): Failure | undefined {
  if (outcome.kind !== 'ran') {
    return {
      kind: 'failed',
      id: ids[outcome.kind],
      message: `${hostname}: ${shorten(outcome.words)}`,
      hint: hints[outcome.kind],
    };
  }
  if (outcome.status === 0) return undefined;
  const said = [...outcome.stderr.matchAll(/^relaycerts: (error|hint): (.*)$/gmu)];
  const first = (kind: string): string | undefined => said.find(([, one]) => one === kind)?.[2];
  const lines = outcome.stderr.split('\n').filter((line) => line.trim() !== '');
  const message = first('error') ?? lines.at(-1) ?? `the script ended with ${outcome.status}`;
  const id = scriptWords.find(([, pattern]) => pattern.test(outcome.stderr))?.[0] ?? 'install-failed';
  return { kind: 'failed', id, message: `${hostname}: ${shorten(message)}`, hint: hintOf(hostname, first('hint')) };
}

/** What to run is for the admin to judge: it is in the host's words. */
function hintOf(hostname: string, said: string | undefined): string | undefined {
  return said && `${hostname} says: ${shorten(said, longestHint)}`;
}

/** A command of ours with a long path. */
const longestHint = 1000;

/** Of one host; a script has a few. */
const mostWarnings = 20;

function warningsOf(outcome: Outcome): readonly string[] {
  if (outcome.kind !== 'ran') return [];
  return [...outcome.stderr.matchAll(/^relaycerts: warning: (.*)$/gmu)]
    .slice(0, mostWarnings)
    .map(([, text = '']) => shorten(text));
}
