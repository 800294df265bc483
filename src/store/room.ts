// Whether the disk has room for what is about to be made, asked before anything is replaced. The estimate is generous,
// because a disk that fills up half-way costs more than a refusal: every file counts one block at least (ours have 4 KiB
// or less, but for the table and the ledger), a replaced one lies beside its successor for a moment, and others write
// meanwhile, so that all of it is doubled. Quotas of a user are not seen here: the writes themselves fail then, and what
// was there stays as it was.

import { dirname } from 'node:path';
import { RelaycertsError, quotePath } from '../errors.js';
import { readRoom, type Room } from '../sys/file-system.js';
import type { Sys } from '../sys/sys.js';
import type { Step } from '../plan/plan.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { layoutOf, operatorKeyPlace } from './layout.js';
import { findUnwritable } from './writable.js';

/** What is about to be made. */
export interface Work {
  /** Hosts that get files, and then all relays their tables. */
  readonly hosts: number;
  /** The passphrase file or the operator key too. */
  readonly custody: boolean;
}

export interface Amount {
  readonly files: number;
  readonly octets: number;
}

/** The CA's key and certificate and the two of a rekey, the ledger, the lock and its temporary file, a folder. */
const filesOfProject = 8;
/** Key, certificate and the one before; a bundle of five and its folder. */
const filesOfHost = 9;
/** The passphrase file, the one before, the operator key, a folder. */
const filesOfCustody = 4;
/** A line of the table: a pin of 95 characters, and a name. */
const octetsOfPin = 192;
/** A line of the ledger. */
const octetsOfEntry = 512;

/** The room that work needs, in blocks of this size: in the project, and where passphrase and operator key lie. */
export function estimateRoom(
  { hosts }: Work,
  { smtpdServers, smtpClients }: Pick<Settings, 'smtpdServers' | 'smtpClients'>,
  block: number,
): { readonly project: Amount; readonly custody: Amount } {
  const tables = hosts === 0 ? 0 : smtpdServers.length;
  const files = filesOfProject + hosts * filesOfHost + tables;
  const more = tables * smtpClients.length * octetsOfPin + hosts * octetsOfEntry;
  return {
    project: { files: 2 * files, octets: 2 * (files * block + more) },
    custody: { files: 2 * filesOfCustody, octets: 2 * filesOfCustody * block },
  };
}

/** The work of a plan of make. */
export function workOf(steps: readonly Step[]): Work {
  const hosts = new Set(steps.flatMap((step) => ('hostname' in step ? [step.hostname] : [])));
  const custody = steps.some(({ kind }) => kind === 'passphrase' || kind === 'operator-key' || kind === 'reseal');
  return { hosts: hosts.size, custody };
}

/** What the room lacks, in words; undefined where it is enough or not known. */
export function judgeRoom({ octets, files }: Pick<Room, 'octets' | 'files'>, needed: Amount): string | undefined {
  if (octets !== undefined && octets < needed.octets) {
    return `room for ${kib(octets)} of data, and this may need ${kib(needed.octets)}`;
  }
  if (files !== undefined && files < needed.files) {
    return `room for ${files} more files (inodes), and this may need ${needed.files}`;
  }
  return undefined;
}

function kib(octets: number): string {
  return `${Math.floor(octets / 1024)} KiB`;
}

/** @throws files - there is too little room, or the place of the passphrase cannot be written; nothing was changed yet */
export async function assertRoom(
  settings: Settings,
  { uid, configHome }: Pick<Sys, 'uid' | 'configHome'>,
  work: Work,
): Promise<void> {
  const layout = layoutOf(settings);
  const kept = [dirname(settings.passphrase.file), dirname(operatorKeyPlace(configHome).path)];
  if (work.custody) {
    const [flaw] = await findUnwritable(kept, uid);
    if (flaw !== undefined) throw new RelaycertsError('files', flaw.message, { problems: [flaw] });
  }
  const places = [
    ...[layout.folder, layout.certsFolder, layout.hostsFolder].map((path) => ({ path, part: 'project' as const })),
    ...(work.custody ? kept.map((path) => ({ path, part: 'custody' as const })) : []),
  ];
  const judged = new Set<number>();
  for (const { path, part } of places) {
    const room = await readRoom(path, uid);
    if (judged.has(room.device)) continue;
    judged.add(room.device);
    const lack = judgeRoom(room, estimateRoom(work, settings, room.block)[part]);
    if (lack === undefined) continue;
    throw new RelaycertsError('files', `the disk has too little room at ${quotePath(room.folder)}: ${lack}`, {
      hint: `make room there and run the same command again; see: df -h ${shellWord(room.folder)}; df -i ${shellWord(room.folder)}`,
    });
  }
}
