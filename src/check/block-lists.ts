// Is an address on a DNS block list? Asked only on request, and never guessed: a list counts only if it answers its two
// test addresses as RFC 5782 5 says, and an answer in 127.255.255.0/24 is an error of the list and not a listing (wrong
// name, a public resolver, over the quota).

import { isIP } from '../names.js';
import { reverseName, type Lookup } from '../dns/lookup.js';
import { findingOf, type Finding } from '../findings/finding.js';
import { valuesIn } from './dns-answer.js';
import type { Report } from './report.js';

/** The list that most receivers use. */
export const usualBlockLists: readonly string[] = ['zen.spamhaus.org'];

/** Asks one list about the addresses of a host. */
export async function checkBlockList(
  list: string,
  host: string,
  addresses: readonly string[],
  lookup: Lookup,
): Promise<Report> {
  const [name = '', filter] = list.split('=');
  const fine = `DNS: not listed by ${name}: ${addresses.join(', ')}`;
  const failure = await findFailure(name, lookup);
  if (failure !== undefined)
    return { host, fine, findings: [findingOf('dnsbl-unknown', host, { name, found: failure })] };
  const findings = await Promise.all(
    addresses.map(async (address): Promise<readonly Finding[]> => {
      const answer = await lookup.a(`${reverseName(address).replace(/\.(?:in-addr|ip6)\.arpa$/u, '')}.${name}`);
      if (answer.kind === 'unknown') return [findingOf('dnsbl-unknown', host, { name, found: answer.why })];
      const codes = valuesIn(answer);
      const error = codes.find(isErrorCode);
      if (error !== undefined) return [findingOf('dnsbl-unknown', host, { name, found: describeError(error) })];
      const listed = codes.filter((code) => filter === undefined || isInFilter(code, filter));
      return listed.length === 0 ? [] : [findingOf('dnsbl-listed', host, { name, address, found: listed.join(', ') })];
    }),
  );
  return { host, fine, findings: findings.flat() };
}

/** Why the list cannot be used from here; undefined if it can. */
async function findFailure(name: string, lookup: Lookup): Promise<string | undefined> {
  const [listed, clean] = await Promise.all([lookup.a(`2.0.0.127.${name}`), lookup.a(`1.0.0.127.${name}`)]);
  if (listed.kind === 'unknown') return listed.why;
  if (clean.kind === 'unknown') return clean.why;
  const error = [...valuesIn(listed), ...valuesIn(clean)].find(isErrorCode);
  if (error !== undefined) return describeError(error);
  if (clean.kind === 'found') return 'it lists every address';
  return listed.kind === 'absent' ? 'it does not even list its test address' : undefined;
}

/** Everything outside 127.0.0.0/8 comes from somebody who answers for names that do not exist. */
function isErrorCode(code: string): boolean {
  return isIP(code) !== 4 || !code.startsWith('127.') || code.startsWith('127.255.255.');
}

const errors: Readonly<Record<string, string>> = {
  '127.255.255.252': 'the name of the list is wrong',
  '127.255.255.254': 'it does not answer public DNS resolvers',
  '127.255.255.255': 'too many questions',
};

function describeError(code: string): string {
  return `${errors[code] ?? 'not an answer of a block list'} (${code})`;
}

/** `127.0.0.[2..11]`: each part is a number, or numbers and ranges in brackets (postconf(5) reject_rbl_client). */
function isInFilter(code: string, filter: string): boolean {
  const numbers = code.split('.').map(Number);
  const parts = [...filter.matchAll(/\[([^\]]*)\]|(\d+)/gu)].map(([, inside, one]) => inside ?? one ?? '');
  return parts.every((part, at) =>
    part.split(';').some((range) => {
      const [low, high] = range.split('..').map(Number);
      const number = numbers[at] ?? -1;
      return number >= (low ?? 0) && number <= (high ?? low ?? 0);
    }),
  );
}
