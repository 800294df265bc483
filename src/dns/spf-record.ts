// SPF records as text (RFC 7208 4.5 to 7): which of a name's TXT records is one, its terms, and the macros in names. A
// record is read as a whole before anything of it is used, because one wrong term makes all of it void.

import { isIP } from '../names.js';

export type Qualifier = '+' | '-' | '~' | '?';

/** One mechanism, or the redirect of a record. */
export interface SpfTerm {
  /** As written. */
  readonly text: string;
  readonly qualifier: Qualifier;
  readonly kind: 'all' | 'include' | 'a' | 'mx' | 'ptr' | 'ip4' | 'ip6' | 'exists' | 'redirect';
  /** A name with macros ('' if none is given), or the address of ip4 and ip6. */
  readonly target: string;
  readonly bits4: number;
  readonly bits6: number;
}

export type SpfRecord = { readonly terms: readonly SpfTerm[] } | { readonly flaw: string };

/** True if a TXT record is an SPF record of version 1. */
export function isSpf(text: string): boolean {
  return /^v=spf1(?: |$)/iu.test(text);
}

/** Reads a record that isSpf accepts. */
export function parseSpf(text: string): SpfRecord {
  const terms: SpfTerm[] = [];
  const modifiers = new Set<string>();
  for (const word of text.slice('v=spf1'.length).split(' ')) {
    if (word === '') continue;
    const [, modifier, value = ''] = /^([A-Za-z][A-Za-z0-9_.-]*)=(.*)$/su.exec(word) ?? [];
    const name = modifier?.toLowerCase();
    if (name === undefined) {
      const term = parseMechanism(word);
      if (term === undefined) return { flaw: `${word} is not a term of SPF` };
      terms.push(term);
      continue;
    }
    const isKnown = name === 'redirect' || name === 'exp';
    if (isKnown && modifiers.has(name)) return { flaw: `${name}= is there twice` };
    if (!(isKnown ? isDomainSpec(value) : macroString.test(value))) return { flaw: `${word} is not a term of SPF` };
    modifiers.add(name);
    if (name !== 'redirect') continue;
    terms.push({ text: word, qualifier: '+', kind: 'redirect', target: value, bits4: 32, bits6: 128 });
  }
  // It counts only if no mechanism matches, wherever it is written, and never with "all" (RFC 7208 6.1).
  const isLast = ({ kind }: SpfTerm): boolean => kind === 'redirect';
  const hasAll = terms.some(({ kind }) => kind === 'all');
  return { terms: [...terms.filter((term) => !isLast(term)), ...(hasAll ? [] : terms.filter(isLast))] };
}

const macro = String.raw`%\{[slodiphv](?:[1-9][0-9]{0,2})?r?[-.+,/_=]*\}`;
const literal = String.raw`[\x21-\x24\x26-\x7e]|%[%_-]`;
/** The macros that only explanations may have are allowed in unknown modifiers, too. */
const macroString = new RegExp(String.raw`^(?:${literal}|${macro.replace('phv', 'phvcrt')})*$`, 'iu');
const domainSpec = new RegExp(
  String.raw`^(?:${literal}|${macro})*(?:${macro}|\.(?=[^.]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?)$`,
  'iu',
);

function isDomainSpec(text: string): boolean {
  return text.length <= 1000 && domainSpec.test(text);
}

const hosts = new Set(['a', 'mx']);
const named = new Set(['include', 'exists']);

function parseMechanism(word: string): SpfTerm | undefined {
  const [, sign = '', name = '', rest = ''] = /^([-+~?]?)([A-Za-z][A-Za-z0-9]*)((?:[:/].*)?)$/su.exec(word) ?? [];
  const qualifier = sign === '-' || sign === '~' || sign === '?' ? sign : '+';
  const kind = name.toLowerCase();
  const term = { text: word, qualifier, target: '', bits4: 32, bits6: 128 } as const;
  if (kind === 'all') return rest === '' ? { ...term, kind } : undefined;
  if (kind === 'ip4' || kind === 'ip6') return parseNetwork(term, kind, rest);
  if (kind !== 'include' && kind !== 'exists' && kind !== 'a' && kind !== 'mx' && kind !== 'ptr') return undefined;
  const [, target = '', four, six] =
    (hosts.has(kind) ? /^(.*?)(?:\/(0|[1-9]\d?))?(?:\/\/(0|[1-9]\d{0,2}))?$/su : /^(.*)$/su).exec(rest) ?? [];
  const [bits4, bits6] = [Number(four ?? 32), Number(six ?? 128)];
  if (bits4 > 32 || bits6 > 128) return undefined;
  if (target === '' && !named.has(kind)) return { ...term, kind, bits4, bits6 };
  if (!target.startsWith(':') || !isDomainSpec(target.slice(1))) return undefined;
  return { ...term, kind, target: target.slice(1), bits4, bits6 };
}

function parseNetwork(term: Omit<SpfTerm, 'kind'>, kind: 'ip4' | 'ip6', rest: string): SpfTerm | undefined {
  const family = kind === 'ip4' ? 4 : 6;
  const [, target = '', bits] = /^:([0-9A-Fa-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/u.exec(rest) ?? [];
  const length = Number(bits ?? (family === 4 ? 32 : 128));
  if (isIP(target) !== family || length > (family === 4 ? 32 : 128)) return undefined;
  return { ...term, kind, target, bits4: length, bits6: length };
}

/** Replaces the macros of a name that parseSpf accepted; a name that is too long loses labels on the left. */
export function expandMacros(text: string, values: Readonly<Record<string, string>>): string {
  const long = text.replaceAll(
    /%(?:\{([a-z])(\d*)(r?)([-.+,/_=]*)\}|([%_-]))/giu,
    (_, letter: string | undefined, digits: string, reversed: string, marks: string, sign: string) => {
      if (letter === undefined) return sign === '%' ? '%' : sign === '_' ? ' ' : '%20';
      const value = values[letter.toLowerCase()] ?? '';
      const separators = new Set(marks === '' ? '.' : marks);
      const parts: string[] = [''];
      for (const character of value) {
        if (separators.has(character)) parts.push('');
        else parts.push(`${parts.pop() ?? ''}${character}`);
      }
      if (reversed !== '') parts.reverse();
      const kept = parts.slice(digits === '' ? 0 : -Number(digits)).join('.');
      return letter === letter.toLowerCase() ? kept : encodeURIComponent(kept);
    },
  );
  const name = long.replace(/\.$/u, '');
  if (name.length <= 253) return name;
  const labels = name.split('.');
  while (labels.length > 1 && labels.join('.').length > 253) labels.shift();
  return labels.join('.');
}
