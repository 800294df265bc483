// What a revocation does on disk, once the ledger has it: the host's files go to certs/revoked/ and its bundle goes. The
// certificate moves last. What of a revoked host is in its place says that the rest was cut off: its certificate, and
// where that is gone or damaged, whatever else there is.

import { join } from 'node:path';
import { makeFolder, moveFile, readFile, removeEmptyFolder, removeFile, statFile, syncFolder } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { parseSerial, type HostName } from '../names.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { layoutOf, type Layout } from './layout.js';
import { readHistory, readIfCertificate } from './history.js';
import { appendLedger, revokedHosts } from './ledger.js';

/** Puts away all that a revoked host has here, and removes its bundle: the host has its own copy. @throws files */
export async function putAway(layout: Layout, one: HostSettings, serial: string): Promise<void> {
  const { role, hostname } = one;
  await removeBundle(layout, hostname);
  await makeFolder(layout.revokedFolder, 0o700);
  for (const path of pathsOf(layout, one)) {
    if ((await statFile(path)) === undefined) continue;
    const end = path.slice(layout.roleFolder(role).length + hostname.length + 2);
    await moveFile(path, await findAwayPath(layout, hostname, serial, end, path));
    await syncFolder(layout.revokedFolder);
    await syncFolder(layout.roleFolder(role));
  }
}

/** The certificate is the last. */
function pathsOf(layout: Layout, { role, hostname }: HostSettings): readonly string[] {
  const { nextKey, nextCertificate, previous, request, key, certificate } = layout;
  return [nextKey, nextCertificate, previous, request, key, certificate].map((place) => place(role, hostname).path);
}

/** The revoked key in it must not come back when the power goes. */
async function removeBundle(layout: Layout, hostname: HostName): Promise<void> {
  const folder = layout.bundleFolder(hostname);
  let hasRemoved = false;
  for (const { path } of Object.values(layout.bundle(hostname))) {
    if (await removeFile(path)) hasRemoved = true;
  }
  if (await removeEmptyFolder(folder)) await syncFolder(layout.hostsFolder);
  else if (hasRemoved) await syncFolder(folder);
}

/** Where a file goes. What has that name already, and is another, is not written over: then there is a number in it. */
async function findAwayPath(
  layout: Layout,
  hostname: HostName,
  serial: string,
  end: string,
  from: string,
): Promise<string> {
  for (let count = 1; ; count += 1) {
    const path = awayPath(layout, hostname, count === 1 ? serial : `${serial}-${count}`, end);
    const there = await readFile(path);
    if (there === undefined || (await readFile(from))?.equals(there) === true) return path;
  }
}

function awayPath({ revokedFolder }: Layout, hostname: HostName, serial: string, end: string): string {
  return join(revokedFolder, `${hostname}-${serial}.${end}`);
}

export interface Revocation {
  readonly serials: readonly string[];
  /** ISO 8601 in UTC. */
  readonly time: string;
  /** '' where none was given. */
  readonly reason: string;
  /** It had a request, so its key is where it was made. */
  readonly keepsKey: boolean;
}

/** What the last revocation of a host took out, by the ledger. @throws files */
export async function lastRevocation(layout: Layout, { role, hostname }: HostSettings): Promise<Revocation> {
  const its = (await readHistory(layout)).entries.filter((entry) => entry.role === role && entry.name === hostname);
  const standing = its.slice(its.findLastIndex(({ event }) => event !== 'revoked' && event !== 'retired') + 1);
  const revoked = standing.filter(({ event }) => event === 'revoked');
  const serials = [...new Set(revoked.map(({ serial }) => parseSerial(serial)))];
  const states = await Promise.all(serials.map((serial) => statFile(awayPath(layout, hostname, serial, 'csr.pem'))));
  const keepsKey = states.some((state) => state !== undefined);
  const last = revoked.at(-1);
  return { serials, time: last?.time ?? '', reason: last?.reason ?? '', keepsKey };
}

/**
 * Finishes every revocation that was cut off, with a word, and writes those that the ledger has lost. Only while holding
 * the lock. @throws files, certificate
 */
export async function settleRevocations(settings: Settings, sys: Pick<Sys, 'say' | 'now'>): Promise<void> {
  const layout = layoutOf(settings);
  const { entries, lost } = await readHistory(layout);
  const time = sys.now().toISOString();
  await appendLedger(
    layout,
    lost.map((entry) => (entry.event === 'issued' ? entry : { ...entry, time })),
  );
  for (const { event, name, serial } of lost) {
    sys.say(`made the ledger's line for ${name}, ${event}, serial ${serial}: ${layout.ledger.path}`);
  }
  const revoked = revokedHosts(entries);
  if (revoked.size === 0) return;
  const serials = new Set(entries.filter(({ event }) => event === 'revoked').map(({ serial }) => serial));
  for (const one of hostsOf(settings)) {
    const { role, hostname } = one;
    if (!revoked.has(`${role} ${hostname}`)) continue;
    const certificate = await readIfCertificate(layout.certificate(role, hostname).path);
    // One that is not revoked came here since, from a copy: what it is for, a person has to say.
    if (certificate !== undefined && !serials.has(certificate.serial)) continue;
    if (certificate === undefined && !(await isAnyLeft(layout, one))) continue;
    const last = entries.findLast(
      ({ event, ...entry }) => event === 'revoked' && entry.role === role && entry.name === hostname,
    );
    await putAway(layout, one, certificate?.serial ?? parseSerial(last?.serial));
    sys.say(`finished the revocation of ${hostname}, which was cut off`);
  }
}

async function isAnyLeft(layout: Layout, one: HostSettings): Promise<boolean> {
  const bundle = Object.values(layout.bundle(one.hostname)).map(({ path }) => path);
  for (const path of [...pathsOf(layout, one), ...bundle]) {
    if ((await statFile(path)) !== undefined) return true;
  }
  return false;
}
