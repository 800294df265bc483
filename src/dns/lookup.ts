// Questions to a DNS server. Every answer is one of three: records, "there are none", or "not known"; an error of the
// server never means that a record is not there. What a server says is untrusted: addresses are checked here, names
// are parsed before they are followed or printed.

import { systemCode } from '../errors.js';
import { isIP } from '../names.js';

export type Answer<Value> =
  | { readonly kind: 'found'; readonly values: readonly Value[] }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown'; readonly why: string };

/** An MX record; the exchange is '' if the domain takes no mail (RFC 7505). */
export interface MailExchange {
  readonly priority: number;
  readonly exchange: string;
}

/** The kinds of questions, by record type; names have no trailing dot. */
export interface Lookup {
  readonly a: (name: string) => Promise<Answer<string>>;
  readonly aaaa: (name: string) => Promise<Answer<string>>;
  readonly cname: (name: string) => Promise<Answer<string>>;
  readonly mx: (name: string) => Promise<Answer<MailExchange>>;
  readonly ptr: (name: string) => Promise<Answer<string>>;
  /** Each value is one record, its strings joined. */
  readonly txt: (name: string) => Promise<Answer<string>>;
}

/** Milliseconds for one attempt. */
const timeout = 1000;
/** Milliseconds for all questions of a run, so that a slow server does not hold it up for hours. */
const longest = 30_000;
/** Questions of a run: answers lead to more of them. */
const mostQuestions = 2000;
/** Records of one answer that are used. */
const mostRecords = 1000;
/** Aliases that are followed from one name to the next. */
const mostAliases = 8;

const reasons: Readonly<Record<string, string>> = {
  ESERVFAIL: 'the DNS server answers SERVFAIL',
  EREFUSED: 'the DNS server answers REFUSED',
  ENOTIMP: 'the DNS server answers NOTIMP',
  EFORMERR: 'the DNS server answers FORMERR',
  EBADRESP: "the DNS server's answer is malformed",
  ETIMEOUT: 'the DNS server does not answer',
  ECONNREFUSED: 'nothing answers at the DNS server',
};

/** A name that can be asked for: any octets that need no escape, within the sizes of RFC 1035 2.3.4. */
export function isQueryName(name: string): boolean {
  return name.length <= 253 && name.split('.').every((label) => /^[\w+=/,*-]{1,63}$/u.test(label));
}

/**
 * Asks `server`, an address with or without a port, or the system's servers. Each question is asked once, and nothing
 * more of a server that has not answered the first ones.
 */
export function makeLookup(server: string | undefined, begun = performance.now()): Lookup {
  // Loaded now, because status loads this file and looks nothing up.
  const { Resolver } = process.getBuiltinModule('node:dns/promises');
  const resolver = new Resolver({ timeout, tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  const asked = new Map<string, Promise<Answer<unknown>>>();
  let seen: 'nothing' | 'silence' | 'answers' = 'nothing';
  const whyNot = (): string | undefined => {
    if (seen === 'silence') return reasons['ETIMEOUT'];
    const isTooMuch = performance.now() - begun > longest || asked.size >= mostQuestions;
    return isTooMuch ? 'too many questions, or the DNS server is too slow for them' : undefined;
  };
  const answerOf = async <Value>(
    question: (name: string) => Promise<readonly Value[]>,
    name: string,
    aliases = mostAliases,
  ): Promise<Answer<Value>> => {
    try {
      const values = await question(name);
      seen = 'answers';
      if (values.length > 0) return { kind: 'found', values: values.slice(0, mostRecords) };
      // Only an alias came. A server that does not ask others says no more, whatever the other name has.
      const [target = ''] = await resolver.resolveCname(name);
      if (aliases === 0) return { kind: 'unknown', why: 'too many aliases (CNAME)' };
      return isQueryName(withoutDot(target))
        ? await answerOf(question, withoutDot(target), aliases - 1)
        : { kind: 'absent' };
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined) throw error;
      if (code !== 'ETIMEOUT') seen = 'answers';
      else if (seen === 'nothing') seen = 'silence';
      if (code === 'ENOTFOUND' || code === 'ENODATA') return { kind: 'absent' };
      return { kind: 'unknown', why: reasons[code] ?? `the DNS server's answer cannot be used (${code})` };
    }
  };
  const ask =
    <Value>(type: string, question: (name: string) => Promise<readonly Value[]>) =>
    (name: string): Promise<Answer<Value>> => {
      const key = `${type} ${name.toLowerCase()}`;
      const known = asked.get(key);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the key names the type
      if (known !== undefined) return known as Promise<Answer<Value>>;
      const why = whyNot();
      if (why !== undefined) return Promise.resolve({ kind: 'unknown', why });
      const answer = isQueryName(name) ? answerOf(question, name) : Promise.resolve({ kind: 'absent' } as const);
      asked.set(key, answer);
      return answer;
    };
  return {
    a: ask('a', async (name) => ofFamily(4, await resolver.resolve4(name))),
    aaaa: ask('aaaa', async (name) => ofFamily(6, await resolver.resolve6(name))),
    cname: ask('cname', async (name) => (await resolver.resolveCname(name)).map(withoutDot)),
    mx: ask('mx', async (name) =>
      (await resolver.resolveMx(name)).map(({ priority, exchange }) => ({ priority, exchange: withoutDot(exchange) })),
    ),
    ptr: ask('ptr', async (name) => (await resolver.resolvePtr(name)).map(withoutDot)),
    txt: ask('txt', async (name) => (await resolver.resolveTxt(name)).map((strings) => strings.join(''))),
  };
}

function ofFamily(family: 4 | 6, found: readonly string[]): readonly string[] {
  return found.filter((one) => isIP(one) === family);
}

function withoutDot(name: string): string {
  return name.replace(/\.$/u, '');
}

/** The name of an address in the reverse tree (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: string): string {
  return isIP(address) === 4
    ? `${address.split('.').toReversed().join('.')}.in-addr.arpa`
    : `${nibblesOf(address).toReversed().join('.')}.ip6.arpa`;
}

/** The 32 hexadecimal digits of an IPv6 address. */
export function nibblesOf(address: string): readonly string[] {
  const [, head = '', last = ''] = /^(.*:)([\d.]+)$/u.exec(address) ?? [];
  const [a = 0, b = 0, c = 0, d = 0] = last.includes('.') ? last.split('.').map(Number) : [];
  const plain = last.includes('.') ? `${head}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}` : address;
  const [left = '', right] = plain.split('::');
  const [before, after] = [left, right ?? ''].map((side) => (side === '' ? [] : side.split(':')));
  const groups = [...(before ?? []), ...Array<string>(8).fill('0'), ...(after ?? [])];
  const count = (before ?? []).length;
  const whole = right === undefined ? (before ?? []) : groups.toSpliced(count, groups.length - 8);
  return whole.flatMap((group) => Array.from(group.toLowerCase().padStart(4, '0')));
}
