// From the JSON value of a settings file to Settings, with every default filled in. All problems are found at once,
// each with its path and its fix. The keys are in file.ts; contradictions between them in contradictions.ts. Nothing
// here reads a file or asks whether a host exists.

import { basename, dirname } from 'node:path';
import { closestMatch } from 'leven';
import { quote, RelaycertsError, type Problem } from '../errors.js';
import { findHostName, parseAbsolutePath, parseHostName, parseSshHost, parseSshUser } from '../names.js';
import { findContradictions, type Contradiction } from './contradictions.js';
import { formatPath, member, resolvePath } from './raw-value.js';
import { tunnelDefaults } from './domain-mail.js';
import { buildSchema } from './file.js';
import { readKind, type Flaw, type Path, type ValueOf } from './kinds.js';
import { passphraseFileName, programUsers, type Settings } from './settings.js';

/**
 * Where a settings value comes from, all paths absolute: `home` replaces `~`, and `cwd` is the user's folder, by
 * default the settings' own.
 */
export interface SettingsContext {
  readonly file: string;
  readonly home: string;
  /** How relaycerts was called, with --settings if needed. */
  readonly program: string;
  /** The same for any folder and without --settings. */
  readonly command: string;
  /** The user who runs this: only root needs no sudo on this machine. */
  readonly uid?: number | undefined;
  /** Returns a clients file that is not on disk yet; undefined if there is none. */
  readonly readClients?: (path: string) => Buffer | undefined;
}

type Schema = ReturnType<typeof buildSchema>;
type FileValue = ValueOf<Schema['file']>;

/** Refused above this many list items or values of any kind: 5000 clients with every key have half as many. */
const mostItems = 10_000;
const mostValues = 60_000;
/** How many problems are printed; after fixing these, the user sees the rest. */
export const mostProblems = 100;

// Replaces a missing or wrong domain, so that the rest can be checked; nothing is made with it.
const placeholderDomain = parseHostName('example.org');

/** The JSON Schema (draft 2020-12) of the settings file, for editors: what parseSettings checks of each value. */
export function settingsJsonSchema(): object {
  const { description, properties, ...schema } = buildSchema(placeholderDomain).file.jsonSchema;
  const others = typeof properties === 'object' ? properties : {};
  const clients = { anyOf: [member(properties, 'smtpClients'), clientsFileSchema] };
  const $schema = 'https://json-schema.org/draft/2020-12/schema';
  return {
    $schema,
    title: 'relaycerts settings',
    description,
    ...schema,
    properties: { ...others, smtpClients: clients },
  };
}

/** fleet.ts accepts this instead of a list. */
const clientsFileSchema = {
  type: 'object',
  description: 'The clients of a fleet, in a file of their own: CSV with a header, or JSON lines',
  properties: {
    file: {
      type: 'string',
      description: 'Its path, relative to the settings',
      minLength: 1,
      examples: ['clients.csv'],
    },
  },
  required: ['file'],
  additionalProperties: false,
};

/**
 * The settings of a file's JSON value, with every default filled in; all problems are thrown as one error. `placeOf`
 * names the value at a path.
 *
 * @throws settings
 */
export function parseSettings(value: unknown, context: SettingsContext, placeOf = formatPath): Settings {
  const name = nameFile(context.file);
  const { items, values } = countValues(value);
  if (items > mostItems || values > mostValues) {
    const what = items > mostItems ? `${String(mostItems)} items in its lists` : `${String(mostValues)} values`;
    throw new RelaycertsError('settings', `${name}: over ${what}`, { hint: 'split it into several settings files' });
  }
  const given = findHostName(member(value, 'domain'));
  const schema = buildSchema(given ?? placeholderDomain);
  const result = readKind(schema.file, value);
  const flaws = 'flaws' in result ? result.flaws.slice(0, mostProblems) : [];
  const found = [
    ...flaws.map((flaw) => describeFlaw(flaw, schema)),
    ...findContradictions(value, given, context, placeOf),
  ];
  const problems = found.map(({ path, what, hint }): Problem => {
    const place = placeOf(path);
    return { message: place === '' ? `${name}: ${what}` : `${name}: ${place}: ${what}`, hint };
  });
  const seen = new Set<string>();
  const distinct = problems.filter(({ message }) => !seen.has(message) && seen.add(message));
  const [first, second] = distinct;
  if (first === undefined && 'value' in result) return fillIn(result.value, context);
  if (first !== undefined && second === undefined) throw new RelaycertsError('settings', first.message, first);
  const count = distinct.length > mostProblems ? `over ${String(mostProblems)}` : String(distinct.length);
  throw new RelaycertsError('settings', `${name}: ${count} problems`, { problems: distinct.slice(0, mostProblems) });
}

/** The number of list items in a JSON value, and of values of any kind, at any depth (jsonc.ts limits that). */
function countValues(value: unknown): { readonly items: number; readonly values: number } {
  if (typeof value !== 'object' || value === null) return { items: 0, values: 1 };
  let [items, values] = [Array.isArray(value) ? value.length : 0, 1];
  for (const each of Object.values(value)) {
    const inside = countValues(each);
    items += inside.items;
    values += inside.values;
  }
  return { items, values };
}

/** A settings file's name in a message: as it is, or quoted if it has unusual characters. */
export function nameFile(file: string): string {
  const name = basename(file);
  return /^[\w.-]+$/.test(name) ? name : quote(name);
}

/** Suggests the key that was meant, if one is not known. */
function describeFlaw(flaw: Flaw, schema: Schema): Contradiction {
  const { path, unknownKey } = flaw;
  return unknownKey === undefined ? flaw : { path, ...describeUnknownKey(unknownKey, path, schema) };
}

function describeUnknownKey(key: string, path: Path, { file, places }: Schema) {
  const section = path.findLast((part) => typeof part === 'string');
  const place = Object.entries(places).find(([name]) => name === section)?.[1] ?? file;
  const known = Object.keys(place.shape);
  const lower = known.map((each) => each.toLowerCase());
  const word = key.slice(0, 64).toLowerCase();
  const maxDistance = Math.max(2, Math.ceil(word.length * 0.4));
  const nearest = known[lower.indexOf(closestMatch(word, lower, { maxDistance }) ?? '')];
  if (nearest !== undefined) {
    const what = `unknown key ${quote(key)}, did you mean "${nearest}"?`;
    return { what, hint: `rename it to "${nearest}", or remove it` };
  }
  const home = Object.entries(places).find(([, { shape }]) => Object.hasOwn(shape, key))?.[0];
  const hint = home === undefined ? `remove it; known here: ${known.join(', ')}` : `move it into ${quote(home)}`;
  return { what: `unknown key ${quote(key)}`, hint };
}

/** The settings of a file that passed every check. */
function fillIn(file: FileValue, context: SettingsContext): Settings {
  const { domain, ca, certificates, passphrase, postfix } = file;
  const folder = dirname(context.file);
  const [server, ...servers] = file.smtpdServers.map((host) => ({
    role: 'smtpd-server' as const,
    ...hostOf(host, context, file.inbound !== undefined),
  }));
  const [client, ...clients] = file.smtpClients.map(({ programUser, senders, ...host }) => ({
    role: 'smtp-client' as const,
    ...hostOf(host, context, file.inbound?.home === host.hostname),
    programUser: programUser ?? parseSshUser(programUsers[host.program]),
    senders: senders ?? [],
  }));
  if (server === undefined || client === undefined) throw new TypeError('a schema without minLength');
  const { country = '', state = '', locality = '', organization = '', organizationalUnit = '' } = file.subject;
  const commonName = `${domain} relay CA`;
  return {
    file: context.file,
    folder,
    program: context.program,
    command: context.command,
    domain,
    clientsFile: undefined,
    smtpdServers: [server, ...servers],
    smtpClients: [client, ...clients],
    subject: { country, state, locality, organization, organizationalUnit },
    ca: { ...ca, commonName: ca.commonName ?? (commonName.length <= 64 ? commonName : 'relay CA') },
    certificates,
    passphrase: {
      file: resolvePath(passphrase.file ?? `~/${passphraseFileName(domain)}`, folder, context.home),
      recipients: passphrase.recipients,
    },
    postfix: { ...postfix, directory: postfix.directory ?? parseAbsolutePath(`/etc/postfix/relaycerts/${domain}`) },
    ...fillInDomainMail(file, context),
  };
}

function fillInDomainMail({ domain, inbound, dkim, tunnel, dns, relayPort25 }: FileValue, context: SettingsContext) {
  const keyFile = relayPort25?.dqsKeyFile;
  const dqsKeyFile = keyFile === undefined ? keyFile : resolvePath(keyFile, dirname(context.file), context.home);
  return {
    inbound: inbound && { ...inbound, domains: inbound.domains ?? [domain] },
    tunnel: tunnel ?? { user: parseSshUser(tunnelDefaults.user), listen: tunnelDefaults.listen },
    hasIdleTunnel: tunnel !== undefined && inbound?.via !== 'tunnel',
    dkim: dkim && { ...dkim, domains: dkim.domains ?? [domain] },
    dns,
    relayPort25: relayPort25 && { ...relayPort25, dqsKeyFile },
  };
}

function hostOf<Host extends Omit<FileValue['smtpClients'][number], 'program' | 'programUser' | 'senders'>>(
  { local, sshUser, sshHost, sshPort, ...host }: Host,
  { uid }: SettingsContext,
  isInbound: boolean,
) {
  const needsSudo = local ? uid !== 0 : sshUser !== 'root';
  const way = { user: sshUser, host: sshHost ?? parseSshHost(host.hostname), port: sshPort };
  return { ...host, isInbound, ssh: { isLocal: local, needsSudo, ...way } };
}
