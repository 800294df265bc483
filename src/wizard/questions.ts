// The questions whose answer is a line of text: their words, their defaults, and the meaning of an answer. They ask
// nobody; interview.ts does.

import { completeHostName, parseHostName, parseSshUser } from '../names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { writtenHosts, type Answers, type Draft } from './answers.js';
import { formatList, parseList } from './lists.js';
import { proposeDomain, proposeHome, type Machine } from './proposals.js';

export type List = 'smtpdServers' | 'smtpClients';

export interface TextQuestion {
  readonly message: string;
  /** One line. */
  readonly why: string;
  readonly initial: (draft: Draft, answers: Answers, machine: Machine) => string;
  readonly parse: (text: string) => Partial<Answers>;
  /** Why these settings cannot be written on one line, and so are not changed; '' if no reason is needed. */
  readonly skip?: (settings: Settings) => string | undefined;
  /** The list that it sets. */
  readonly list?: List;
}

/** More hosts than this are for an editor, not for a line of text. */
export const mostHosts = 10;

/** The first three; the fourth asks which of the hosts this machine is. */
export const firstQuestions: readonly TextQuestion[] = [
  {
    message: 'Mail domain:',
    why: 'The part after the @. Short host names are completed with it.',
    initial: ({ settings }, _, machine) => settings?.domain ?? proposeDomain(machine) ?? '',
    parse: (text) => ({ domain: parseHostName(text.trim()) }),
  },
  {
    message: 'Relay:',
    why: 'The server with a fixed address that sends your mail on. Separate several with commas; they are tried in order.',
    initial: (draft) => formatList(writtenHosts(draft.text, 'smtpdServers')) || 'relayhost',
    parse: (text) => ({ relays: parseList(text) }),
    skip: ({ smtpdServers }) => whyMany(smtpdServers),
    list: 'smtpdServers',
  },
  {
    message: 'Mail server at home:',
    why: 'The host that sends its mail through the relay. Separate several with commas.',
    initial: ({ text }, { domain, relays = [] }, machine) => {
      const taken = relays.map((relay) => completeHostName(relay, domain));
      return formatList(writtenHosts(text, 'smtpClients')) || proposeHome(machine, domain, taken, 'mailhost');
    },
    parse: (text) => ({ clients: parseList(text) }),
    skip: ({ smtpClients, clientsFile }) => whyMany(smtpClients, clientsFile),
    list: 'smtpClients',
  },
];

const sshUser =
  'The commands that copy and install log in as this user. Any user but root needs sudo there without a password.';

/** The questions of "more". */
export const moreQuestions: readonly TextQuestion[] = [
  {
    message: 'Port on the relay:',
    why: 'Default 2500. Not 25: relaycerts does not change that port, and it is often blocked at home.',
    initial: ({ settings }) => String(settings?.smtpdServers[0].port ?? 2500),
    parse: (text) => ({ relayPort: parseNumber(text) }),
    skip: ({ smtpdServers }) => whyMany(smtpdServers) ?? whyUnlike(smtpdServers.map(({ port }) => port)),
  },
  {
    message: 'ssh user on the relay:',
    why: `Default root. ${sshUser}`,
    initial: ({ settings }) => userOf(settings?.smtpdServers),
    parse: (text) => ({ relayUser: parseSshUser(text.trim()) }),
    skip: ({ smtpdServers }) => whyMany(smtpdServers) ?? whyNoUser(smtpdServers),
  },
  {
    message: 'ssh user at home:',
    why: `Default root. ${sshUser}`,
    initial: ({ settings }) => userOf(settings?.smtpClients),
    parse: (text) => ({ clientUser: parseSshUser(text.trim()) }),
    skip: ({ smtpClients, clientsFile }) => whyMany(smtpClients, clientsFile) ?? whyNoUser(smtpClients),
  },
  {
    message: 'Days a certificate is valid:',
    why: 'Default 398, a year and a month. A renewal keeps the key and its pin, so it costs little.',
    initial: ({ settings }) => String(settings?.certificates.validDays ?? 398),
    parse: (text) => ({ validDays: parseNumber(text) }),
  },
];

/** A number, or the text itself, which the settings' own parser then refuses. */
function parseNumber(text: string): number | string {
  return /^\s*\d{1,15}\s*$/u.test(text) ? Number(text) : text;
}

function whyMany(hosts: readonly unknown[], file?: string): string | undefined {
  if (file !== undefined) return 'the clients are in a file of their own';
  return hosts.length > mostHosts ? 'there are many hosts' : undefined;
}

function whyUnlike(values: readonly unknown[]): string | undefined {
  return new Set(values).size > 1 ? 'the hosts differ' : undefined;
}

/** The user who logs in on hosts other than this machine. */
function whyNoUser(hosts: readonly HostSettings[]): string | undefined {
  const users = hosts.flatMap(({ ssh }) => (ssh.isLocal ? [] : [ssh.user]));
  return users.length === 0 ? '' : whyUnlike(users);
}

function userOf(hosts: readonly HostSettings[] = []): string {
  return hosts.find(({ ssh }) => !ssh.isLocal)?.ssh.user ?? 'root';
}
