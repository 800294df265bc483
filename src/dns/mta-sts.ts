// MTA-STS (RFC 8461): a file on a web server says that the relays always offer TLS with a public certificate, and a
// record says that there is such a file. relaycerts has no web server, so it only prints both.

import { hash } from 'node:crypto';
import type { HostName } from '../names.js';
import type { MtaStsMode } from './mta-sts-mode.js';

/** Seconds for which senders keep the policy: in testing short, so that it can be dropped soon. */
const maxAges: Readonly<Record<MtaStsMode, number>> = { testing: 86_400, enforce: 604_800 };

/** A file that a web server has to show. */
export interface WebFile {
  readonly url: string;
  /** With CRLF, as RFC 8461 3.2 asks. */
  readonly text: string;
}

/** The policy of a domain whose MX records are these relays. */
export function mtaStsFile(domain: HostName, relays: readonly HostName[], mode: MtaStsMode): WebFile {
  const lines = [
    'version: STSv1',
    `mode: ${mode}`,
    ...relays.map((relay) => `mx: ${relay}`),
    `max_age: ${maxAges[mode]}`,
  ];
  return {
    url: `https://mta-sts.${domain}/.well-known/mta-sts.txt`,
    text: lines.map((line) => `${line}\r\n`).join(''),
  };
}

/** The value of the record: senders fetch the file again if the id changes, so that follows from the file. */
export function mtaStsValue({ text }: WebFile): string {
  return `v=STSv1; id=${hash('sha256', text).slice(0, 16)}`;
}
