// SPF as a receiver evaluates it (RFC 7208): may this address send for this domain? At most ten terms that need the DNS
// and two of their questions without an answer, as in 4.6.4. Explanations (exp=) are not fetched.

import { BlockList } from 'node:net';
import { isIP } from '../names.js';
import { isQueryName, nibblesOf, reverseName, type Answer, type Lookup } from './lookup.js';
import { expandMacros, isSpf, parseSpf, type Qualifier, type SpfTerm } from './spf-record.js';

export interface SpfCall {
  /** The address that sends. */
  readonly address: string;
  /** Whose record is evaluated. */
  readonly domain: string;
  /** The envelope sender. */
  readonly sender: string;
  readonly helo: string;
}

export interface SpfVerdict {
  readonly result: 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'permerror' | 'temperror';
  /** What is wrong, for an error; the term that matched, for the others; '' if none did. */
  readonly why: string;
}

const results: Readonly<Record<Qualifier, SpfVerdict['result']>> = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
};

const mostTerms = 10;
const mostVoid = 2;
/** MX records of one mx, and names of one address. */
const mostNames = 10;

/** An error of the record or of the DNS, which ends the whole evaluation. */
class SpfError extends Error {
  readonly result: 'permerror' | 'temperror';
  constructor(result: 'permerror' | 'temperror', why: string) {
    super(why);
    this.result = result;
  }
}

interface Evaluation {
  readonly call: SpfCall;
  readonly lookup: Lookup;
  readonly count: { terms: number; voids: number };
}

/** What the record of a domain says about an address. */
export async function evaluateSpf(call: SpfCall, lookup: Lookup): Promise<SpfVerdict> {
  try {
    const mapped = /^::ffff:([\d.]+)$/iu.exec(call.address)?.[1];
    const address = mapped !== undefined && isIP(mapped) === 4 ? mapped : call.address;
    const count = { terms: 0, voids: 0 };
    return await evaluateDomain({ call: { ...call, address }, lookup, count }, call.domain);
  } catch (error) {
    if (error instanceof SpfError) return { result: error.result, why: error.message };
    throw error;
  }
}

async function evaluateDomain(evaluation: Evaluation, domain: string): Promise<SpfVerdict> {
  if (!isQueryName(domain) || !domain.includes('.')) return { result: 'none', why: `${domain} is not a domain name` };
  const answer = await evaluation.lookup.txt(domain);
  if (answer.kind === 'unknown') throw new SpfError('temperror', `TXT of ${domain}: ${answer.why}`);
  const records = answer.kind === 'found' ? answer.values.filter(isSpf) : [];
  const [text] = records;
  if (text === undefined) return { result: 'none', why: `${domain} has no SPF record` };
  if (records.length > 1) throw new SpfError('permerror', `${domain} has ${records.length} SPF records`);
  const record = parseSpf(text);
  if ('flaw' in record) throw new SpfError('permerror', `${record.flaw}, in the record of ${domain}`);
  for (const term of record.terms) {
    if (term.kind === 'redirect') return redirect(evaluation, domain, term);
    if (await matchTerm(evaluation, domain, term)) return { result: results[term.qualifier], why: term.text };
  }
  return { result: 'neutral', why: '' };
}

async function redirect(evaluation: Evaluation, domain: string, term: SpfTerm): Promise<SpfVerdict> {
  countTerm(evaluation);
  const target = await targetOf(evaluation, domain, term);
  const verdict = await evaluateDomain(evaluation, target);
  if (verdict.result === 'none') throw new SpfError('permerror', `${term.text}: ${verdict.why}`);
  return verdict;
}

async function matchTerm(evaluation: Evaluation, domain: string, term: SpfTerm): Promise<boolean> {
  const { kind } = term;
  const { address } = evaluation.call;
  if (kind === 'all') return true;
  if (kind === 'ip4' || kind === 'ip6')
    return isIP(address) === isIP(term.target) && isWithin(address, term, term.target);
  countTerm(evaluation);
  const target = await targetOf(evaluation, domain, term);
  if (kind === 'include') return matchInclude(evaluation, target, term);
  if (!isQueryName(target)) return false;
  if (kind === 'ptr') return matchPtr(evaluation, target);
  if (kind === 'exists') return (await ask(evaluation, 'a', target)).length > 0;
  if (kind === 'a') return matchAddress(evaluation, target, term);
  const exchanges = await ask(evaluation, 'mx', target);
  if (exchanges.length > mostNames) throw new SpfError('permerror', `${target} has more than ${mostNames} MX records`);
  for (const { exchange } of exchanges) {
    if (isQueryName(exchange) && (await matchAddress(evaluation, exchange, term))) return true;
  }
  return false;
}

async function matchInclude(evaluation: Evaluation, target: string, term: SpfTerm): Promise<boolean> {
  const { result, why } = await evaluateDomain(evaluation, target);
  if (result === 'none') throw new SpfError('permerror', `${term.text}: ${why}`);
  return result === 'pass';
}

async function matchAddress(evaluation: Evaluation, name: string, term: SpfTerm): Promise<boolean> {
  const { address } = evaluation.call;
  const found = await ask(evaluation, isIP(address) === 4 ? 'a' : 'aaaa', name);
  return found.some((one) => isWithin(address, term, one));
}

/** Errors of the DNS are no match here (RFC 7208 5.5). */
async function matchPtr(evaluation: Evaluation, target: string): Promise<boolean> {
  const names = await validatedNames(evaluation);
  return names.some((name) => name === target.toLowerCase() || name.endsWith(`.${target.toLowerCase()}`));
}

/** The names of the address that lead back to it. */
async function validatedNames({ call: { address }, lookup, count }: Evaluation): Promise<readonly string[]> {
  const reverse = reverseName(address);
  const answer = await lookup.ptr(reverse);
  if (answer.kind === 'absent') countVoid(count, reverse);
  const names = answer.kind === 'found' ? answer.values.slice(0, mostNames).filter(isQueryName) : [];
  const found: string[] = [];
  for (const name of names) {
    const back = await (isIP(address) === 4 ? lookup.a(name) : lookup.aaaa(name));
    if (back.kind === 'found' && back.values.some((one) => isWithin(address, { bits4: 32, bits6: 128 }, one))) {
      found.push(name.toLowerCase());
    }
  }
  return found;
}

function isWithin(address: string, { bits4, bits6 }: Pick<SpfTerm, 'bits4' | 'bits6'>, network: string): boolean {
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, family === 'ipv4' ? bits4 : bits6, family);
  return list.check(address, family);
}

function countTerm({ count }: Evaluation): void {
  count.terms += 1;
  if (count.terms > mostTerms) throw new SpfError('permerror', `it needs more than ${mostTerms} DNS look-ups`);
}

/** The records of a name; none counts as void. */
async function ask<Type extends 'a' | 'aaaa' | 'mx'>(
  { lookup, count }: Evaluation,
  type: Type,
  name: string,
): Promise<Lookup[Type] extends (name: string) => Promise<Answer<infer Value>> ? readonly Value[] : never>;
async function ask(
  { lookup, count }: Evaluation,
  type: 'a' | 'aaaa' | 'mx',
  name: string,
): Promise<readonly unknown[]> {
  const answer: Answer<unknown> = await lookup[type](name);
  if (answer.kind === 'found') return answer.values;
  if (answer.kind === 'unknown') {
    throw new SpfError('temperror', `${type.toUpperCase()} of ${name}: ${answer.why}`);
  }
  countVoid(count, name);
  return [];
}

function countVoid(count: Evaluation['count'], name: string): void {
  count.voids += 1;
  if (count.voids > mostVoid) {
    throw new SpfError('permerror', `more than ${mostVoid} of its names do not exist, the last one ${name}`);
  }
}

/** The name that a term is about: the domain itself if it names none. */
async function targetOf(evaluation: Evaluation, domain: string, { target }: SpfTerm): Promise<string> {
  if (!target.includes('%')) return target === '' ? domain : target.replace(/\.$/u, '');
  const { address, sender, helo } = evaluation.call;
  const at = sender.lastIndexOf('@');
  const isFour = isIP(address) === 4;
  const names = /%\{p/iu.test(target) ? await validatedNames(evaluation) : [];
  const own = domain.toLowerCase();
  return expandMacros(target, {
    s: sender,
    l: sender.slice(0, at),
    o: sender.slice(at + 1),
    d: domain,
    i: isFour ? address : nibblesOf(address).join('.'),
    p: names.find((name) => name === own) ?? names.find((name) => name.endsWith(`.${own}`)) ?? names[0] ?? 'unknown',
    v: isFour ? 'in-addr' : 'ip6',
    h: helo,
  });
}
