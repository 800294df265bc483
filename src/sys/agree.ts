// The question before a command does what cannot be taken back: --yes answers it, and without a terminal nothing is done.
// Each command has its own words.

import { RelaycertsError, type Hint } from '../errors.js';
import type { Sys } from './sys.js';

export interface Question {
  readonly ask: string;
  /** What the command does, if there is nobody to ask: "clean asks before it removes". */
  readonly deed: string;
  /** The command that does it without asking. */
  readonly unasked: Hint;
  /** What did not happen after a no. */
  readonly declined: string;
}

/** @throws usage - there is no terminal; interrupted - the answer is no */
export async function agree({ yes }: { readonly yes: boolean }, sys: Sys, question: Question): Promise<void> {
  if (yes) return;
  if (!sys.interactive) {
    throw new RelaycertsError('usage', `${question.deed}, and there is no terminal to ask on`, {
      hint: question.unasked,
    });
  }
  if (!(await sys.confirm(question.ask))) throw new RelaycertsError('interrupted', question.declined);
}
