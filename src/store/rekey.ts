// The stages of a rekey on disk. New key and certificate are made beside the old ones, and come into their places only
// when both are durable; the old certificate stays as FQDN.old.crt.pem, whose pin stays listed until it is retired.
// Cut off anywhere, `settleRekeys` goes on to the end, or back to the beginning where there is no new certificate yet.

import { basename, join } from 'node:path';
import { parseCertificate, type CertificateInfo } from '../certificate/certificate.js';
import { quotePath } from '../errors.js';
import {
  listFolder,
  makeFolder,
  moveFile,
  readFile,
  removeFile,
  statFile,
  syncFolder,
  writeFile,
} from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import type { HostName } from '../names.js';
import { hostsOf, roles, type HostSettings, type Role, type Settings } from '../settings/settings.js';
import { settleCaRekey } from './ca-rekey.js';
import { readHistory } from './history.js';
import { layoutOf, type Layout, type Place } from './layout.js';
import { readLedger, revokedHosts } from './ledger.js';

/** Finishes or undoes every rekey that was cut off, with a word. Only while holding the lock. @throws files */
export async function settleRekeys(settings: Settings, sys: Pick<Sys, 'say'>): Promise<void> {
  const layout = layoutOf(settings);
  await settleCaRekey(layout, sys);
  // Few hosts have anything to settle, so two folders are listed once for all.
  const names = new Map<Role, ReadonlySet<string>>();
  for (const role of roles) names.set(role, new Set(await listFolder(layout.roleFolder(role))));
  const isThere = (one: HostSettings, place: (role: Role, hostname: HostName) => Place): boolean =>
    names.get(one.role)?.has(basename(place(one.role, one.hostname).path)) === true;
  const { nextCertificate, nextKey, previous } = layout;
  const cut = hostsOf(settings).filter((one) =>
    [nextCertificate, nextKey, previous].some((place) => isThere(one, place)),
  );
  if (cut.length === 0) return;
  const revoked = revokedHosts((await readHistory(layout)).entries);
  for (const one of cut) {
    const { role, hostname } = one;
    // Nothing of a revoked host comes into its place.
    if (revoked.has(`${role} ${hostname}`)) continue;
    if (isThere(one, nextCertificate)) {
      await swapIn(layout, one);
      sys.say(`finished the rekey of ${hostname}, which was cut off`);
    } else if (isThere(one, nextKey)) {
      await removeFile(nextKey(role, hostname).path);
      sys.say(`removed the key of a rekey of ${hostname} that was cut off before anything used it`);
    }
    if (isThere(one, previous)) await settlePrevious(layout, one, sys);
  }
}

/** A previous certificate is one only beside a newer one, and until the ledger says that it is retired. */
async function settlePrevious(layout: Layout, one: HostSettings, sys: Pick<Sys, 'say'>): Promise<void> {
  const { role, hostname } = one;
  const { path } = layout.previous(role, hostname);
  const bytes = await readFile(path);
  if (bytes === undefined) return;
  if ((await readFile(layout.certificate(role, hostname).path))?.equals(bytes) === true) {
    await removeFile(path);
    await syncFolder(layout.roleFolder(role));
    return;
  }
  const { entries } = await readLedger(layout);
  const info = parseCertificate(bytes, { from: quotePath(path) });
  if (!entries.some(({ event, serial }) => event === 'retired' && serial === info.serial)) return;
  await putRetired(layout, one, info);
  sys.say(`finished the retirement of ${hostname}'s old pin, which was cut off`);
}

/** Moves the certificate before a rekey to certs/retired/; with it its pin leaves the table. @throws files */
export async function putRetired(
  layout: Layout,
  { role, hostname }: HostSettings,
  { serial }: CertificateInfo,
): Promise<void> {
  await makeFolder(layout.retiredFolder, 0o755);
  await moveFile(layout.previous(role, hostname).path, join(layout.retiredFolder, `${hostname}-${serial}.crt.pem`));
  await syncFolder(layout.retiredFolder);
  await syncFolder(layout.roleFolder(role));
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
    await moveFile(nextKey, key);
    await syncFolder(folder);
  }
  await moveFile(nextCertificate, certificate);
  await syncFolder(folder);
}
