// Walks the questions: asks each that is to be asked, through whatever asks, and checks every answer where it is given,
// by itself and against the answers before it. Who answers, a person or a file, is not known here.

import { RelaycertsError, renderHint, type Problem } from '../errors.js';
import { findContradictions, formatPath } from '../settings/contradictions.js';
import { applyAnswers, type Answers, type QuestionId, type Start } from './answers.js';
import type { Option, SecretKeys } from './gnupg.js';
import { questions, type Question } from './questions.js';

/** One question as it is put, with what checks the answer. */
export interface Prompt {
  readonly kind: Question['kind'];
  readonly message: string;
  readonly why: string;
  /** What Enter takes; '' where there is no default. */
  readonly initial: string;
  readonly options: readonly Option[];
  /** What is wrong with an answer; undefined where it is taken. */
  readonly check: (text: string) => Promise<Problem | undefined>;
}

/** Whoever puts the questions to a person. */
export interface Asker {
  /** Text for the eye, wrapped at the terminal's width. */
  tell(text: string): void;
  /** Text as it is. */
  show(text: string): void;
  /** The first answer that passes the check; several options are a list (parse.ts). @throws interrupted */
  ask(prompt: Prompt): Promise<string>;
  close(): void;
}

/** The words of a refused answer. */
export function describeProblem({ message, hint }: Problem): string {
  return hint === undefined ? message : `${message}; ${renderHint(hint, 'relaycerts')}`;
}

/** Typed answers, by their questions' ids. */
export type Texts = Readonly<Partial<Record<QuestionId, string>>>;

export interface Interview {
  readonly start: Start | undefined;
  /** Absolute path of the settings file. */
  readonly file: string;
  readonly home: string;
  readonly keys: () => Promise<SecretKeys>;
  /** Finds the keys of one recipient. @throws recipient, tool */
  readonly proveRecipient: (recipient: string) => Promise<unknown>;
  /** Answers in text; undefined where nothing that passes `check` can be had, which leaves the answer out. */
  readonly ask: (id: QuestionId, prompt: Prompt) => Promise<string | undefined>;
  /** Says why a question is not asked. */
  readonly note: (line: string) => void;
}

/**
 * Asks everything once. `previous` are the answers of an earlier round: they are the defaults, and a question that has
 * one is asked even where it would be passed over.
 * @throws whatever `ask` throws
 */
export async function holdInterview(
  interview: Interview,
  previous: Texts,
): Promise<{ readonly answers: Partial<Answers>; readonly texts: Texts }> {
  let answers: Partial<Answers> = {};
  let texts: Texts = {};
  for (const question of questions) {
    const { id, kind, message, why, parse } = question;
    const initial = previous[id] ?? question.initial(interview.start);
    const when = question.when(interview.start, answers);
    if (when === false) continue;
    if (typeof when === 'string' && previous[id] === undefined) {
      interview.note(when);
      // Hosts that stay are still compared with those that are typed; a port or a user needs no answer to stay.
      if (id === 'relays' || id === 'clients') answers = { ...answers, ...parse(initial, answers) };
      continue;
    }
    const options = await question.options(interview.keys);
    const before = answers;
    const check = (text: string) => findProblem(interview, question, text, before);
    const text = await interview.ask(id, { kind, message, why, initial, options, check });
    if (text === undefined) continue;
    answers = { ...answers, ...parse(text, answers) };
    texts = { ...texts, [id]: text };
  }
  return { answers, texts };
}

async function findProblem(
  { start, file, home, proveRecipient }: Interview,
  { parse }: Question,
  text: string,
  before: Partial<Answers>,
): Promise<Problem | undefined> {
  try {
    const answer = parse(text, before);
    const answers = { ...before, ...answer };
    // Hosts that are asked later may still change, so nothing is compared with them yet.
    const { smtpdServers, smtpClients, ...rest } = applyAnswers(start, answers);
    const draft = {
      ...rest,
      ...(answers.relays === undefined ? {} : { smtpdServers }),
      ...(answers.clients === undefined ? {} : { smtpClients }),
    };
    const [contradiction] = findContradictions(draft, answers.domain, { file, home });
    if (contradiction !== undefined) {
      const { path, what, hint } = contradiction;
      const isOwn = path.some((part) => part === 'hostname' || part === 'recipients');
      if (isOwn) return { message: what, hint };
      const place = formatPath(path);
      return { message: `${place} ${what}`, hint: `answer otherwise, or set ${place} in the settings file first` };
    }
    for (const recipient of answer.gnupgKeys ?? answer.recipients ?? []) await proveRecipient(recipient);
    return undefined;
  } catch (error) {
    if (error instanceof RelaycertsError) return error.problems[0];
    throw error;
  }
}
