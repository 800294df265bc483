// One visit of `deploy`: the files and the script go to a host, and the script installs them and asks whether to keep
// them. The result is data, with the same ids as `check`. It does not choose the hosts, and prints nothing.

import { unseenIds } from '../check/host.js';
import { shorten } from '../findings/finding.js';
import { keyPlaceOf } from '../plan/bundle-names.js';
import type { HostInventory } from '../plan/inventory.js';
import type { VisitFiles } from '../plan/deployment.js';
import { hostKeyFiles } from '../remote/host-keys.js';
import { feedHost, runOnHost, saidNothing, type Outcome } from '../remote/script-run.js';
import {
  asksForVerdict,
  keptFiles,
  renderDelivery,
  renderTakeBack,
  toldOutcome,
  toldReason,
} from '../render/delivery.js';
import type { Failure } from '../render/deployment.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';

export type Delivered =
  | {
      /** `unchanged`: the host had everything. */
      readonly kind: 'installed' | 'unchanged';
      readonly warnings: readonly string[];
      /** Files of its configuration that the host kept. */
      readonly kept: readonly string[];
    }
  | Failure;

/** Seconds for a visit: a reload, postmap of a large table, and the look at the host. */
const seconds = 600;

export interface DeliveryOptions {
  readonly files: VisitFiles;
  readonly bundle: ReadonlyMap<string, Buffer>;
  readonly forceRoutes: boolean;
  readonly at: Date;
  /**
   * Judges the host with everything installed, also from what its script printed so far; returns the reason if it does
   * not work and must be rolled back.
   */
  readonly look: (stdout: string) => Promise<string | undefined>;
}

/** Brings a host what it should have. @throws tool - ssh is missing here */
export async function deliver(
  settings: Settings,
  { host, request }: HostInventory,
  { bundle, look, ...options }: DeliveryOptions,
  sys: Sys,
): Promise<Delivered> {
  const files = new Map([...bundle, ...(await hostKeyFiles(settings, host, sys))]);
  const { script, input } = renderDelivery(settings, host, files, { ...options, keyPlace: keyPlaceOf(request) });
  let flaw: string | undefined;
  let isAsked = false;
  const said: string[] = [];
  const judge = async (): Promise<string> => {
    isAsked = true;
    flaw = await look(said.join('\n'));
    return flaw === undefined ? 'keep\n' : 'back\n';
  };
  const answer = (line: string): Promise<string> | undefined => {
    if (asksForVerdict(line)) return judge();
    said.push(line);
    return undefined;
  };
  const outcome = await feedHost(host, { script, seconds, input, answer }, sys);
  const delivered = deliveredOf(host, outcome);
  if (isAsked && delivered.kind === 'failed' && outcome.kind !== 'ran')
    return { ...delivered, hint: lostHint, isLost: true };
  return delivered.kind === 'failed' && flaw !== undefined
    ? { kind: 'failed', id: 'verdict-bad', message: flaw, hint: undefined }
    : delivered;
}

/** Undoes the whole installation on a host. @throws tool */
export async function takeBack(settings: Settings, { host, request }: HostInventory, sys: Sys): Promise<Delivered> {
  const script = renderTakeBack(settings, host, keyPlaceOf(request));
  return deliveredOf(host, await runOnHost(host, { script, seconds }, sys));
}

const tooSlow = `it took longer than ${seconds / 60} minutes, and was stopped`;

/** A host that is up goes back by itself. */
const lostHint = 'it has its old files if it is up, and may have the new ones if it went down: deploy again';

/** What to do about a host that cannot be worked on. */
const hints = {
  unreachable: 'make sure that it is up, and that sshHost and sshPort in the settings are right',
  'host-key': 'log in there by hand with ssh, which checks the host key and says what to do',
  denied: 'allow a login with an ssh key there, or set sshUser in the settings',
  'no-sudo': 'allow sudo without a password there (NOPASSWD in sudoers), or deploy as root',
  slow: 'see why it is slow, then deploy again',
} as const;

function deliveredOf({ hostname }: HostSettings, outcome: Outcome): Delivered {
  if (outcome.kind !== 'ran') {
    return {
      kind: 'failed',
      id: unseenIds[outcome.kind],
      message: `${hostname}: ${outcome.kind === 'slow' ? tooSlow : shorten(outcome.words)}`,
      hint: hints[outcome.kind],
    };
  }
  const told = toldOutcome(outcome.stdout);
  const kind = told === 'changed' ? 'installed' : told === 'unchanged' ? told : undefined;
  if (kind !== undefined && outcome.status === 0) {
    return { kind, warnings: warningsOf(outcome.stderr), kept: keptFiles(outcome.stdout) };
  }
  const reason = toldReason(outcome.stderr);
  const lines = `${outcome.stdout}\n${outcome.stderr}`.split('\n').filter((line) => line.trim() !== '');
  const message = reason ?? lines.at(-1) ?? saidNothing(outcome.status);
  const id = kind === undefined && told !== undefined ? told : 'install-failed';
  const hint = reason === undefined && told === undefined ? loginHint : hintOf(hostname, outcome.stderr);
  return { kind: 'failed', id, message: `${hostname}: ${shorten(message)}`, hint };
}

/** What to run is for the admin to judge: it is in the host's words. */
function hintOf(hostname: string, stderr: string): string | undefined {
  const said = /^relaycerts: hint: (.*)$/mu.exec(stderr)?.[1];
  return said && `${hostname} says: ${shorten(said, longestHint)}`;
}

const loginHint = 'log in there by hand with ssh: fix what it says, or make sure that the login shell runs commands';

/** A command of ours with a long path. */
const longestHint = 1000;

/** Of one host; a script has a few. */
const mostWarnings = 20;

function warningsOf(stderr: string): readonly string[] {
  return [...stderr.matchAll(/^relaycerts: warning: (.*)$/gmu)]
    .slice(0, mostWarnings)
    .map(([, text = '']) => shorten(text));
}
