// What check, explain, deploy and status can find wrong, as data: for each kind, catalogue.json has a stable id, the
// severity, one sentence, and one cure that can be run. log/log-lines.json has the log lines that show some of these
// kinds, under the same ids. docs/findings.md is made from the catalogue. Here a kind and what was seen become a
// finding; render/cure.ts turns its cure into commands for the hosts of a project.

import { escapeControls, type Hint } from '../errors.js';
import catalogue from './catalogue.json' with { type: 'json' };

/** `unknown`: something could not be checked; this is reported and never guessed. */
const severities = ['error', 'warning', 'unknown'] as const;
export type Severity = (typeof severities)[number];

/** One part of a cure, in the order a person does them; `{name}` is one of the finding's values. */
export interface CureStep {
  /** An instruction for a person; never a command. */
  readonly words?: string;
  /** Arguments of relaycerts. */
  readonly run?: string;
  /** The hint of a problem: a command and the words around it. */
  readonly hint?: Hint;
  /** A command for root on the finding's host. */
  readonly root?: string;
  /** A host that gets its bundle and runs its script. */
  readonly install?: string;
}

interface FindingKind {
  readonly id: string;
  readonly severity: string;
  readonly text: string;
  readonly cure: readonly CureStep[];
}

export interface Finding {
  readonly id: string;
  readonly severity: Severity;
  /** The FQDN it is about; '' for the files here. */
  readonly host: string;
  /** What was seen, by the names in the kind's text; untrusted, because much of it comes from hosts. */
  readonly values: Readonly<Record<string, string>>;
  /** One sentence, safe for a terminal. */
  readonly message: string;
  readonly cure: readonly CureStep[];
}

export const findingKinds: ReadonlyMap<string, FindingKind> = new Map(catalogue.map((kind) => [kind.id, kind]));

/** A finding of a kind about a host. */
export function findingOf(id: string, host: string, values: Readonly<Record<string, string>> = {}): Finding {
  const kind = findingKinds.get(id);
  if (kind === undefined) throw new TypeError(`no kind of finding is called ${id}`);
  const all = { ...values, host };
  const { text, cure } = kind;
  const severity = severities.find((one) => one === kind.severity) ?? 'error';
  return { id, severity, host, values: all, message: fillIn(text, all, shorten), cure };
}

/** A text with its values filled in. */
export function fillIn(
  text: string,
  values: Readonly<Record<string, string>>,
  put: (value: string) => string = (value) => value,
): string {
  return text.replaceAll(/\{(\w+)\}/gu, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new TypeError(`a finding has no value for {${name}}`);
    return put(value);
  });
}

/** One line of a host's answer, safe for a terminal: it may be long and contain anything. */
export function shorten(value: string, longest = 240): string {
  const line = escapeControls(value).replaceAll(/[\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  return line.length <= longest ? line : `${line.slice(0, longest - 3)}...`;
}
