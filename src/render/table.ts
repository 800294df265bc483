// The tables of pins: a relay's, the text of relay_clientcerts, and that of the home that gets inbound mail.
// Nothing in them depends on the time of writing or, if the key is pinned, on the certificate, so a correct table stays
// as it is, and a renewal does not touch it.

import { timeText } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import type { Pin } from './pin.js';

/** The file's text: lines in the form of postconf(5) relay_clientcerts, with comments for people above. */
export function renderTable(settings: Settings, pins: Iterable<Pin>): string {
  const what = settings.postfix.pin === 'public-key' ? 'public keys' : 'certificates';
  return tableText(`# relaycerts ${settings.domain}: the clients that may relay, SHA-256 of their ${what}`, pins);
}

/** The text of relay_clientcerts_in: lines of the same form. */
export function renderPeers(settings: Settings, pins: Iterable<Pin>): string {
  const what = 'the relays that may hand over mail from the world, SHA-256 of their public keys';
  return tableText(`# relaycerts ${settings.domain}: ${what}`, pins);
}

function tableText(head: string, pins: Iterable<Pin>): string {
  const pieces: string[] = [];
  let lines = [head];
  for (const pin of pins) {
    const comment = commentOf(pin);
    if (comment !== '') lines.push(`# ${comment}`);
    lines.push(`${pin.fingerprint} ${pin.hostname}`);
    // In pieces, so that no more than one holds its lines: a fleet has a hundred thousand.
    if (lines.length >= 1000) {
      pieces.push(lines.join('\n'));
      lines = [];
    }
  }
  return `${[...pieces, ...lines].join('\n')}\n`;
}

function commentOf(pin: Pin): string {
  const { hostname, of, isPrevious } = pin;
  if (of === 'public-key') return isPrevious ? `${hostname}, before its new key` : '';
  const { other, notAfter } = pin;
  const before = isPrevious ? ', before its new certificate' : '';
  return `${hostname}${before}, expires ${timeText(notAfter)}, public key ${other}`;
}
