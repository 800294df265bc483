// The DNS as a table, for tests of what is asked and how answers are judged: no server, no waiting.

import { reverseName, type Answer, type Lookup, type MailExchange } from '../../src/dns/lookup.js';

/** The records of one name; with `fails` there is no usable answer about it, of any type or only of these. */
export interface NameRecords {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly cname?: string;
  readonly mx?: readonly string[];
  readonly ptr?: readonly string[];
  readonly txt?: readonly string[];
  readonly fails?: true | readonly (keyof Lookup)[];
}

/** Names in lower case; an address means its name in the reverse tree. */
export type Zone = Readonly<Record<string, NameRecords>>;

const exchangeOf = (text: string): MailExchange => {
  const [priority = '0', exchange = ''] = text.split(' ');
  return { priority: Number(priority), exchange };
};

/** A Lookup that answers from the table, and notes each question as `type name`. */
export function lookupOf(zone: Zone): Lookup & { readonly asked: readonly string[] } {
  const asked: string[] = [];
  const names = new Map(
    Object.entries(zone).map(([name, records]) => [/^[\d.]+$|:/u.test(name) ? reverseName(name) : name, records]),
  );
  const find = <Value>(
    type: keyof Lookup,
    name: string,
    pick: (records: NameRecords) => readonly Value[] | undefined,
  ): Promise<Answer<Value>> => {
    asked.push(`${type} ${name}`);
    const records = names.get(name.toLowerCase());
    const { fails = [] } = records ?? {};
    if (fails === true || fails.includes(type)) {
      return Promise.resolve({ kind: 'unknown', why: 'the DNS server answers SERVFAIL' });
    }
    const alias = records?.cname;
    if (alias !== undefined && type !== 'cname') return find(type, alias, pick);
    const values = records === undefined ? undefined : pick(records);
    return Promise.resolve(
      values === undefined || values.length === 0 ? { kind: 'absent' } : { kind: 'found', values },
    );
  };
  return {
    asked,
    a: (name) => find('a', name, ({ a }) => a),
    aaaa: (name) => find('aaaa', name, ({ aaaa }) => aaaa),
    cname: (name) => find('cname', name, ({ cname }) => (cname === undefined ? [] : [cname])),
    mx: (name) => find('mx', name, ({ mx }) => mx?.map(exchangeOf)),
    ptr: (name) => find('ptr', name, ({ ptr }) => ptr),
    txt: (name) => find('txt', name, ({ txt }) => txt),
  };
}
