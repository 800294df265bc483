// The stages of the CA's rekey on disk. First the new CA lies beside the one that signs (DOMAIN-ca.new.*), then it takes
// that one's place, which stays as DOMAIN-ca.old.*, then the old one goes to certs/retired/. What lies there is the state;
// there is no other. Cut off anywhere, `settleCaRekey` goes on to the end of a stage, or back to its beginning where
// nothing has used the new key yet. No key is opened here.

import { makeFolder, moveFile, readFile, removeFile, statFile, syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import type { Serial } from '../names.js';
import type { Layout, Place } from './layout.js';

/** Finishes or undoes a stage that was cut off, with a word. Only while holding the lock. @throws files */
export async function settleCaRekey(layout: Layout, sys: Pick<Sys, 'say'>): Promise<void> {
  const hasFormer = (await isThere(layout.formerCaKey)) || (await isThere(layout.formerCaCertificate));
  if (await isThere(layout.nextCaCertificate)) {
    if (!hasFormer) return;
    await swapCaIn(layout);
    sys.say("finished putting the new CA in the old one's place, which was cut off");
  } else if (!hasFormer && (await removeFile(layout.nextCaKey.path))) {
    sys.say('removed the key of a new CA that was cut off before anything used it');
  }
}

/** Brings the new CA, key and certificate durable, into place. Doing it again from anywhere is the same. @throws files */
export async function swapCaIn(layout: Layout): Promise<void> {
  const { caKey, caCertificate, nextCaKey, nextCaCertificate, formerCaKey, formerCaCertificate, caFolder } = layout;
  // Once the new key has moved, the old pair is kept already.
  if ((await statFile(nextCaKey.path)) !== undefined) {
    for (const [from, to] of [
      [caKey, formerCaKey],
      [caCertificate, formerCaCertificate],
    ] as const) {
      const bytes = await readFile(from.path);
      if (bytes === undefined) throw new TypeError(`no ${from.path} to keep`);
      await writeFile(to.path, bytes, to.mode);
    }
    await syncFolder(caFolder);
    await moveFile(nextCaKey.path, caKey.path);
    await syncFolder(caFolder);
  }
  await moveFile(nextCaCertificate.path, caCertificate.path);
  await syncFolder(caFolder);
}

/** Puts the old CA away, its key first: while its certificate is there, hosts are told to trust it. @throws files */
export async function putFormerCaAway(layout: Layout, serial: Serial): Promise<void> {
  await makeFolder(layout.retiredFolder, 0o755);
  if ((await statFile(layout.formerCaKey.path)) !== undefined) {
    await moveFile(layout.formerCaKey.path, layout.retiredCaKey(serial).path);
    await syncFolder(layout.retiredFolder);
  }
  await moveFile(layout.formerCaCertificate.path, layout.retiredCaCertificate(serial).path);
  await syncFolder(layout.retiredFolder);
  await syncFolder(layout.caFolder);
}

async function isThere({ path }: Place): Promise<boolean> {
  return (await statFile(path)) !== undefined;
}
