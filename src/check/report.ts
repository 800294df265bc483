// The result of a check: for each host and subject, either one line that it is right, or findings. The findings' words
// are in src/findings, and text.ts prints it all.

import type { Finding } from '../findings/finding.js';

/** One subject of one host. */
export interface Report {
  /** An FQDN; '' for the files here. */
  readonly host: string;
  /** The line if nothing was found. */
  readonly fine: string;
  readonly findings: readonly Finding[];
}

/** What was found about a host, if anything was. */
export function reportOf(host: string, ...findings: readonly Finding[]): Report {
  return { host, fine: '', findings };
}
