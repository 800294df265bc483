// certs/dkim/: the DKIM keys, and selectors.json, which says which selector of a domain signs, which is published next,
// and since when. It is written in the same change as the keys. Not derived from names or times, because a restored
// backup has new times, and a retired selector has no file left.

import { readHostKey } from '../certificate/private-key.js';
import { quotePath } from '../errors.js';
import { writeJson } from '../json-text.js';
import { findHostName, type HostName } from '../names.js';
import { dkimStates, type FoundDkimKey } from '../plan/dkim.js';
import { shellWord } from '../shell-word.js';
import { readFile } from '../sys/files.js';
import { fieldsOf, parseJson, parseTime } from './json-fields.js';
import type { Layout } from './layout.js';
import { collect, readPrivate, type Findings } from './read-file.js';

type Entry = Omit<FoundDkimKey, 'keyPath' | 'key'>;

/** The selectors and their keys; what cannot be right is a problem in `findings`. */
export function readDkimKeys(layout: Layout, findings: Findings): readonly FoundDkimKey[] {
  const { path } = layout.dkimSelectors;
  const bytes = collect(findings, path, () => readFile(path));
  if (bytes === undefined) return [];
  const entries = parseSelectors(bytes);
  if (entries === undefined) {
    findings.problems.push({ message: `${quotePath(path)} is damaged`, hint: 'restore it from a backup' });
    return [];
  }
  return entries.map((entry) => {
    const keyPath = layout.dkimKey(entry).path;
    if (entry.state === 'retired') return { ...entry, keyPath, key: undefined };
    const pem = readPrivate(keyPath, findings);
    const key = collect(findings, keyPath, () => pem && readHostKey(keyPath, pem));
    if (pem === undefined && findings.problems.length === 0) {
      findings.problems.push({
        message: `the DKIM key ${quotePath(keyPath)} is missing`,
        hint: `restore it from a backup; if it is lost, run this, then make: rm -r ${shellWord(layout.dkimFolder)}`,
      });
    }
    return { ...entry, keyPath, key };
  });
}

/** The file's text. */
export function renderSelectors(keys: readonly FoundDkimKey[]): string {
  const lines = keys.map(({ domain, selector, keyType, state, since }) =>
    writeJson({ domain, selector, keyType, state, since: since.toISOString() }),
  );
  return `{\n  "version": 1,\n  "selectors": [\n    ${lines.join(',\n    ')}\n  ]\n}\n`;
}

/** The file's contents; undefined if any of it is invalid. */
export function parseSelectors(bytes: Uint8Array): readonly Entry[] | undefined {
  const file = fieldsOf(parseJson(bytes));
  const list = file.get('selectors');
  if (file.get('version') !== 1 || !Array.isArray(list)) return undefined;
  const entries = list.map(parseEntry);
  const known = entries.filter((entry) => entry !== undefined);
  const names = new Set(known.map(({ domain, selector }) => `${selector}.${domain}`));
  const active = known.filter(({ state }) => state === 'active').map(({ domain }) => domain);
  const isWhole = names.size === entries.length && new Set<HostName>(active).size === active.length;
  return isWhole ? known : undefined;
}

function parseEntry(value: unknown): Entry | undefined {
  const fields = fieldsOf(value);
  const [selector, since] = [fields.get('selector'), parseTime(fields.get('since'))];
  const domain = findHostName(fields.get('domain'));
  const keyType = (['rsa-2048', 'ed25519'] as const).find((one) => one === fields.get('keyType'));
  const state = dkimStates.find((one) => one === fields.get('state'));
  if (domain === undefined || domain !== fields.get('domain') || keyType === undefined || state === undefined) {
    return undefined;
  }
  // It becomes a part of a path, a DNS name and a line of OpenDKIM's KeyTable.
  if (typeof selector !== 'string' || !/^rc\d{6}[b-z]?$/u.test(selector)) return undefined;
  return since && { domain, selector, keyType, state, since };
}
