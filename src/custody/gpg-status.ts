// gpg's output: status lines (GnuPG's doc/DETAILS) as data, and its messages to people, cleaned for an error text.
// Nothing is decided here; gpg-failures.ts interprets failures.

import type { RunResult } from '../sys/run.js';

/** One status line: `[GNUPG:] WORD field field`. */
export interface StatusLine {
  readonly word: string;
  readonly fields: readonly string[];
}

/** The output of a run of gpg. */
export interface GpgResult {
  readonly exitStatus: RunResult['status'];
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly status: readonly StatusLine[];
}

/** The status lines that gpg wrote to --status-fd. */
export function parseStatus(text: string): readonly StatusLine[] {
  return text.split('\n').flatMap((line) => {
    const [prefix, word, ...fields] = line.trimEnd().split(' ');
    return prefix === '[GNUPG:]' && word !== undefined ? [{ word, fields }] : [];
  });
}

/** libgpg-error's code in a status field (`67108881`, `9 GPG_ERR_NO_PUBKEY`): the low 16 bits, without the source. */
export function errorNumber(field: string | undefined): number {
  return Number.parseInt(field ?? '', 10) & 0xffff;
}

/**
 * gpg's messages, without its name and without anything a terminal would act on. Lines with user IDs, which gpg puts in
 * double quotes on lines of their own, are left out.
 */
export function messagesOf(stderr: string): readonly string[] {
  return stderr
    .slice(-65_536)
    .split('\n')
    .map((line) =>
      line
        .replace(/^gpg: /u, '')
        .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
        .trim(),
    )
    .filter((line) => line !== '' && !line.startsWith('"'));
}

/** The last of gpg's messages that matches, cut at 120 characters; gpg prints no secrets there. */
export function lastMessage(stderr: string, matching = /./u): string {
  const last = messagesOf(stderr).findLast((each) => matching.test(each));
  return last?.slice(0, 120) ?? 'it did not say why';
}
