// A run that must succeed, because later steps depend on it.

import { expect } from 'vitest';
import type { Result } from './project.js';

/** The result, which has exit code 0; otherwise the failure contains the program's output. */
export function succeed(result: Result): Result {
  expect(result.status, result.stderr).toBe(0);
  return result;
}
