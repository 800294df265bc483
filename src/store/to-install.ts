// What hosts have to install and nobody was told yet. A run notes it before it writes bundles, and takes the note away
// once its words are printed; so what a run that was cut off in between did not say, the next one does.

import { isDeepStrictEqual } from 'node:util';
import { readFile, removeFile, syncFolder, writeFile } from '../sys/files.js';
import type { HostName } from '../names.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import { layoutOf } from './layout.js';

export interface ToInstall {
  readonly hosts: ReadonlySet<HostName>;
  /** The stage of the CA's rekey that was reached with it. */
  readonly caStage: 1 | 2 | 3 | undefined;
}

/** Octets; a name has at most 200. */
const limit = 16 << 20;

/** The note; of a file that says nothing readable, as if there were none: words are lost, and nothing else. @throws files */
export async function readToInstall(settings: Settings): Promise<ToInstall> {
  const bytes = await readFile(layoutOf(settings).toInstall.path, { limit });
  const { hosts, caStage } = parseToInstall(bytes?.toString('utf8') ?? '');
  const known = hostsOf(settings).map(({ hostname }) => hostname);
  return { hosts: new Set(known.filter((hostname) => hosts.has(hostname))), caStage };
}

/** Durable before it resolves. @throws files */
export async function noteToInstall(settings: Settings, { hosts, caStage }: ToInstall): Promise<void> {
  const { toInstall, caFolder } = layoutOf(settings);
  await writeFile(toInstall.path, `${JSON.stringify({ hosts: [...hosts], caStage })}\n`, toInstall.mode);
  await syncFolder(caFolder);
}

/** Takes out what was told; a note that somebody else has written meanwhile stays. @throws files */
export async function forgetToInstall(settings: Settings, noted: ToInstall, told: ToInstall): Promise<void> {
  if (!isDeepStrictEqual(await readToInstall(settings), noted)) return;
  const hosts = new Set([...noted.hosts].filter((hostname) => !told.hosts.has(hostname)));
  const caStage = noted.caStage === told.caStage ? undefined : noted.caStage;
  if (hosts.size > 0 || caStage !== undefined) {
    await noteToInstall(settings, { hosts, caStage });
    return;
  }
  const { toInstall, caFolder } = layoutOf(settings);
  await removeFile(toInstall.path);
  await syncFolder(caFolder);
}

/** What a note says; nothing where it is none. */
export function parseToInstall(text: string): {
  readonly hosts: ReadonlySet<string>;
  readonly caStage: ToInstall['caStage'];
} {
  const value = parseObject(text);
  const hosts: unknown = value.get('hosts');
  const stage = value.get('caStage');
  return {
    hosts: new Set(Array.isArray(hosts) ? hosts.filter((each) => typeof each === 'string') : []),
    caStage: stage === 1 || stage === 2 || stage === 3 ? stage : undefined,
  };
}

function parseObject(text: string): ReadonlyMap<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}
