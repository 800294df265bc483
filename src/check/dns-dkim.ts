// The record of one DKIM key, against the key. `renew --dkim` switches to a key only after this found it published, so
// what receivers cannot use is never right here.

import { dkimRecordName, judgeDkim, type DkimKey } from '../dns/dkim-record.js';
import type { Lookup } from '../dns/lookup.js';
import { findingOf } from '../findings/finding.js';
import { insteadOf, unknownFinding, valuesIn } from './dns-answer.js';
import { reportOf, type Report } from './report.js';

const ids = { other: 'dkim-other', revoked: 'dkim-revoked', testing: 'dkim-testing' } as const;

/** Nothing is found if receivers can use the key, or, if it is retired, no longer. */
export async function checkDkimRecord(key: DkimKey, lookup: Lookup): Promise<Report> {
  const { domain: host, state } = key;
  const name = dkimRecordName(key);
  const answer = await lookup.txt(name);
  const values = valuesIn(answer);
  const judged = values.map((text) => judgeDkim(text, key)).filter((one) => one !== 'foreign');
  const [first] = judged;
  const report = (id: string, found = ''): Report => reportOf(host, findingOf(id, host, { name, found }));
  const fine = (what: string): Report => ({ host, fine: `DNS: ${name} ${what}`, findings: [] });
  const unknown = unknownFinding(host, 'TXT', name, answer);
  if (unknown.length > 0) return reportOf(host, ...unknown);
  if (state === 'retired') {
    return judged.some((one) => one !== 'revoked') ? report('dkim-not-revoked') : fine('is revoked or removed');
  }
  if (first === undefined) {
    return report(state === 'active' ? 'dkim-missing' : 'dkim-not-published', insteadOf(values));
  }
  // Of any kind: OpenDKIM refuses a name with a second text, whatever it is.
  if (values.length > 1) return report('dkim-several', String(values.length));
  if (typeof first === 'object') return report('dkim-flawed', first.flaw);
  if (first === 'ours') return fine('publishes our DKIM key');
  return report(ids[first]);
}
