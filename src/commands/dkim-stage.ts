// The next stage of a change of DKIM keys, for `renew --dkim` and `renew --due`, and what `status` says of it. It decides
// what the keys are afterwards and asks the DNS; nothing is written here.

import { checkDkimRecord } from '../check/dns-dkim.js';
import { asRecord, dkimRecordName, dkimRecordValue } from '../dns/dkim-record.js';
import { makeLookup } from '../dns/lookup.js';
import { commandText, listSome, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import { agoText } from '../plan/ago.js';
import {
  dkimFiles,
  dkimStage,
  formerDays,
  isSigner,
  keyTypeWarnings,
  newSelector,
  type DkimStage,
  type FoundDkimKey,
} from '../plan/dkim.js';
import type { SeenHost } from '../plan/installed.js';
import type { Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { signingDigest } from '../render/installed.js';
import { renderNowRun } from '../render/now-run.js';
import type { Settings } from '../settings/settings.js';
import { readInstalled } from '../store/installed.js';
import { dkimEntry, type DkimEntry } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { withNewKeys } from './dkim-keys.js';
import type { Work } from './run.js';

/** What a stage does. */
export interface DkimChange {
  /** All keys afterwards. */
  readonly dkim: readonly FoundDkimKey[];
  readonly entries: readonly DkimEntry[];
  readonly done: readonly string[];
  /** The records to publish now, and what comes next. */
  readonly text: string;
  /** For --json. */
  readonly answer: {
    readonly stage: 'made' | 'switched' | 'retired' | 'waiting' | 'none';
    readonly keys: readonly object[];
    readonly waitsFor: string | null;
  };
}

/** The stage that comes next; `installed` is what hosts were seen to have. */
function stageOf(settings: Settings, inventory: Inventory, { bundles, installed, at }: StageBasis): DkimStage {
  const signers = inventory.hosts.flatMap(({ host, isRevoked }) => {
    const { hostname } = host;
    const wanted = isSigner(settings, host)
      ? signingDigest(bundles.get(hostname), dkimFiles(settings, host))
      : undefined;
    return wanted === undefined || isRevoked ? [] : [{ hostname, wanted, seen: installed.get(hostname) }];
  });
  return dkimStage(settings, inventory.dkim, signers, at);
}

interface StageBasis {
  readonly bundles: Bundles;
  readonly installed: ReadonlyMap<HostName, SeenHost>;
  readonly at: Date;
}

/**
 * Carries out the stage that is due. `begin`: a change may begin; `force`: a former key goes before its time. What it
 * waits for is said.
 */
export async function takeDkimStage(
  work: Work,
  { begin, force }: { readonly begin: boolean; readonly force: boolean },
): Promise<DkimChange> {
  const { settings, inventory, at } = work;
  const installed = readInstalled(layoutOf(settings)).hosts;
  const stage = stageOf(settings, inventory, { bundles: bundlesOf(settings, inventory), installed, at });
  switch (stage.kind) {
    case 'make':
      return begin ? makeNext(work, stage) : nothing(inventory, 'none', null);
    case 'switch':
      return switchKeys(work, stage.keys);
    case 'retire': {
      if (force && stage.wait?.kind === 'hosts') {
        const message = `${listSome(stage.wait.hosts)} was not seen to sign with the new DKIM key: with the former one, its mail no longer verifies`;
        work.sys.warn(message, { run: ['deploy', ...stage.wait.hosts] });
      }
      if (stage.wait === undefined || force) return retireKeys(work, stage.keys);
      const waitsFor = waitText(stage.wait);
      if (begin) work.sys.say(`the former DKIM key stays published: ${waitsFor}`);
      return nothing(inventory, 'waiting', waitsFor);
    }
  }
}

/** What `status` says: `warnings` need care. */
export function dkimNotes(
  settings: Settings,
  inventory: Inventory,
  basis: StageBasis,
): { readonly warnings: readonly Problem[]; readonly lines: readonly string[] } {
  if (settings.dkim === undefined || inventory.dkim.length === 0) return { warnings: [], lines: [] };
  const stage = stageOf(settings, inventory, basis);
  if (stage.kind === 'make') return { warnings: keyTypeWarnings(settings, inventory.dkim), lines: [] };
  const names = listSome([...new Set(stage.keys.map(({ selector }) => selector))]);
  const run = { run: ['renew', '--dkim'] };
  if (stage.kind === 'switch') {
    const since = agoText(stage.keys[0]?.since ?? basis.at, basis.at);
    const command = commandText(settings.program, run.run);
    return {
      warnings: [],
      lines: [`the next DKIM key ${names}, made ${since}, signs once its record is in the DNS: ${command}`],
    };
  }
  if (stage.wait?.kind === 'until') {
    return { warnings: [], lines: [`the former DKIM key ${names} stays published: ${waitText(stage.wait)}`] };
  }
  if (stage.wait !== undefined) {
    const hint = { run: ['deploy', ...stage.wait.hosts] };
    return {
      warnings: [{ message: `not seen to sign with the new DKIM key: ${listSome(stage.wait.hosts)}`, hint }],
      lines: [],
    };
  }
  return { warnings: [{ message: `the former DKIM key ${names} is no longer needed`, hint: run }], lines: [] };
}

function waitText(wait: NonNullable<Extract<DkimStage, { kind: 'retire' }>['wait']>): string {
  if (wait.kind === 'until')
    return `until ${wait.time.toISOString().slice(0, 16)}Z, ${formerDays} days after the switch`;
  return `${listSome(wait.hosts)} was not seen to sign with the new one (relaycerts deploy, or check)`;
}

async function makeNext(
  { settings, inventory, at }: Work,
  { domains, keyType }: Extract<DkimStage, { kind: 'make' }>,
): Promise<DkimChange> {
  const selector = newSelector(inventory.dkim, domains, at);
  const wanted = domains.map((domain) => ({ domain, selector, keyType }));
  const all = await withNewKeys(inventory, wanted, 'next', at);
  const made = all.slice(inventory.dkim.length);
  const then = {
    words: 'Once they are in the DNS, the next stage switches to the new keys:',
    run: [commandText(settings.program, ['renew', '--dkim'])],
  };
  return {
    dkim: all,
    entries: made.map((key) => dkimEntry('made', key, at)),
    done: made.map(({ domain }) => `made the next DKIM key of ${domain}, selector ${selector}`),
    text: renderNowRun(recordsParagraph('Publish these records now:', made), then),
    answer: answerOf('made', made),
  };
}

/** All at once, and only if each record was seen. */
async function switchKeys({ settings, inventory, at, sys }: Work, next: readonly FoundDkimKey[]): Promise<DkimChange> {
  const lookup = makeLookup(settings.dns.resolver);
  const reports = await Promise.all(next.map((key) => checkDkimRecord(asRecord(key), lookup)));
  const findings = reports.flatMap((report) => report.findings);
  if (findings.length > 0) {
    const missing = findings.map(({ message }) => message);
    for (const message of missing) sys.say(`the present DKIM key keeps signing: ${message}`);
    // Not yet there is nothing wrong; another record is.
    if (findings.some(({ id, severity }) => severity !== 'unknown' && id !== 'dkim-not-published')) sys.endWith(1);
    return nothing(inventory, 'waiting', listSome(missing), renderNowRun(recordsParagraph('Still to publish:', next)));
  }
  const domains = new Set(next.map(({ domain }) => domain));
  const dkim = inventory.dkim.map((key): FoundDkimKey => {
    if (next.includes(key)) return { ...key, state: 'active', since: at };
    return key.state === 'active' && domains.has(key.domain) ? { ...key, state: 'former', since: at } : key;
  });
  const active = dkim.filter(({ domain, state }) => state === 'active' && domains.has(domain));
  return {
    dkim,
    entries: active.map((key) => dkimEntry('switched', key, at)),
    done: active.map(
      ({ domain, selector }) => `mail of ${domain} is signed with ${selector} once the signers are installed`,
    ),
    text: '',
    answer: answerOf('switched', active),
  };
}

function retireKeys({ inventory, at }: Work, former: readonly FoundDkimKey[]): Promise<DkimChange> {
  const retire = (key: FoundDkimKey): FoundDkimKey => ({ ...key, state: 'retired', since: at, key: undefined });
  const retired = former.map(retire);
  return Promise.resolve({
    dkim: inventory.dkim.map((key) => (former.includes(key) ? retire(key) : key)),
    entries: former.map((key) => dkimEntry('retired', key, at)),
    done: retired.map(({ domain, selector }) => `removed the former DKIM key of ${domain}, ${selector}`),
    text: renderNowRun(
      recordsParagraph('Publish these instead of the former records, so that nobody can use the old key:', retired),
    ),
    answer: answerOf('retired', retired),
  });
}

function nothing({ dkim }: Inventory, stage: 'waiting' | 'none', waitsFor: string | null, text = ''): DkimChange {
  return { dkim, entries: [], done: [], text, answer: { stage, keys: [], waitsFor } };
}

function recordsParagraph(words: string, keys: readonly FoundDkimKey[]) {
  return { words, run: keys.map(recordText) };
}

function recordText(key: FoundDkimKey): string {
  const record = asRecord(key);
  return `${dkimRecordName(record)} TXT ${dkimRecordValue(record)}`;
}

function answerOf(stage: 'made' | 'switched' | 'retired', keys: readonly FoundDkimKey[]): DkimChange['answer'] {
  const rows = keys.map((key) => {
    const record = asRecord(key);
    const { domain, selector, state } = record;
    return { domain, selector, state, name: dkimRecordName(record), value: dkimRecordValue(record) };
  });
  return { stage, keys: rows, waitsFor: null };
}
