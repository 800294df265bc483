// What deploy records about its visits, as they end. certs/installed.json is always written whole, so for a fleet it is
// not written after each visit: writing takes at most a twentieth of the time. A record lost by a kill costs the next
// run another look at that host; it is never unsafe, because an older record only makes others wait.

import type { HostName } from '../names.js';
import type { SeenHost } from '../plan/installed.js';

/** What hosts have now; undefined: nothing of ours any more. */
export type Seen = ReadonlyMap<HostName, SeenHost | undefined>;

export interface VisitNotes {
  /** Records a host, now or with one of the next. @throws as `write` */
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

/** After a write, none is made for this many times its own duration. */
const share = 19;
