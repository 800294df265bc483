// Block lists of the relays' port 25 that are asked with a key of Spamhaus' Data Query Service (DQS). The key is part of
// the list's name, so that name is only in two files of a relay's bundle which root alone reads, and never in main.cf,
// in an argument or in what is printed. Pure.

import type { HostSettings, RelayPort25, Settings } from '../settings/settings.js';

/** The files with the key: what Postfix asks, and what it answers in place of a name that contains the key. */
export const port25Names = { lists: 'dnsbl', replies: 'dnsbl_replies' } as const;

/** A block list: its name, and the answers that mean "listed". */
export interface BlockList {
  readonly name: string;
  readonly answers: string;
}

/**
 * The block lists. Without answers of their own, they get some that leave out 127.255.255.x: with these Spamhaus says
 * that it does not answer at all, and every mail would be refused.
 */
function blockLists({ dnsbl }: Pick<RelayPort25, 'dnsbl'>): readonly BlockList[] {
  return dnsbl.map((entry) => {
    const [name = '', answers] = entry.split('=');
    return { name, answers: answers ?? (isSpamhaus(name) ? '127.0.0.[2..11]' : '127.0.0.[2..254]') };
  });
}

const isSpamhaus = (name: string): boolean => /^[a-z-]+\.spamhaus\.org$/u.test(name);

/** The lists that are asked with the key; none without it. */
export function keyedLists(port25: RelayPort25 | undefined): readonly BlockList[] {
  if (port25?.dqsKeyFile === undefined) return [];
  return blockLists(port25).filter(({ name }) => isSpamhaus(name));
}

/** The lists that anybody may ask. */
export function openLists(port25: RelayPort25): readonly BlockList[] {
  const keyed = new Set(keyedLists(port25).map(({ name }) => name));
  return blockLists(port25).filter(({ name }) => !keyed.has(name));
}

/** The names of the files with the key in a host's bundle; none if it asks no list with it. */
export function port25Files(
  { relayPort25 }: Partial<Pick<Settings, 'relayPort25'>>,
  host: HostSettings,
): readonly string[] {
  if (host.role !== 'smtpd-server' || keyedLists(relayPort25).length === 0) return [];
  return Object.values(port25Names);
}
