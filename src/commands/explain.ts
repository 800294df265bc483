// `relaycerts explain`: what a mail log says about the relaying: each fault with its cause, its count, its last time,
// and what fixes it here. It reads a file (gzip too), standard input, or the log of a host; it needs no settings, and
// changes nothing.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { RelaycertsError, quote, quotePath, systemCode } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { caStageOf } from '../plan/ca-rekey.js';
import { logTally, type Tally } from '../log/tally.js';
import { hostLog } from '../remote/host-log.js';
import {
  explainFault,
  explainObject,
  renderExplanation,
  renderLogSummary,
  renderUnknown,
  type KnownHosts,
} from '../render/explain.js';
import { readSettings } from '../settings/load.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { followChunks, readChunks, unpacked, untilStopped, type Chunks } from '../sys/chunks.js';
import { interruptWork, untilInterrupted } from '../sys/interrupt.js';
import { lookAt } from '../sys/files.js';
import { resolveLinks } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';
import { pathWord } from '../shell-word.js';
import { deployNames } from './deployed-hosts.js';
import { reading, type GlobalOptions } from './run.js';
import { readProject } from './known-clients.js';

export interface ExplainOptions extends GlobalOptions {
  /** A file, `-`, or a host in the settings; undefined: the log of this machine. */
  readonly log: string | undefined;
  /** Follow the log as it grows, until Ctrl-C. */
  readonly follow: boolean;
}

/** Exit code 3 if the log has faults. @throws usage, settings, files */
export async function explain(options: ExplainOptions, sys: Sys): Promise<void> {
  const settings = existsSync(options.settings) ? await readSettings(options.settings, sys) : undefined;
  const isFollowed = options.follow && !options.json;
  let known: KnownHosts | undefined;
  if (isFollowed) known = await findKnown(options, settings, sys);
  const tally = logTally(
    namesIn(settings),
    isFollowed
      ? {
          fault: (fault) => sys.write(renderExplanation(explainFault(fault, settings, known), 0)),
          unknown: (sighting) => sys.write(renderUnknown(sighting)),
        }
      : {},
  );
  const { name, open } = await findLog(options, settings, sys);
  if (options.follow) await untilInterrupted((stop) => drain(untilStopped(open(stop), stop), tally, sys));
  else await drain(open(undefined), tally, sys);
  const summary = tally.summary();
  if (summary.faults.length > 0) known ??= await findKnown(options, settings, sys);
  const explained = summary.faults.map((fault) => explainFault(fault, settings, known));
  sys.write(
    options.json
      ? writeAnswer('explain', explainObject(name, summary, explained))
      : `${isFollowed ? '\n' : ''}${renderLogSummary(name, summary, explained)}`,
  );
  if (explained.length > 0) sys.endWith(3);
}

/** Every name by which a line may mean one of our hosts. */
function namesIn(settings: Settings | undefined): ReadonlySet<string> {
  const hosts = settings === undefined ? [] : hostsOf(settings);
  return new Set(hosts.flatMap(({ hostname, altNames }) => [hostname, ...altNames]));
}

/** Undefined if the state here cannot be read: a cure then names each host by itself, and none counts as revoked. */
async function findKnown(
  options: GlobalOptions,
  settings: Settings | undefined,
  sys: Sys,
): Promise<KnownHosts | undefined> {
  if (settings === undefined) return undefined;
  try {
    const { found, at } = await reading(options, sys, (one) => readProject(one, sys));
    const revoked = found.hosts.flatMap(({ host, isRevoked }) => (isRevoked ? [host.hostname] : []));
    const ca = found.caCertificate?.info;
    const isCaOver = ca !== undefined && ca.notAfter <= at && caStageOf(found) === 0;
    return { revoked: new Set(revoked), names: deployNames(settings, found), isCaOver };
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code === 'interrupted') throw error;
    return undefined;
  }
}

async function drain(chunks: Chunks, { sink }: Tally, sys: Sys): Promise<void> {
  for await (const chunk of chunks) {
    sink.add(chunk);
    // Nobody reads any more what is found in a log that grows.
    if (!(await sys.flush())) interruptWork();
  }
  sink.end();
}

interface Log {
  readonly name: string;
  /** With a signal, the log as it grows. */
  readonly open: (stop: AbortSignal | undefined) => Chunks;
}

/** @throws usage - there is no such log */
async function findLog({ log, json, follow }: ExplainOptions, settings: Settings | undefined, sys: Sys): Promise<Log> {
  if (log === '-') return { name: 'standard input', open: (stop) => unpacked(sys.stdin(stop), 'standard input') };
  if (log === undefined) return { name: sys.machine, open: (stop) => hostLog(undefined, stop) };
  const path = resolve(sys.cwd, log);
  const file = lookAt(resolveLinks(path));
  if (file === undefined) {
    const host = settings === undefined || log.includes('/') ? undefined : findHostIn(settings, log);
    if (host === undefined) throw notFound(log, settings);
    if (host.container !== undefined) {
      throw new RelaycertsError('usage', `${host.hostname} runs in a container, whose log is not read from here`, {
        hint: { run: ['explain', '-'], before: 'on the machine that runs it: docker compose logs --no-log-prefix |' },
      });
    }
    return { name: host.hostname, open: (stop) => hostLog(host, stop) };
  }
  if (file.kind === 'folder') {
    throw new RelaycertsError('usage', `${quotePath(path)} is a folder`, {
      hint: `name a file in it: ls ${pathWord(path)}`,
    });
  }
  if (follow && file.kind !== 'file') {
    throw new RelaycertsError('usage', `${quotePath(path)} is not a file that grows`, {
      hint: { run: ['explain', '-', '--follow'], before: `cat ${pathWord(path)} |` },
    });
  }
  const open = (stop: AbortSignal | undefined): Chunks =>
    unpacked(stop === undefined ? readChunks(path) : followChunks(path, stop), quotePath(path));
  return { name: json ? path : log, open: (stop) => orAsRoot(open(stop), path) };
}

function findHostIn(settings: Settings, name: string): HostSettings | undefined {
  const lower = name.toLowerCase();
  return hostsOf(settings).find(({ hostname }) => hostname === lower || hostname === `${lower}.${settings.domain}`);
}

function notFound(log: string, settings: Settings | undefined): RelaycertsError {
  const what = settings === undefined ? 'file' : 'file, and no such host in the settings';
  return new RelaycertsError('usage', `there is no such ${what}: ${quote(log)}`, {
    hint: { run: ['explain', '--help'] },
  });
}

/** Logs belong to root, and should stay so. */
async function* orAsRoot(chunks: Chunks, path: string): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    if (systemCode(error instanceof Error ? error.cause : error) !== 'EACCES') throw error;
    throw new RelaycertsError('files', `cannot read ${quotePath(path)}: permission denied`, {
      hint: { run: ['explain', '-'], before: `sudo cat ${pathWord(path)} |` },
      cause: error,
    });
  }
}
