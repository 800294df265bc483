// Issues the keys and certificates that a list of steps asks for, and returns the state that includes them. Keys are
// generated in the thread pool while packages load and the passphrase is opened. Nothing is written here.

import { readHostKey, type HostKey } from '../certificate/private-key.js';
import { encodeSpki } from '../certificate/public-key.js';
import { generateHostKey } from '../issue/keys.js';
import type { Issuer } from '../issue/x509.js';
import type { HostName } from '../names.js';
import { describeHosts } from '../plan/describe-step.js';
import { changeHost, type HostInventory, type Inventory } from '../plan/inventory.js';
import type { HostStep, Step, StepOf } from '../plan/plan.js';
import { isPinned, newThing } from '../plan/retirement.js';
import type { KeyType, Settings } from '../settings/settings.js';
import { hostEntry, type LedgerEntry } from '../store/ledger.js';
import type { Progress } from '../sys/progress.js';
import type { Sys } from '../sys/sys.js';

export interface Certified {
  readonly after: Inventory;
  readonly entries: readonly LedgerEntry[];
}

/** Progress counts what is done, so it shows nothing until the first of these keys is. */
export function sayIfSlow(steps: readonly Step[], sys: Pick<Sys, 'say'>): void {
  const count = steps.filter((step) => 'keyType' in step && step.keyType === 'rsa-4096').length;
  if (count === 0) return;
  sys.say(`making ${count === 1 ? 'an RSA key' : `${count} RSA keys`} of 4096 bits, which takes seconds each`);
}

/** Starts making the keys that the steps ask for; a failure is reported when they are awaited. */
function generateKeys(steps: readonly Step[], progress: Progress): Promise<ReadonlyMap<HostName, HostKey>> {
  const keys = Promise.all(
    steps
      .filter((step): step is StepOf<'key'> => step.kind === 'key')
      .map(async ({ hostname, keyType, path }): Promise<[HostName, HostKey]> => {
        const pem = await generateHostKey(keyType);
        await progress.add();
        return [hostname, readHostKey(path, Buffer.from(pem.revealBytes()))];
      }),
  ).then((entries) => new Map(entries));
  keys.catch(() => undefined);
  return keys;
}

interface Signing {
  readonly issuer: () => Issuer | Promise<Issuer>;
  readonly keys: ReadonlyMap<HostName, HostKey>;
  readonly at: Date;
  readonly progress: Progress;
}

/**
 * Hosts that are made in one change: Ctrl-C keeps the completed batches. Few, because all files of a batch are in
 * memory; at most a hundred batches, because each looks at every host, which takes no time beside long RSA keys.
 */
export function batchSizeFor(hosts: number, keyType: KeyType): number {
  return keyType === 'rsa-3072' || keyType === 'rsa-4096' ? 25 : Math.max(250, Math.ceil(hosts / 100));
}

/** The state before the first batch, and the CA that signs. */
interface Beginning extends Pick<Signing, 'issuer'> {
  readonly after: Inventory;
}

export interface Batches<Begun extends Beginning> {
  readonly steps: readonly HostStep[];
  readonly at: Date;
  readonly progress: Progress;
  /** Called while the keys of the first batch are made. */
  readonly begin: () => Promise<Begun>;
  /** Makes a batch durable, and gives the state then. If it `isPart`, more follow. */
  readonly commit: (
    certified: Certified & { readonly done: readonly string[] },
    begun: Begun,
    place: { readonly isFirst: boolean; readonly isPart: boolean },
  ) => Promise<Inventory>;
}

/**
 * Issues what the steps ask for, batch by batch. There is at least one, because bundles may have to be made without any
 * certificate. @throws as certify, `begin` and `commit`
 */
export async function certifyInBatches<Begun extends Beginning>(
  settings: Settings,
  { steps, at, progress, begin, commit }: Batches<Begun>,
): Promise<Begun> {
  const batches = batchesOf(steps, batchSizeFor(settings.smtpClients.length, settings.certificates.keyType));
  progress.begin('keys and certificates', steps.length);
  let keys = generateKeys(batches[0] ?? [], progress);
  const begun = await begin();
  let ca: Issuer | Promise<Issuer> | undefined;
  // Opened once for all batches.
  const issuer = (): Issuer | Promise<Issuer> => (ca ??= begun.issuer());
  let state = begun.after;
  for (const [index, batch] of batches.entries()) {
    const certified = await certify(settings, state, batch, { issuer, keys: await keys, at, progress });
    keys = generateKeys(batches[index + 1] ?? [], progress);
    const isPart = index < batches.length - 1;
    const done = isPart ? [] : madeLines(steps);
    state = await commit({ ...certified, done }, begun, { isFirst: index === 0, isPart });
  }
  return begun;
}

function batchesOf(steps: readonly HostStep[], size: number): readonly (readonly HostStep[])[] {
  const batches: HostStep[][] = [[]];
  const batchOf = new Map<HostName, HostStep[]>();
  for (const step of steps) {
    let batch = batchOf.get(step.hostname);
    if (batch === undefined) {
      if (batchOf.size > 0 && batchOf.size % size === 0) batches.push([]);
      batch = batches.at(-1) ?? [];
      batchOf.set(step.hostname, batch);
    }
    batch.push(step);
  }
  return batches;
}

/**
 * Signs the certificates. `inventory` contains the CA that `issuer` opens, only if there is something to sign. @throws
 * certificate, contradiction - and what `issuer` throws
 */
export async function certify(
  settings: Settings,
  inventory: Inventory,
  steps: readonly HostStep[],
  { issuer, keys, at, progress }: Signing,
): Promise<Certified> {
  if (steps.length === 0) return { after: inventory, entries: [] };
  const ca = await issuer();
  const { issueLeaf } = await import('../issue/x509.js');
  const wanted = new Map(
    steps.flatMap((step) => (step.kind === 'certificate' ? [[step.hostname, step] as const] : [])),
  );
  const entries: LedgerEntry[] = [];
  const hosts: HostInventory[] = [];
  for (const found of inventory.hosts) {
    const { hostname, role, isInbound, altNames } = found.host;
    const step = wanted.get(hostname);
    if (step === undefined) {
      hosts.push(found);
      continue;
    }
    const key = keys.get(hostname) ?? found.key;
    const info = await issueLeaf({
      role,
      isInbound,
      hostname,
      altNames,
      subject: settings.subject,
      spki: spkiOf(found, key),
      ca,
      at,
      validDays: settings.certificates.validDays,
    });
    await progress.add();
    entries.push(hostEntry(step.event, found.host, info, at));
    hosts.push(
      changeHost(found, {
        key,
        certificate: { path: step.path, info },
        previous: previousOf(settings, found, keys.has(hostname)),
        isRevoked: false,
      }),
    );
  }
  return { after: { ...inventory, hosts }, entries };
}

/** What was done, for stderr. */
export function madeLines(steps: readonly HostStep[]): readonly string[] {
  return describeHosts(steps).map((what) => `made ${what}`);
}

function spkiOf({ request, host }: HostInventory, key: HostKey | undefined): Buffer {
  if (request !== undefined) return encodeSpki(request.info.publicKey);
  if (key === undefined) throw new TypeError(`there is no key for ${host.hostname}`);
  return key.spki;
}

/** If a host's pin changes, the old one stays listed until it is retired. */
function previousOf(settings: Settings, found: HostInventory, hasNewKey: boolean): HostInventory['previous'] {
  const changesPin = hasNewKey || newThing(settings, found.host) === 'certificate';
  return changesPin && isPinned(found.host) && !found.isRevoked
    ? (found.certificate ?? found.previous)
    : found.previous;
}
