// What a call refuses with: a RelaycertsError, and nothing else will do.

import { RelaycertsError } from '../../src/errors.js';

/** The RelaycertsError that a call throws; whatever else it throws goes on, and returning is an error. */
export function refusalOf(run: () => unknown): RelaycertsError {
  try {
    run();
  } catch (error) {
    if (error instanceof RelaycertsError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** The same for what a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<RelaycertsError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof RelaycertsError) return outcome;
  throw new Error('no RelaycertsError was thrown', { cause: outcome });
}
