// What a host was seen to have, for certs/installed.json, so that `status` reports what differs and not only that
// something does. A fault of a host that is in none of its files counts as its configuration. Pure.

import { hash } from 'node:crypto';
import { tableName } from '../plan/bundle-names.js';
import { peersName } from '../plan/inbound.js';
import { mostAuthorities, type HostContent } from '../plan/installed.js';
import { linesOf, valuesOf, type HostFacts } from './host-facts.js';
import type { Report } from './report.js';

/** What makes the right certificate useless. */
const ofCertificate: ReadonlySet<string> = new Set([
  'certificate-differs',
  'key-differs',
  'chain-differs',
  'key-not-first',
  'encrypted-key',
  'key-mismatch',
  'file-missing',
  'expired',
]);
/** These are visible in the digests of their files. */
const ofOtherFiles: ReadonlySet<string> = new Set(['ca-differs', 'table-differs', 'dkim-differs', 'dkim-down']);

/** The content of a host, from what was read there and what was found wrong; `isKnown`: its configuration was read. */
export function seenContent(expected: HostContent, facts: HostFacts, reports: readonly Report[]): HostContent {
  const errors = reports.flatMap(({ findings }) => findings.filter(({ severity }) => severity === 'error'));
  const ids = errors.map(({ id }) => id);
  // A digest that matches nothing.
  const other = hash('sha256', ids.join(' '));
  const chain = valuesOf(linesOf(facts, 'chain'), ' ').get('certificate') ?? expected.certificate;
  const isUseless = ids.some((id) => ofCertificate.has(id));
  const isOther = ids.some((id) => !ofCertificate.has(id) && !ofOtherFiles.has(id));
  return {
    certificate: isDigest(chain) && !(isUseless && chain === expected.certificate) ? chain : other,
    authorities: linesOf(facts, 'authorities').filter(isDigest).slice(0, mostAuthorities),
    table: expected.table === undefined ? undefined : (digestOfTable(facts) ?? other),
    configuration: isOther ? other : expected.configuration,
    dkim: expected.dkim !== undefined && ids.includes('dkim-differs') ? other : expected.dkim,
  };
}

const pinTables: ReadonlySet<string> = new Set([tableName, peersName]);

function digestOfTable({ sections }: HostFacts): string | undefined {
  const table = sections.find(
    ({ name, words: [file = ''] }) => name === 'file' && pinTables.has(file.slice(file.lastIndexOf('/') + 1)),
  );
  const found = valuesOf(table?.lines ?? [], ' ').get('sha256') ?? '';
  return isDigest(found) ? found : undefined;
}

const isDigest = (text: string): boolean => /^[0-9a-f]{64}$/u.test(text);
