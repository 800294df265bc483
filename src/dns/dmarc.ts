// DMARC records: reading one (RFC 7489 6.3, and the tags of its successor), and finding the one that holds for a domain.
// A domain without a record is under that of a parent; the successor finds it by walking up the labels, which needs no
// list of public suffixes.

import type { Answer, Lookup } from './lookup.js';
import { hasVersion, parseTags } from './tags.js';

export const dmarcPolicies = ['none', 'quarantine', 'reject'] as const;
type DmarcPolicy = (typeof dmarcPolicies)[number];

export interface DmarcRecord {
  readonly policy: DmarcPolicy;
  /** For the domains below it. */
  readonly subdomains: DmarcPolicy;
  /** The tag for which receivers do less than the policy, to some or all of the mail; '' if they do not. */
  readonly exemption: string;
  /** Who gets reports, as URIs. */
  readonly reportTo: readonly string[];
  readonly isPublicSuffix: boolean;
  /** It says that no domain above it counts. */
  readonly isTop: boolean;
}

export type FoundDmarc =
  | { readonly kind: 'record'; readonly at: string; readonly record: DmarcRecord }
  | { readonly kind: 'flawed'; readonly at: string; readonly flaw: string }
  | { readonly kind: 'several'; readonly at: string; readonly count: number }
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown'; readonly at: string; readonly why: string };

/** Reads the text of a record, or says for what receivers ignore it. */
export function parseDmarc(text: string): DmarcRecord | { readonly flaw: string } {
  const parsed = parseTags(text);
  if ('flaw' in parsed) return parsed;
  const { tags } = parsed;
  const policyOf = (tag: string): DmarcPolicy | undefined =>
    dmarcPolicies.find((one) => one === tags.get(tag)?.toLowerCase());
  const policy = policyOf('p');
  const reportTo = (tags.get('rua') ?? '').split(',').map((uri) => uri.trim());
  if (policy === undefined)
    return { flaw: tags.has('p') ? `p=${tags.get('p') ?? ''} is not a policy` : 'it has no p=' };
  const subdomains = policyOf('sp');
  if (tags.has('sp') && subdomains === undefined) return { flaw: `sp=${tags.get('sp') ?? ''} is not a policy` };
  for (const tag of ['adkim', 'aspf']) {
    if (!/^(?:[rs])?$/iu.test(tags.get(tag) ?? '')) return { flaw: `${tag}=${tags.get(tag) ?? ''} is neither r nor s` };
  }
  const flawed = reportTo.find((uri) => uri !== '' && !/^mailto:[^\s@]+@[^\s@]+$|^https?:/iu.test(uri));
  if (flawed !== undefined) return { flaw: `${flawed} in rua= is not a mailto: address` };
  return {
    policy,
    subdomains: subdomains ?? policy,
    exemption: exemptionIn(tags),
    reportTo: reportTo.filter((uri) => uri !== ''),
    isPublicSuffix: tags.get('psd')?.toLowerCase() === 'y',
    isTop: tags.get('psd')?.toLowerCase() === 'n',
  };
}

/** `t=y`, and what RFC 7489 had in its place: either may be what a receiver knows. */
function exemptionIn(tags: ReadonlyMap<string, string>): string {
  if (tags.get('t')?.toLowerCase() === 'y') return 't=y';
  const pct = tags.get('pct') ?? '';
  return /^[0-9]{1,2}$/u.test(pct) ? `pct=${pct}` : '';
}

/** The record at one name. */
export async function readDmarc(domain: string, lookup: Lookup): Promise<FoundDmarc> {
  const at = `_dmarc.${domain}`;
  const answer: Answer<string> = await lookup.txt(at);
  if (answer.kind === 'unknown') return { kind: 'unknown', at, why: answer.why };
  const values = answer.kind === 'found' ? answer.values : [];
  const records = values.filter((text) => hasVersion(text, 'DMARC1'));
  const [text] = records;
  if (text === undefined) {
    const isMeant = values.some((one) => /\bDMARC1\b/iu.test(one));
    return isMeant ? { kind: 'flawed', at, flaw: 'its first tag is not v=DMARC1' } : { kind: 'none' };
  }
  if (records.length > 1) return { kind: 'several', at, count: records.length };
  const record = parseDmarc(text);
  return 'flaw' in record ? { kind: 'flawed', at, ...record } : { kind: 'record', at, record };
}

/** Labels from which on the walk begins, however long a name is. */
const mostLabels = 8;

/** The record that a domain without its own is under: of its organizational domain. */
export async function findParentDmarc(domain: string, lookup: Lookup): Promise<FoundDmarc> {
  const labels = domain.split('.');
  const parents = labels.map((_, at) => labels.slice(at)).slice(1);
  let found: FoundDmarc = { kind: 'none' };
  for (const parent of parents.filter(({ length }) => length < mostLabels)) {
    const one = await readDmarc(parent.join('.'), lookup);
    if (one.kind === 'unknown') return one;
    if (one.kind !== 'record') continue;
    // The organizational domain is the one below a public suffix; without its own record, the suffix's holds.
    if (one.record.isPublicSuffix) return found.kind === 'none' ? one : found;
    found = one;
    if (one.record.isTop) break;
  }
  return found;
}
