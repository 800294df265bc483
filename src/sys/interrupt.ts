// Ctrl-C as a part of a command: for one that goes on until somebody stops it, and then still has something to say. Any
// other command is ended by main.ts.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs `work` with a signal that Ctrl-C raises, in place of what it does otherwise. */
export async function untilInterrupted<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  const before = signals.map((signal) => [signal, process.rawListeners(signal)] as const);
  for (const [signal] of before) {
    process.removeAllListeners(signal);
    process.on(signal, stop);
  }
  try {
    return await work(controller.signal);
  } finally {
    for (const [signal, listeners] of before) {
      process.off(signal, stop);
      for (const listener of listeners) process.on(signal, listener as () => void);
    }
  }
}
