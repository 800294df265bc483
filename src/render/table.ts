// The tables of pins: a relay's, the text of relay_clientcerts, and that of the home that gets inbound mail.
// Nothing in them depends on the time of writing or, if the key is pinned, on the certificate, so a correct table stays
// as it is, and a renewal does not touch it.

import { timeText } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import type { Pin } from './pin.js';

/** The file's text: lines in the form of postconf(5) relay_clientcerts, with comments for people above. */
export function renderTable(settings: Settings, pins: readonly Pin[]): string {
  const what = settings.postfix.pin === 'public-key' ? 'public keys' : 'certificates';
  return tableText(`# relaycerts ${settings.domain}: the clients that may relay, SHA-256 of their ${what}`, pins);
}

/** The text of relay_clientcerts_in: lines of the same form. */
export function renderPeers(settings: Settings, pins: readonly Pin[]): string {
  const what = 'the relays that may hand over mail from the world, SHA-256 of their public keys';
  return tableText(`# relaycerts ${settings.domain}: ${what}`, pins);
}

function tableText(head: string, pins: readonly Pin[]): string {
  const lines = pins.flatMap((pin) => {
    const comment = commentOf(pin);
    return [...(comment === '' ? [] : [`# ${comment}`]), `${pin.fingerprint} ${pin.hostname}`];
  });
  return `${[head, ...lines].join('\n')}\n`;
}

function commentOf(pin: Pin): string {
  const { hostname, of, isPrevious } = pin;
  if (of === 'public-key') return isPrevious ? `${hostname}, before its new key` : '';
  const { other, notAfter } = pin;
  const before = isPrevious ? ', before its new certificate' : '';
  return `${hostname}${before}, expires ${timeText(notAfter)}, public key ${other}`;
}
