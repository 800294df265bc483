// Compares the files of a host with its bundle: present, equal, with the right owner and mode, and a chain that Postfix
// can use. Pure.

import { hash } from 'node:crypto';
import { findingOf, type Finding } from '../findings/finding.js';
import { bundleNames, type BundlePart } from '../plan/bundle-names.js';
import { dkimFiles } from '../plan/dkim.js';
import { port25Names } from '../plan/port25.js';
import { homeProgramOf } from '../render/home-programs.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { linesOf, sectionOf, valuesOf, type HostFacts, type Section } from './host-facts.js';

/** The files of a host as they should be, by name; without key and chain if the host made its key itself. */
export type WantedFiles = ReadonlyMap<string, Buffer>;

/** True if the host has none of the bundle's files. */
export function hasNoFiles({ sections }: HostFacts): boolean {
  return sections.every(
    ({ name, lines, words: [, , mode] }) => name !== 'file' || mode === '700' || lines.length === 0,
  );
}

/** What is wrong with the files. */
export function judgeFiles(
  settings: Settings,
  host: HostSettings,
  wanted: WantedFiles,
  facts: HostFacts,
): readonly Finding[] {
  const { hostname } = host;
  const signing = new Set(dkimFiles(settings, host));
  const isReadByRoot = homeProgramOf(settings, host) === undefined;
  const names = bundleNames(settings.domain, hostname);
  const open = linesOf(facts, 'folder').map((file) => findingOf('folder-open', hostname, { file }));
  const files = facts.sections.flatMap((section) =>
    section.name === 'file' ? judgeFile(section, { hostname, isReadByRoot, signing }, names, wanted, facts) : [],
  );
  // Nothing is said of files in a folder that is missing.
  const folder = sectionOf(facts, 'folder')?.words[0] ?? settings.postfix.directory;
  const seen = new Set(facts.sections.flatMap(({ name, words: [file = ''] }) => (name === 'file' ? [file] : [])));
  const unseen = [...wanted.keys()].map((name) => `${folder}/${name}`).filter((file) => !seen.has(file));
  const missing = unseen.map((file) => findingOf('file-missing', hostname, { file }));
  return [...open, ...files, ...missing, ...judgeTableFile(host, facts)];
}

const differs = {
  ca: 'ca-differs',
  certificate: 'certificate-differs',
  key: 'key-differs',
} as const;

/** Root can read a file that is closed further than necessary, another program's user may not. */
function isWrongMode(found: string, wanted: string, isReadByRoot: boolean): boolean {
  return isReadByRoot ? (Number.parseInt(found, 8) & ~Number.parseInt(wanted, 8)) !== 0 : found !== wanted;
}

/** What a host's files are judged by; `signing`: the names of those that it signs with. */
interface Judged {
  readonly hostname: string;
  readonly isReadByRoot: boolean;
  readonly signing: ReadonlySet<string>;
}

function judgeFile(
  { words: [file = '', owner = '', mode = ''], lines }: Section,
  { hostname, isReadByRoot, signing }: Judged,
  names: Readonly<Record<BundlePart, string>>,
  wanted: WantedFiles,
  facts: HostFacts,
): readonly Finding[] {
  const found = valuesOf(lines, ' ');
  const letters = found.get('mode');
  const name = file.slice(file.lastIndexOf('/') + 1);
  const isSigning = signing.has(name);
  const isSecretList = Object.values<string>(port25Names).includes(name);
  if (letters === undefined || letters.startsWith('l')) {
    return [findingOf(isSigning ? 'dkim-differs' : 'file-missing', hostname, { file })];
  }
  const findings: Finding[] = [];
  const [names_, numbers] = [found.get('names') ?? '', found.get('owner') ?? ''];
  if (!isOwner(owner, names_, numbers)) {
    findings.push(findingOf('owner-differs', hostname, { file, found: names_, wanted: owner }));
  }
  const octal = octalOf(letters);
  if (isWrongMode(octal, mode, isReadByRoot)) {
    findings.push(findingOf('mode-differs', hostname, { file, found: octal, wanted: mode }));
  }
  const bytes = wanted.get(name);
  const isSame = bytes === undefined || found.get('sha256') === hash('sha256', bytes);
  if (isSigning) findings.push(...(isSame ? [] : [findingOf('dkim-differs', hostname, { file })]));
  else if (name === names.chain) findings.push(...judgeChain(file, hostname, facts, bytes !== undefined, isSame));
  else if (isSecretList) findings.push(...(isSame ? [] : [findingOf('dnsbl-differs', hostname, { file })]));
  else if (!isSame) {
    const part = (['ca', 'certificate', 'key'] as const).find((one) => names[one] === name);
    findings.push(
      part === undefined
        ? findingOf('table-differs', hostname, { file, found: pinDifference(bytes, linesOf(facts, 'table')) })
        : findingOf(differs[part], hostname, { file }),
    );
  }
  return findings;
}

/** A chain may differ in ways for which Postfix has its own errors; those come first. */
function judgeChain(
  file: string,
  hostname: string,
  facts: HostFacts,
  isKnown: boolean,
  isSame: boolean,
): readonly Finding[] {
  if (isKnown && isSame) return [];
  const chain = valuesOf(linesOf(facts, 'chain'), ' ');
  const values = { file };
  const first = chain.get('first')?.trim() ?? '';
  if (first.endsWith('CERTIFICATE')) return [findingOf('key-not-first', hostname, values)];
  if (chain.has('encrypted')) return [findingOf('encrypted-key', hostname, values)];
  // Without openssl there, nobody could look.
  if (chain.has('unread')) return isSame ? [] : [findingOf('chain-differs', hostname, values)];
  if (first === '') return [findingOf('chain-differs', hostname, values)];
  if (!chain.has('pair')) return [findingOf('key-mismatch', hostname, values)];
  if (isSame) return [];
  return [findingOf(chain.has('expired') ? 'expired' : 'chain-differs', hostname, values)];
}

/** Hosts that a table lists but should not, or the other way round. */
function pinDifference(wanted: Buffer, found: readonly string[]): string {
  const should = wanted
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const [missing, added] = [
    should.filter((line) => !found.includes(line)).map(hostIn),
    found.filter((line) => !should.includes(line)).map(hostIn),
  ];
  const words = [
    ...(missing.length > 0 ? [`it lacks ${some(missing)}`] : []),
    ...(added.length > 0 ? [`it has ${some(added)} besides`] : []),
  ];
  return words.length === 0 ? 'its comments or its order differ' : words.join(', and ');
}

const hostIn = (line: string): string => line.split(' ').at(-1) ?? '';
const some = (all: readonly string[]): string =>
  all.length > 3 ? `${all.slice(0, 3).join(', ')} and ${all.length - 3} more` : all.join(', ');

/** postmap makes a table of any type but texthash from the file. */
function judgeTableFile({ hostname }: HostSettings, facts: HostFacts): readonly Finding[] {
  if (linesOf(facts, 'table-file').length === 0) return [];
  const file = sectionOf(facts, 'table')?.words[0] ?? '';
  return [findingOf('map-file', hostname, { file })];
}

/** In chown's form: numbers, or names. */
function isOwner(wanted: string, names: string, numbers: string): boolean {
  const [user = '', group = ''] = wanted.split(':');
  const [userName = '', groupName = ''] = names.split(':');
  const [uid = '', gid = ''] = numbers.split(':');
  return [userName, uid].includes(user) && [groupName, gid].includes(group);
}

/** `-rw-r-----` as 640. */
function octalOf(letters: string): string {
  const digits = [1, 4, 7].map((at) => {
    const [read, write, run] = [letters[at], letters[at + 1], letters[at + 2]];
    return (read === 'r' ? 4 : 0) + (write === 'w' ? 2 : 0) + (run === 'x' || run === 's' || run === 't' ? 1 : 0);
  });
  return digits.join('');
}
