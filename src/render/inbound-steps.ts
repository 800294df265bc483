// The numbered steps for inbound mail on its way home, and their inverse: what the scripts do with a relay's
// lists in main.cf, as commands for a person. Home has only services, which steps.ts sets with the others.

import type { Settings, SmtpdServer } from '../settings/settings.js';
import { inboundOf } from './inbound-service.js';
import { listsOf, settingLines, takingOutLines } from './list-items.js';
import { inFile, onHost, step, type Step } from './step.js';

/** The step of a relay; none if the settings do not ask. */
export function inboundSteps(settings: Settings, server: SmtpdServer): readonly Step[] {
  const { inbound } = settings;
  if (inbound === undefined || !server.isInbound) return [];
  const { main, tokens, files } = inboundOf(settings, inbound, server);
  const domains = inbound.domains.join(', ');
  return [
    step('inbound', `Send inbound mail for ${domains} to ${inbound.home}`, [
      `Do this last, when ${inbound.home} is set up. Port 25 accepts these domains, and refuses unknown recipients at SMTP time. Mail that home cannot accept yet waits in the queue for maximal_queue_lifetime (five days, for all mail of this host). ${listWords(settings, inbound.recipients)}None of these may list one of the domains:\n    postconf -x mydestination virtual_alias_domains virtual_mailbox_domains`,
      ...files.map(({ name, lines }) => inFile(`/etc/postfix/${name}`, lines)),
      onHost(settingLines(main, tokens)),
    ]),
  ];
}

function listWords(settings: Settings, recipients: 'verify' | readonly string[]): string {
  if (recipients === 'verify') {
    return `If relay_recipient_maps is not empty, one of its tables needs "@${settings.domain} x". `;
  }
  return 'Addresses such as ann+list@ are accepted only if recipient_delimiter has the "+" on this host too. With relay_recipient_maps, the recipients of all relay_domains must be listed. ';
}

/** What takes it out again, in a relay's undo. */
export function undoInboundLines(settings: Settings, server: SmtpdServer): readonly string[] {
  const { inbound } = settings;
  if (inbound === undefined || !server.isInbound) return [];
  const { main, tokens, files } = inboundOf(settings, inbound, server);
  // As the default has it: the list was not in main.cf.
  const names = [...listsOf(tokens).keys()].join(' ');
  const usual = `$(for name in ${names}; do test "$(postconf -h $name)" != "$(postconf -dh $name)" || echo $name; done)`;
  return [
    ...takingOutLines(tokens),
    `postconf -X ${[...main.map(({ name }) => name), usual].join(' ')}`,
    `rm -f ${files.map(({ name }) => `/etc/postfix/${name}`).join(' ')}`,
  ];
}
