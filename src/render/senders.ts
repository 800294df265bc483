// What clients with `senders` may use in MAIL FROM: parameters of the relay's service, none if no client has any. Each
// distinct set of senders is a restriction class; a client's pin leads to its host name in relay_clientcerts, as usual,
// and from there to its class. So a client's pins before and after a new key have the same limits, and no second table
// can be out of date. The `From:` header is not checked, nor which of a client's users sends.

import type { Settings, SmtpClient } from '../settings/settings.js';
import type { Parameter } from './postfix.js';

/** The lookup key of the null sender. Bounces pass. */
const nullSender = '<>';
/** The answer names the sender; `defer` is for what has no address to look up. */
const otherwise = 'check_sender_access,static:DEFER,defer';

/**
 * The parameters that limit these clients; a sender that no class accepts is deferred.
 *
 * @source access(5), RESTRICTION_CLASS_README, DATABASE_README (pipemap, inline)
 */
export function senderLimits({ smtpClients }: Settings, table: string): readonly Parameter[] {
  const classes = new Map<string, string>();
  const clients = smtpClients.flatMap(({ hostname, senders }) => {
    if (senders.length === 0) return [];
    const accepted = keysOf(senders);
    const name = classes.get(accepted) ?? `relaycerts_senders_${classes.size + 1}`;
    classes.set(accepted, name);
    return [`${hostname}=${name}`];
  });
  if (clients.length === 0) return [];
  return [
    { name: 'smtpd_restriction_classes', value: [...classes.values()].join(',') },
    ...[...classes].map(([accepted, name]) => ({
      name,
      value: `check_sender_access,inline:{${accepted}},${otherwise}`,
    })),
    { name: 'smtpd_sender_restrictions', value: `check_ccert_access,pipemap:{${table},inline:{${clients.join(',')}}}` },
    { name: 'smtpd_null_access_lookup_key', value: nullSender },
    // With `unlisted: "reject"` there is no soft_bounce, which would make any code temporary.
    ...['access_map_defer_code', 'defer_code'].map((name) => ({ name, value: '450' })),
  ];
}

/**
 * A domain with a dot before it: the hosts below it, if smtpd_access_maps in main.cf does not match them by the domain.
 */
function keysOf(senders: readonly string[]): string {
  const keys = senders.flatMap((sender) => (sender.includes('@') ? [sender] : [sender, `.${sender}`]));
  return [nullSender, ...[...new Set(keys)].toSorted()].map((key) => `${key}=OK`).join(',');
}

/** An address that a client may send as. */
export function senderOf({ domain }: Settings, { senders }: Pick<SmtpClient, 'senders'>): string {
  const first: string = senders[0] ?? domain;
  return first.includes('@') ? first : `postmaster@${first}`;
}
