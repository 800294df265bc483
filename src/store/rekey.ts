// The stages of a rekey on disk. New key and certificate are made beside the old ones, and come into their places only
// when both are durable; the old certificate stays as FQDN.old.crt.pem, whose pin stays listed until it is retired.
// Cut off anywhere, `settleRekeys` goes on to the end, or back to the beginning where there is no new certificate yet.

import { rename } from 'node:fs/promises';
import { fileError, readFile, removeFile, statFile, syncFolder, writeFile } from '../host/files.js';
import type { Host } from '../host/host.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { layoutOf, type Layout } from './layout.js';

/** Finishes or undoes every rekey that was cut off, with a word. Only while holding the lock. @throws files */
export async function settleRekeys(settings: Settings, host: Pick<Host, 'say'>): Promise<void> {
  const layout = layoutOf(settings);
  for (const one of hostsOf(settings)) {
    const { role, hostname } = one;
    if ((await statFile(layout.nextCertificate(role, hostname).path)) !== undefined) {
      await swapIn(layout, one);
      host.say(`finished the rekey of ${hostname}, which was cut off`);
    } else if (await removeFile(layout.nextKey(role, hostname).path)) {
      host.say(`removed the key of a rekey of ${hostname} that was cut off before anything used it`);
    }
  }
}

/** Brings a rekey's key and certificate, both durable, into their places. Doing it again from anywhere is the same. */
export async function swapIn(layout: Layout, { role, hostname }: HostSettings): Promise<void> {
  const folder = layout.roleFolder(role);
  const key = layout.key(role, hostname).path;
  const certificate = layout.certificate(role, hostname).path;
  const nextKey = layout.nextKey(role, hostname).path;
  const nextCertificate = layout.nextCertificate(role, hostname).path;
  // Once the key has moved, the old certificate is kept already, or there is none to keep: only a client's pin is listed.
  if ((await statFile(nextKey)) !== undefined) {
    const before = role === 'smtp-client' ? await readFile(certificate) : undefined;
    if (before !== undefined) {
      const { path, mode } = layout.previous(role, hostname);
      await writeFile(path, before, mode);
      await syncFolder(folder);
    }
    await move(nextKey, key);
    await syncFolder(folder);
  }
  await move(nextCertificate, certificate);
  await syncFolder(folder);
}

/** Renames one file of ours over another. @throws files */
export async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    throw fileError(error, 'rename', from);
  }
}
