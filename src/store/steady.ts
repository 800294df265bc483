// Readers need no lock, and see no half of a change. Every file changes by a rename, and most changes are several: so a
// reader looks when the folders last changed, before it reads and after it, and reads again where they did, or where the
// process that holds the lock has begun to change them. One that waits for a passphrase has not, and holds nobody up.

import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sys } from '../sys/sys.js';
import { roles, type Settings } from '../settings/settings.js';
import { layoutOf } from './layout.js';
import { heldSince } from './lock.js';

/** Milliseconds; a writer at work for longer than that is mentioned, and what is there is read. */
const patience = 10_000;
/** Milliseconds; two changes within one tick of the file system's clock look like one. */
const tick = 20;

/** What `read` gives, read while nobody changes it. `read` may be called several times. @throws whatever read throws */
export async function readSteadily<T>(
  settings: Settings,
  sys: Pick<Sys, 'say' | 'lockWait'>,
  read: () => Promise<T>,
): Promise<T> {
  const { lock } = layoutOf(settings);
  const begun = performance.now();
  for (;;) {
    const before = await lastChange(settings);
    const isPatient = performance.now() - begun < Math.max(patience, sys.lockWait * 1000);
    const held = await heldSince(lock);
    const isChanging = held !== undefined && before.newest >= held;
    const age = Date.now() - Number(before.newest / 1_000_000n);
    if (!isPatient || (!isChanging && (age < 0 || age > tick))) {
      const outcome = await attempt(read);
      if (!isPatient || (await lastChange(settings)).stamp === before.stamp) {
        if (isChanging) sys.say('another relaycerts is at work here: this is what there is in the middle of it');
        if (outcome.kind === 'failed') throw outcome.error;
        return outcome.value;
      }
    }
    await sleep(20 + 30 * Math.random());
  }
}

type Outcome<T> = { readonly kind: 'read'; readonly value: T } | { readonly kind: 'failed'; readonly error: unknown };

/** What cannot be read in the middle of a change may be read after it. */
async function attempt<T>(read: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { kind: 'read', value: await read() };
  } catch (error) {
    return { kind: 'failed', error };
  }
}

/** When the files that belong together last changed; in nanoseconds since the epoch. */
async function lastChange(settings: Settings): Promise<{ readonly stamp: string; readonly newest: bigint }> {
  const layout = layoutOf(settings);
  const paths = [
    layout.certsFolder,
    layout.caFolder,
    layout.ledger.path,
    ...roles.map((role) => layout.roleFolder(role)),
    layout.hostsFolder,
  ];
  const times = await Promise.all(
    paths.map(async (path) => {
      try {
        return (await stat(path, { bigint: true })).mtimeNs;
      } catch {
        return 0n;
      }
    }),
  );
  return { stamp: times.join(' '), newest: times.reduce((newest, time) => (time > newest ? time : newest), 0n) };
}
