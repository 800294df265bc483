// Whether the DNS has the record of a DKIM key. An answer that does not come says nothing: it is unknown, and never
// absent.

import { Resolver } from 'node:dns/promises';
import { systemCode } from '../errors.js';
import { dkimRecordName, dkimRecordValue, type DkimKey } from './dkim-record.js';

/** What the DNS has under a key's name. `found` is what it says instead. */
export type DkimRecordState =
  | { readonly kind: 'right' | 'absent' }
  | { readonly kind: 'wrong'; readonly found: string }
  /** Nobody answers, or a server cannot. */
  | { readonly kind: 'unknown'; readonly code: string };

/** Milliseconds for one attempt, and how many there are. */
const patience = { timeout: 1500, tries: 2 };

/** Asks `server` (an IP address; undefined: the system's servers). */
export async function lookUpDkimRecord(key: DkimKey, server: string | undefined): Promise<DkimRecordState> {
  const resolver = new Resolver(patience);
  if (server !== undefined) resolver.setServers([server]);
  try {
    // A record comes as its strings, which are joined without a space.
    const records = (await resolver.resolveTxt(dkimRecordName(key))).map((strings) => strings.join(''));
    return judgeDkimRecords(records, key);
  } catch (error) {
    const code = systemCode(error) ?? 'EBADRESP';
    return ['ENOTFOUND', 'ENODATA'].includes(code) ? { kind: 'absent' } : { kind: 'unknown', code };
  }
}

/** Judges the TXT records under its name: exactly one, with this key (RFC 6376 3.6.2.2: several are undefined). */
export function judgeDkimRecords(records: readonly string[], key: DkimKey): DkimRecordState {
  const [record, ...more] = records;
  if (record === undefined) return { kind: 'absent' };
  if (more.length > 0) return { kind: 'wrong', found: `${records.length} TXT records` };
  const [found, wanted] = [tagsOf(record), tagsOf(dkimRecordValue(key))];
  const isSame = ['v', 'k', 'p'].every((tag) => (found.get(tag) ?? defaults.get(tag)) === wanted.get(tag));
  return isSame ? { kind: 'right' } : { kind: 'wrong', found: record };
}

const defaults: ReadonlyMap<string, string> = new Map([
  ['v', 'DKIM1'],
  ['k', 'rsa'],
]);

/** RFC 6376 3.2: white space counts neither around a tag nor within base64. */
function tagsOf(record: string): ReadonlyMap<string, string> {
  const tags = record.split(';').flatMap((text): readonly (readonly [string, string])[] => {
    const at = text.indexOf('=');
    return at < 0 ? [] : [[text.slice(0, at).trim(), text.slice(at + 1).replaceAll(/\s+/gu, '')]];
  });
  return new Map(tags);
}
