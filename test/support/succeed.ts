// A run that has to end well, for what comes after it.

import { expect } from 'vitest';
import type { Result } from './project.js';

/** The result, of which the exit code is 0; what the program said otherwise is in the failure. */
export function succeed(result: Result): Result {
  expect(result.status, result.stderr).toBe(0);
  return result;
}
