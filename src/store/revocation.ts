// What a revocation does on disk, once the ledger has it: the host's files go to certs/revoked/ and its bundle goes. The
// certificate moves last, so that one which the ledger calls revoked and which is in its place says that the rest was
// cut off.

import { join } from 'node:path';
import { parseCertificate } from '../certificate/certificate.js';
import { quotePath } from '../errors.js';
import { makeFolder, moveFile, readFile, removeEmptyFolder, removeFile, statFile, syncFolder } from '../host/files.js';
import type { Host } from '../host/host.js';
import type { HostName } from '../names.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { layoutOf, type Layout } from './layout.js';
import { readHistory } from './history.js';
import { appendLedger, revokedHosts } from './ledger.js';

/** Puts a revoked host's key, request and certificates away, and removes its bundle: the host has its own copy. */
export async function putAway(layout: Layout, { role, hostname }: HostSettings, serial: string): Promise<void> {
  for (const { path } of Object.values(layout.bundle(hostname))) await removeFile(path);
  await removeEmptyFolder(layout.bundleFolder(hostname));
  await makeFolder(layout.revokedFolder, 0o700);
  const places = [layout.previous, layout.request, layout.key, layout.certificate].map((place) =>
    place(role, hostname),
  );
  for (const { path } of places) {
    if ((await statFile(path)) === undefined) continue;
    const end = path.slice(layout.roleFolder(role).length + hostname.length + 2);
    await moveFile(path, awayPath(layout, hostname, serial, end));
    await syncFolder(layout.revokedFolder);
    await syncFolder(layout.roleFolder(role));
  }
}

function awayPath({ revokedFolder }: Layout, hostname: HostName, serial: string, end: string): string {
  return join(revokedFolder, `${hostname}-${serial}.${end}`);
}

/** Whether one of these revocations put a request away: then the key is where it was made. @throws files */
export async function isRequestAway(layout: Layout, hostname: HostName, serials: readonly string[]): Promise<boolean> {
  const states = await Promise.all(serials.map((serial) => statFile(awayPath(layout, hostname, serial, 'csr.pem'))));
  return states.some((state) => state !== undefined);
}

/**
 * Finishes every revocation that was cut off, with a word, and writes those that the ledger has lost. Only while holding
 * the lock. @throws files, certificate
 */
export async function settleRevocations(settings: Settings, host: Pick<Host, 'say' | 'now'>): Promise<void> {
  const layout = layoutOf(settings);
  const { entries, lost } = await readHistory(layout);
  const time = host.now().toISOString();
  await appendLedger(
    layout,
    lost.map((entry) => (entry.event === 'issued' ? entry : { ...entry, time })),
  );
  for (const { event, name, serial } of lost) {
    host.say(`made the ledger's line for ${name}, ${event}, serial ${serial}: ${layout.ledger.path}`);
  }
  const revoked = revokedHosts(entries);
  if (revoked.size === 0) return;
  const serials = new Set(entries.filter(({ event }) => event === 'revoked').map(({ serial }) => serial));
  for (const one of hostsOf(settings)) {
    if (!revoked.has(`${one.role} ${one.hostname}`)) continue;
    const { path } = layout.certificate(one.role, one.hostname);
    const bytes = await readFile(path);
    if (bytes === undefined) continue;
    const { serial } = parseCertificate(bytes, { from: quotePath(path) });
    if (!serials.has(serial)) continue;
    await putAway(layout, one, serial);
    host.say(`finished the revocation of ${one.hostname}, which was cut off`);
  }
}
