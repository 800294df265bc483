// What deploy notes of its visits, as they end. certs/installed.json is written whole each time, so for a fleet not after
// each visit: writing takes at most a twentieth of the time. A note that a kill loses costs the next run another look at
// that host; it is never unsafe, because an older note only makes others wait.

import type { HostName } from '../names.js';
import type { SeenHost } from '../plan/installed.js';

/** What hosts have now; undefined: nothing of ours any more. */
export type Seen = ReadonlyMap<HostName, SeenHost | undefined>;

export interface VisitNotes {
  /** Notes a host, now or with one of the next. @throws as `write` */
  readonly note: (hostname: HostName, seen: SeenHost | undefined) => Promise<void>;
  /** Writes what is left. @throws as `write` */
  readonly end: () => Promise<void>;
}

/** `write` is never called again before it has ended; `clock` gives milliseconds. */
export function visitNotes(write: (seen: Seen) => Promise<void>, clock = (): number => performance.now()): VisitNotes {
  const open = new Map<HostName, SeenHost | undefined>();
  let next = 0;
  let last = Promise.resolve();
  const writeOpen = async (): Promise<void> => {
    if (open.size === 0) return;
    const seen = new Map(open);
    open.clear();
    const begin = clock();
    await write(seen);
    const end = clock();
    next = end + (end - begin) * share;
  };
  const inTurn = (isLast: boolean): Promise<void> => {
    last = last.then(() => (isLast || clock() >= next ? writeOpen() : undefined));
    return last;
  };
  return {
    note: (hostname, seen) => {
      open.set(hostname, seen);
      return inTurn(false);
    },
    end: () => inTurn(true),
  };
}

/** A write is followed by so many times its own length without one. */
const share = 19;
