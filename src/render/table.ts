// The relay's table of pins, the text of relay_clientcerts. Nothing in it depends on when it is written, so a table
// that is right stays as it is.

import type { Settings } from '../settings/settings.js';
import type { Pin } from './pin.js';

/** The file's text: a comment for people above each line, and the line as postconf(5) relay_clientcerts takes it. */
export function renderTable(settings: Settings, pins: readonly Pin[]): string {
  const what = settings.postfix.pin === 'public-key' ? 'public keys' : 'certificates';
  const lines = pins.flatMap(({ hostname, of, fingerprint, other, notAfter, isPrevious }) => [
    `# ${hostname}${isPrevious ? ', before its new key' : ''}, expires ${notAfter.toISOString().slice(0, 19)}Z, ${of === 'certificate' ? 'public key' : 'certificate'} ${other}`,
    `${fingerprint} ${hostname}`,
  ]);
  const head = `# relaycerts ${settings.domain}: the clients that may relay, SHA-256 of their ${what}`;
  return `${[head, ...lines].join('\n')}\n`;
}
