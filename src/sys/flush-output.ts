// Whether standard output took all that was written to it: asked when it matters, and at the end. A write that failed is
// known only after it.

import { systemCode } from '../errors.js';
import { outputError } from './file-error.js';

interface Output {
  readonly errored?: Error | null;
  write(data: string, done: (error?: Error | null) => void): unknown;
}

/** @throws files - stdout cannot take what was written to it */
export async function flushOutput(stream: Output): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write('', (given) => {
      const error = stream.errored ?? given;
      // If the reader has gone (relaycerts show | head), that is not an error.
      if (error === null || error === undefined || systemCode(error) === 'EPIPE') resolve();
      else reject(outputError(error));
    });
  });
}
