// What a check says: of each host and subject either one line that it is right, or findings. The words of findings are in
// src/findings, and how all of it is printed in text.ts.

import type { Finding } from '../findings/finding.js';

/** One subject of one host. */
export interface Report {
  /** An FQDN; '' if it is about the files here. */
  readonly host: string;
  /** What is said if nothing was found. */
  readonly fine: string;
  readonly findings: readonly Finding[];
}
