// What the checks of DNS records share: the work, the finding for an answer that is not known, and what a finding
// quotes of an answer. Names from the DNS are parsed (findHostName) before they are followed or printed.

import type { DkimKey } from '../dns/dkim-record.js';
import type { Answer, Lookup } from '../dns/lookup.js';
import { quote } from '../errors.js';
import { findingOf, type Finding } from '../findings/finding.js';
import type { Settings, SmtpdServer } from '../settings/settings.js';

export interface DnsWork {
  readonly settings: Settings;
  readonly keys: readonly DkimKey[];
  readonly lookup: Lookup;
  /** Block lists that are asked: NAME, or NAME=ANSWERS as in the settings. */
  readonly blockLists: readonly string[];
}

/** A relay with the addresses that the DNS has for it. */
export interface LocatedRelay {
  readonly relay: SmtpdServer;
  readonly addresses: readonly string[];
}

/** The finding if the server gave no usable answer; it says nothing about the record. */
export function unknownFinding(host: string, type: string, name: string, answer: Answer<unknown>): readonly Finding[] {
  return answer.kind === 'unknown' ? [findingOf('dns-unknown', host, { name, type, found: answer.why })] : [];
}

/** The records found; none if there are none, or if that is not known. */
export function valuesIn<Value>(answer: Answer<Value>): readonly Value[] {
  return answer.kind === 'found' ? answer.values : [];
}

/** What a name has instead of the record that belongs there; often a wildcard's. */
export function insteadOf(values: readonly string[]): string {
  const [first] = values;
  return first === undefined
    ? ''
    : `, only ${quote(first)}${values.length > 1 ? ` and ${values.length - 1} more` : ''}`;
}
