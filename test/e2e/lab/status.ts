// `relaycerts status --json` of a project with one relay and one home, and the commands in its rows.

import { certificatesOf } from '../../support/answer.js';
import type { MailHost } from './mail-host.js';
import type { Desk } from './operator.js';

export interface Row {
  readonly host: string;
  readonly state: string;
  readonly daysLeft: number;
  readonly expires: string;
  readonly serial: string;
  readonly pin: string;
  readonly why: string | null;
}

export interface Status {
  readonly code: number;
  readonly ca: Row;
  readonly relay: Row;
  readonly home: Row;
}

/** What status reports now. */
export async function readStatus(
  desk: Desk,
  { relay, home }: { readonly relay: MailHost; readonly home: MailHost },
): Promise<Status> {
  const { code, stdout } = await desk.run('relaycerts status --json', true);
  const rows = certificatesOf<Row>({ stdout });
  const rowOf = (name: string): Row => {
    const found = rows.find(({ host }) => host === name);
    if (found === undefined) throw new Error(`no row of ${name}:\n${stdout}`);
    return found;
  };
  return { code, ca: rowOf('example.org relay CA'), relay: rowOf(relay.hostname), home: rowOf(home.hostname) };
}

/** The commands in a row of status, in order. */
export function commandsOf({ why }: Row): readonly string[] {
  return why?.match(/relaycerts [^,;]+/gu) ?? [];
}
