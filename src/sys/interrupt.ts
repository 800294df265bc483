// Ctrl-C as a part of a command: for one that goes on until somebody stops it, and then still has something to say. Any
// other command is ended by main.ts, which asks here first.

let current: AbortController | undefined;

/** Runs `work` with a signal that Ctrl-C raises, in place of what it does otherwise. */
export async function untilInterrupted<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController();
  current = own;
  try {
    return await work(own.signal);
  } finally {
    current = undefined;
  }
}

/** Stops what goes on until it is stopped; false if there is nothing like that. A second Ctrl-C ends the program. */
export function interruptWork(): boolean {
  if (current === undefined || current.signal.aborted) return false;
  current.abort();
  return true;
}
