// The answers file of `wizard --answers FILE`: a JSON object whose keys are the questions' ids. It is read into the same
// texts that a person types, so that both ways make the same settings.

import { basename } from 'node:path';
import { closestMatch } from 'leven';
import { quote, RelaycertsError, type Problem } from '../errors.js';
import { parseJsonc } from '../settings/jsonc.js';
import type { QuestionId } from './answers.js';
import { formatList } from './parse.js';
import type { Texts } from './interview.js';
import { questions } from './questions.js';

/** How many problems are told; whoever mends these sees the rest. */
const mostProblems = 100;

const ids: readonly QuestionId[] = questions.map(({ id }) => id);

/**
 * The answers in a file's bytes as text, by id. A list may be a JSON list or text with commas between; a number, a
 * number or its digits. Without recipientsFrom, a file that has gnupgKeys or recipients means these.
 * @throws settings - all problems at once
 */
export function readAnswers(bytes: Uint8Array, from: string): Texts {
  const value = parseJson(bytes, from);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuseAnswers(from, [{ message: 'must be an object', hint: 'write { "domain": "example.org" }' }]);
  }
  const problems: Problem[] = [];
  const texts: Partial<Record<QuestionId, string>> = {};
  for (const [key, answer] of Object.entries(value)) {
    if (problems.length === mostProblems) break;
    const id = ids.find((each) => each === key);
    const text = asText(answer);
    if (id === undefined) problems.push(describeUnknown(key));
    else if (text === undefined) problems.push(describeBadKind(id, answer));
    else texts[id] = text;
  }
  if (problems.length > 0) throw refuseAnswers(from, problems);
  if (texts.recipientsFrom !== undefined) return texts;
  if (texts.recipients !== undefined) return { ...texts, recipientsFrom: 'typed' };
  return texts.gnupgKeys === undefined ? texts : { ...texts, recipientsFrom: 'gnupg' };
}

/** The error for an answers file; every problem names the file. */
export function refuseAnswers(from: string, found: readonly Problem[]): RelaycertsError {
  const name = from === '-' ? 'standard input' : basename(from);
  const problems = found.map(({ message, ...hint }) => ({ message: `${name}: ${message}`, ...hint }));
  const [only] = problems;
  const message = problems.length === 1 ? (only?.message ?? '') : `${name}: ${String(problems.length)} problems`;
  return new RelaycertsError('settings', message, { problems });
}

function parseJson(bytes: Uint8Array, from: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuseAnswers(from, [{ message: 'not UTF-8', hint: 'save it as UTF-8' }]);
  }
  const parsed = parseJsonc(text);
  if ('value' in parsed) return parsed.value;
  const flaws = parsed.flaws.map(({ line, column, what, hint }) => ({
    message: `line ${String(line)}, column ${String(column)}: ${what}`,
    hint,
  }));
  throw refuseAnswers(from, flaws);
}

function asText(answer: unknown): string | undefined {
  if (typeof answer === 'string') return answer;
  if (typeof answer === 'number') return String(answer);
  // In a list as text, a quote would end an item that has commas.
  const isList = Array.isArray(answer) && answer.every((item) => typeof item === 'string' && !item.includes('"'));
  return isList ? formatList(answer) : undefined;
}

function describeUnknown(key: string): Problem {
  const near = closestMatch(
    key.slice(0, 64).toLowerCase(),
    ids.map((id) => id.toLowerCase()),
    { maxDistance: Math.max(2, Math.ceil(Math.min(key.length, 64) * 0.4)) },
  );
  const nearest = ids.find((id) => id.toLowerCase() === near);
  return nearest === undefined
    ? { message: `unknown key ${quote(key)}`, hint: `the keys are ${ids.join(', ')}` }
    : { message: `unknown key ${quote(key)}, did you mean "${nearest}"?`, hint: `rename it to "${nearest}"` };
}

function describeBadKind(id: QuestionId, answer: unknown): Problem {
  const kind =
    answer === null
      ? 'null'
      : Array.isArray(answer)
        ? 'a list with more than text, or with double quotes, in it'
        : typeof answer;
  return {
    message: `${id}: must be text, a number or a list of text, is ${kind}`,
    hint: 'write text in double quotes',
  };
}
