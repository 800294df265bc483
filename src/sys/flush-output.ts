// Whether standard output took all that was written to it: asked when it matters, and at the end.

import { systemCode } from '../errors.js';
import { outputError } from './file-error.js';
import type { ProcessLike } from './process-sys.js';

/** @throws files - stdout cannot take what was written to it */
export async function flushOutput(stream: ProcessLike['stdout']): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write('', (given) => {
      const error = stream.errored ?? given;
      // If the reader has gone (relaycerts show | head), that is not an error.
      if (error === null || error === undefined || systemCode(error) === 'EPIPE') resolve();
      else reject(outputError(error));
    });
  });
}
