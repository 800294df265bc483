// Ctrl-C as part of a command: for one that runs until somebody stops it, and then still prints something. Any other
// command is ended by main.ts, which asks here first.

let current: AbortController | undefined;

/** Runs `work` with a signal that Ctrl-C raises instead of ending the program. */
export async function untilInterrupted<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController();
  current = own;
  try {
    return await work(own.signal);
  } finally {
    current = undefined;
  }
}

/** Stops such a command; false if none is running. A second Ctrl-C ends the program. */
export function interruptWork(): boolean {
  if (current === undefined || current.signal.aborted) return false;
  current.abort();
  return true;
}
