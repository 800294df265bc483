// The error that a call throws: it must be a RelaycertsError.

import { RelaycertsError } from '../../src/errors.js';

/** The RelaycertsError that a call throws; any other error is passed on, and returning is an error. */
export function refusalOf(run: () => unknown): RelaycertsError {
  try {
    run();
  } catch (error) {
    if (error instanceof RelaycertsError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** The same for a promise's rejection. */
export async function rejectionOf(promise: Promise<unknown>): Promise<RelaycertsError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof RelaycertsError) return outcome;
  throw new Error('no RelaycertsError was thrown', { cause: outcome });
}
