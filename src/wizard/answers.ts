// From answers to the text of a settings file. It sets only what the wizard asks; everything else stays as written, and
// so does a value that the settings already have, even if only by default. Nothing here asks, reads or writes.

import { completeHostName, type HostName, type SshUser } from '../names.js';
import { member } from '../settings/raw-value.js';
import { arrangeList, setValue } from '../settings/edit.js';
import { membersOf } from '../settings/jsonc.js';
import type { HostSettings, KeyType, MailProgram, Settings } from '../settings/settings.js';

/** The name of the JSON Schema in the settings' folder. */
export const schemaName = './settings.schema.json';

/** The text of a settings file, and its meaning; undefined for a file that does not exist yet. */
export interface Draft {
  readonly text: string;
  readonly settings: Settings | undefined;
}

export interface KnownDraft extends Draft {
  readonly settings: Settings;
}

/** The start of a new settings file. */
export const emptyDraft: Draft = { text: `{\n  "$schema": "${schemaName}"\n}\n`, settings: undefined };

/** Hosts are named as typed: labels or whole names. Invalid numbers are still text. */
export interface Answers {
  readonly domain: HostName;
  readonly relays?: readonly string[] | undefined;
  readonly relayPort?: number | string | undefined;
  readonly relayUser?: SshUser | undefined;
  readonly clients?: readonly string[] | undefined;
  readonly clientUser?: SshUser | undefined;
  /** The host that this machine is; null if it is neither. */
  readonly local?: HostName | null | undefined;
  readonly program?: MailProgram | undefined;
  readonly keyType?: KeyType | undefined;
  readonly validDays?: number | string | undefined;
  readonly recipients?: readonly string[] | undefined;
}

/** The draft's text with these answers in it; a missing answer leaves the text unchanged. */
export function applyAnswers({ text, settings }: Draft, answers: Answers): string {
  const { domain, relays, relayPort: port, relayUser, clients, clientUser, local, program } = answers;
  const { keyType, validDays, recipients } = answers;
  let edited = setWanted(text, [], { domain }, { domain: settings?.domain });
  const shared = { settings, domain, local };
  edited = setHosts(edited, 'smtpdServers', relays, { port, sshUser: relayUser }, shared);
  edited = setHosts(edited, 'smtpClients', clients, { sshUser: clientUser, program }, shared);
  edited = setWanted(edited, ['certificates'], { validDays, keyType }, settings?.certificates);
  return setWanted(edited, ['passphrase'], { recipients }, settings?.passphrase);
}

/** The names in a list of hosts, as written. */
export function writtenHosts(text: string, key: 'smtpdServers' | 'smtpClients'): readonly string[] {
  const hosts = membersOf(text)[key];
  return Array.isArray(hosts) ? hosts.map((host) => String(member(host, 'hostname'))) : [];
}

type Wanted = Readonly<Record<string, unknown>>;

function setWanted(text: string, path: readonly (string | number)[], wanted: Wanted, has: object = {}): string {
  const current = new Map<string, unknown>(Object.entries(has));
  return Object.entries(wanted).reduce((edited, [key, value]) => {
    if (value === undefined || JSON.stringify(value) === JSON.stringify(current.get(key))) return edited;
    return setValue(edited, [...path, key], value);
  }, text);
}

/** Hosts that stay keep their text, with the changed values set; a new one gets all answers. */
function setHosts(
  text: string,
  key: 'smtpdServers' | 'smtpClients',
  names: readonly string[] = writtenHosts(text, key),
  wanted: Wanted,
  { settings, domain, local }: Pick<Answers, 'domain' | 'local'> & Pick<Draft, 'settings'>,
): string {
  if (names.length === 0) return text;
  const hosts: readonly HostSettings[] = settings?.[key] ?? [];
  const known = writtenHosts(text, key).map((name) => completeHostName(name, domain));
  const order = names.map((hostname) => {
    const index = known.indexOf(completeHostName(hostname, domain));
    return index === -1 ? { hostname, ...wanted, ...(isLocal(hostname) ? { local: true } : {}) } : index;
  });
  const edited = order.reduce<string>(
    (result, each) => {
      const host = typeof each === 'number' ? hosts[each] : undefined;
      if (typeof each !== 'number' || host === undefined) return result;
      // How ssh reaches this machine does not matter.
      const { sshUser, ...others } = wanted;
      const isHere = local === undefined ? host.ssh.isLocal : isLocal(known[each] ?? '');
      const all = { ...others, ...(isHere ? {} : { sshUser }), local: isHere };
      return setWanted(result, [key, each], all, { ...host, sshUser: host.ssh.user, local: host.ssh.isLocal });
    },
    known.length === 0 ? setValue(text, [key], []) : text,
  );
  const isAsBefore = order.length === known.length && order.every((each, index) => each === index);
  return isAsBefore ? edited : arrangeList(edited, [key], order);

  function isLocal(name: string): boolean {
    return typeof local === 'string' && completeHostName(name, domain) === local;
  }
}
