// Standard output and standard error. Only what may be a terminal has Node's stream, which takes a tenth of a short
// command's time to load; all else is written directly, and so is complete when the program ends.

import { fstatSync, statSync, writeSync } from 'node:fs';
import { systemCode } from '../errors.js';
import type { ProcessOutput } from './process-sys.js';

/** Milliseconds until a full pipe or socket is tried again, if its other side made it non-blocking. */
const pause = 5;

/** The output with this descriptor; `open` opens Node's stream for it. An error is kept in `errored`, never thrown. */
export function findOutput(fd: number, open: () => NodeJS.WriteStream): ProcessOutput {
  if (!mayBeTerminal(fd)) return writeDirectly(fd);
  const stream = open();
  stream.on('error', () => undefined);
  return stream;
}

function writeDirectly(fd: number): ProcessOutput {
  let errored: Error | null = null;
  return {
    fd,
    get errored() {
      return errored;
    },
    write: (data, done) => {
      try {
        if (errored === null) writeWhole(fd, Buffer.from(data));
      } catch (error) {
        errored = error instanceof Error ? error : new Error(String(error));
      }
      done?.(errored);
    },
  };
}

/** @throws Node's system error */
function writeWhole(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
    }
  }
}

/** True if the descriptor is closed too. */
function mayBeTerminal(fd: number): boolean {
  try {
    const stats = fstatSync(fd);
    return stats.isCharacterDevice() && stats.rdev !== statSync('/dev/null').rdev;
  } catch {
    return true;
  }
}
