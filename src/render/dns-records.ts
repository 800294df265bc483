// DNS records in three forms: a table for web forms, lines for a zone file, JSON. What must not be published as it is
// comes as a comment. Values are our own: names and addresses that were parsed, base64, fixed words.

import type { DnsRecord } from '../dns/records.js';

export const dnsFormats = ['plain', 'zone', 'json'] as const;
export type DnsFormat = (typeof dnsFormats)[number];

/** Seconds. */
const ttl = 3600;
/** Octets of one string of a TXT record (RFC 1035 3.3.14). */
const longestString = 255;

/** For web forms: name, type and value, a text in one piece and without quotes. */
export function renderPlain(records: readonly DnsRecord[]): string {
  const width = Math.max(...records.map(({ name }) => name.length));
  const lineOf = ({ name, type, value }: DnsRecord): string =>
    `${name.padEnd(width)}  ${type.padEnd(4)}  ${value ?? 'ADDRESS'}`;
  return renderGroups(records, '#', (record) =>
    record.held === undefined ? [lineOf(record)] : [`# ${record.held}:`, `# ${lineOf(record)}`],
  );
}

/** For a zone file (RFC 1035 5): absolute names; a provider's records are comments, because they are in its zone. */
export function renderZone(records: readonly DnsRecord[]): string {
  return renderGroups(records, ';', (record) => {
    const isOurs = 'domain' in record.place && record.held === undefined;
    const why = record.held === undefined ? [] : [`; ${record.held}:`];
    return [...why, `${isOurs ? '' : '; '}${record.name}. ${ttl} IN ${record.type} ${zoneValue(record)}`];
  });
}

function renderGroups(
  records: readonly DnsRecord[],
  mark: string,
  linesOf: (record: DnsRecord) => readonly string[],
): string {
  const blocks = [...groupByPlace(records)].map(([place, members]) => {
    const purposes = new Set<string>();
    const lines = members.flatMap((record) => {
      const isNew = !purposes.has(record.purpose);
      purposes.add(record.purpose);
      const file = record.file?.text.trimEnd().split('\r\n') ?? [];
      return [
        ...(isNew ? [`${mark} ${record.purpose}`] : []),
        ...linesOf(record),
        ...file.map((line) => `${mark}   ${line}`),
      ];
    });
    return [`${mark} ${place}`, ...lines].join('\n');
  });
  return `${blocks.join('\n\n')}\n`;
}

function groupByPlace(records: readonly DnsRecord[]): ReadonlyMap<string, readonly DnsRecord[]> {
  const groups = new Map<string, DnsRecord[]>();
  for (const record of records) {
    const title =
      'domain' in record.place
        ? `--- in the DNS of ${record.place.domain}`
        : `--- at the provider of ${record.place.provider}`;
    groups.set(title, [...(groups.get(title) ?? []), record]);
  }
  return groups;
}

function zoneValue({ type, value = 'ADDRESS' }: DnsRecord): string {
  if (type === 'TXT') return quoteStrings(value);
  return type === 'MX' || type === 'PTR' ? `${value}.` : value;
}

/** A text as the strings of a TXT record, which are joined without anything between them. */
function quoteStrings(text: string): string {
  const octets = Buffer.from(text);
  const strings: string[] = [];
  for (let at = 0; at === 0 || at < octets.length; at += longestString) {
    const characters = [...octets.subarray(at, at + longestString)].map(zoneCharacter);
    strings.push(`"${characters.join('')}"`);
  }
  return strings.join(' ');
}

/** An octet within quotes (RFC 1035 5.1). */
function zoneCharacter(octet: number): string {
  if (octet === 0x22 || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
  const isPlain = octet >= 0x20 && octet <= 0x7e;
  return isPlain ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, '0')}`;
}

/** A record in JSON. */
export function dnsRecordObject({ name, type, value, purpose, place, held, file }: DnsRecord): object {
  return {
    name,
    type,
    value: value ?? null,
    purpose,
    domain: 'domain' in place ? place.domain : null,
    provider: 'provider' in place ? place.provider : null,
    held: held ?? null,
    file: file ?? null,
  };
}
