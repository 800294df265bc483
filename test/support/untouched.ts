// A command that refuses: one error with its hint, nothing on stdout, and the project unchanged.

import { expect } from 'vitest';
import { treeOf, type Project, type Result } from './project.js';

/** One error with its hint, in words for users, and nothing on stdout. */
export function expectError(result: Result, status: number, message: RegExp, hint: RegExp): void {
  expect(result.stderr).toMatch(message);
  expect(result.stderr.split('\n').find((line) => line.startsWith('relaycerts: hint: '))).toMatch(hint);
  expect(result.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
  expect([result.status, result.stdout]).toEqual([status, '']);
}

/** Runs `work`, which must refuse with this exit code, error and hint, and change nothing. */
export async function expectUntouched(
  project: Project,
  work: () => Result | Promise<Result>,
  status: number,
  message: RegExp,
  hint: RegExp,
): Promise<void> {
  const before = treeOf(project.folder);
  expectError(await work(), status, message, hint);
  expect(treeOf(project.folder)).toEqual(before);
}
