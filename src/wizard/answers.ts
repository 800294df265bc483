// From answers to the JSON value of a settings file: what the wizard asks is set, what it does not ask stays as it is,
// in its order. A value that the settings have already, if only by default, is not written into a file that is there.
// Nothing here asks, reads or writes; questions.ts says what the answers are.

import { completeHostName, type HostName } from '../names.js';
import type { HostSettings, KeyType, Settings } from '../settings/settings.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What settings call the JSON Schema beside them. */
export const schemaName = './settings.schema.json';

/** The settings file that is there: its JSON value, which parsed without a problem, and what it means. */
export interface Start {
  readonly value: JsonObject;
  readonly settings: Settings;
}

/** `operator-key`: relaycerts makes it. `gnupg`: secret keys of GnuPG. `typed`: whatever passphrase.recipients takes. */
export const recipientSources = ['operator-key', 'gnupg', 'typed'] as const;

/** What was answered, by the questions' ids. Names of hosts are as the settings write them: labels or whole names. */
export interface Answers {
  readonly domain: HostName;
  readonly relays: readonly string[];
  readonly relayPort: number;
  readonly relayUser: string;
  readonly clients: readonly string[];
  readonly clientUser: string;
  readonly keyType: KeyType;
  readonly validDays: number;
  readonly recipientsFrom: (typeof recipientSources)[number];
  readonly gnupgKeys: readonly string[];
  readonly recipients: readonly string[];
}

export type QuestionId = keyof Answers;

/** The settings' JSON value with these answers in it; an answer that is missing leaves what is there. */
export function applyAnswers(start: Start | undefined, answers: Partial<Answers>): JsonObject {
  const old = start?.value ?? {};
  const value: Record<string, unknown> = Object.hasOwn(old, '$schema') ? { ...old } : { $schema: schemaName, ...old };
  if (answers.domain !== undefined && answers.domain !== start?.settings.domain) value['domain'] = answers.domain;
  const { relayPort: port, relayUser, clientUser } = answers;
  const known = answers.domain ?? start?.settings.domain;
  if (answers.relays !== undefined && known !== undefined) {
    const hosts = knownHosts(old['smtpdServers'], start?.settings.smtpdServers, known);
    value['smtpdServers'] = answers.relays.map((name) => hostWith(name, hosts, known, { port, sshUser: relayUser }));
  }
  if (answers.clients !== undefined && known !== undefined) {
    const hosts = knownHosts(old['smtpClients'], start?.settings.smtpClients, known);
    value['smtpClients'] = answers.clients.map((name) => hostWith(name, hosts, known, { sshUser: clientUser }));
  }
  const { validDays, keyType } = answers;
  setSection(value, 'certificates', { validDays, keyType }, start?.settings.certificates);
  setSection(value, 'passphrase', { recipients: recipientsOf(answers) }, start?.settings.passphrase);
  return value;
}

/** The text of a settings file: two spaces a level, a line feed at the end. */
export function formatSettings(value: JsonObject): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function recipientsOf({ recipientsFrom, gnupgKeys, recipients }: Partial<Answers>): readonly string[] | undefined {
  if (recipientsFrom === undefined) return undefined;
  return { 'operator-key': [], gnupg: gnupgKeys, typed: recipients }[recipientsFrom];
}

/** An object of JSON; empty where it is something else. */
export function asObject(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** A list of objects of JSON. */
export function asObjects(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.map((item) => asObject(item)) : [];
}

type Wanted = Readonly<Record<string, unknown>>;

interface KnownHost {
  readonly written: JsonObject;
  /** Its name under the domain that is answered now. */
  readonly name: HostName;
  /** What it has, defaults included. */
  readonly has: Wanted;
}

function knownHosts(written: unknown, hosts: readonly HostSettings[] = [], domain: HostName): readonly KnownHost[] {
  return asObjects(written).map((host, index) => {
    const settings = hosts[index];
    const port = settings?.role === 'smtpd-server' ? settings.port : undefined;
    const name = completeHostName(String(host['hostname']), domain);
    return { written: host, name, has: { port, sshUser: settings?.ssh.user } };
  });
}

/** The host as it is written already, with what differs set; a new one says all that was answered. */
function hostWith(hostname: string, hosts: readonly KnownHost[], domain: HostName, wanted: Wanted): JsonObject {
  const name = completeHostName(hostname, domain);
  const known = hosts.find((host) => host.name === name);
  if (known === undefined) return { hostname, ...defined(wanted) };
  return { ...known.written, ...differing(wanted, known.has) };
}

function setSection(value: Record<string, unknown>, key: string, wanted: Wanted, has: object | undefined): void {
  const set = differing(wanted, { ...has });
  if (Object.keys(set).length > 0) value[key] = { ...asObject(value[key]), ...set };
}

function differing(wanted: Wanted, has: Wanted): Wanted {
  const entries = Object.entries(defined(wanted));
  return Object.fromEntries(entries.filter(([key, each]) => JSON.stringify(each) !== JSON.stringify(has[key])));
}

function defined(wanted: Wanted): Wanted {
  return Object.fromEntries(Object.entries(wanted).filter(([, each]) => each !== undefined));
}
