// Whether standard output took all that was written to it: asked when it matters, and at the end. A write that failed is
// known only after it.

import { systemCode } from '../errors.js';
import { outputError } from './file-error.js';

interface Output {
  readonly errored?: Error | null;
  write(data: string, done: (error?: Error | null) => void): unknown;
}

/** False if its reader has gone. @throws files - stdout cannot take what was written to it */
export function flushOutput(stream: Output): Promise<boolean> {
  return new Promise((resolve, reject) => {
    stream.write('', (given) => {
      const error = stream.errored ?? given;
      // If the reader has gone (relaycerts show | head), that is not an error.
      if (error === null || error === undefined) resolve(true);
      else if (systemCode(error) === 'EPIPE') resolve(false);
      else reject(outputError(error));
    });
  });
}
