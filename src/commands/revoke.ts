// `relaycerts revoke`: takes a host out for good. Postfix has no revocation list: what stops a client is that its pin
// leaves the table of every relay, and until a relay has the new table, the client relays. The ledger comes first, so
// that whatever is cut off, no later make lists the pin again. It is urgent: what contradicts elsewhere does not stop it.
// Of a host that is revoked already it changes nothing and says again what to run: the first time may have been cut off.

import { RelaycertsError, listSome } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import { parseSerial } from '../names.js';
import { tableName } from '../plan/bundle-names.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { rootShell } from '../render/commands.js';
import { readSettings } from '../settings/load.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import { readHistory } from '../store/history.js';
import { layoutOf, type Layout } from '../store/layout.js';
import { appendLedger, entryOf, readLedger, type LedgerEntry } from '../store/ledger.js';
import { assertRoom } from '../store/room.js';
import { lastRevocation, putAway } from '../store/revocation.js';
import { againWords } from './again.js';
import { changeCertificates, installedRelays, notCertifiedError } from './change.js';
import { findHost } from './show.js';
import type { GlobalOptions } from './options.js';

export interface RevokeOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** For the ledger; '' where none was given. */
  readonly reason: string;
}

/** @throws settings, usage, contradiction, lock, files */
export async function revoke(options: RevokeOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const one = findHost(settings, options.hostname);
  const layout = layoutOf(settings);
  const {
    result,
    inventory: after,
    bundles,
    told,
  } = await changeCertificates(
    settings,
    sys,
    async (inventory, at) => {
      const found = inventory.hosts.find((each) => each.host.hostname === one.hostname);
      if (found?.isRevoked === true) return { ...(await lastRevocation(layout, one)), isNew: false };
      const entries = await whatIsRevoked(layout, one, found, at);
      await assertRoom(settings, sys, { hosts: 1, custody: false });
      await appendLedger(
        layout,
        entries.map((entry) => ({ ...entry, ...(options.reason === '' ? {} : { reason: options.reason }) })),
      );
      const serials = entries.map(({ serial }) => serial);
      await putAway(layout, one, serials.at(-1) ?? '');
      const { reason } = options;
      return { serials, time: at.toISOString(), reason, keepsKey: found?.request !== undefined, isNew: true };
    },
    { isUrgent: true },
  );
  const { serials, time, reason, keepsKey, isNew } = result;
  const done = isNew ? `revoked ${one.hostname}` : `nothing to do: ${one.hostname} is revoked since ${time}`;
  for (const serial of serials) sys.say(`${done}, serial ${serial}`);
  if (options.reason !== '' && options.reason !== reason) {
    sys.warn('the reason is not kept: the ledger has the one of the first time');
  }
  sayUnlisted(settings, after, sys);
  const relays = installedRelays(after);
  const written = relays.filter(({ hostname }) => bundles.has(hostname));
  if (options.json) {
    const names = written.map(({ hostname }) => hostname);
    sys.write(`${JSON.stringify({ revoked: one.hostname, serials, time, relays: names }, undefined, 2)}\n`);
  } else if (one.role === 'smtpd-server' || written.length > 0) {
    sys.write(renderNext(settings, one, written, keepsKey));
  }
  await told(written.map(({ hostname }) => hostname));
  const behind = relays.filter((relay) => !written.includes(relay));
  if (one.role === 'smtp-client') await assertNoneBehind(settings, one, behind);
}

/** A relay that was made once has a table, wherever its bundle went; a new one has none yet. @throws contradiction */
async function assertNoneBehind(settings: Settings, one: HostSettings, relays: readonly SmtpdServer[]): Promise<void> {
  const { entries } = await readHistory(layoutOf(settings));
  const made = new Set(entries.map(({ role, name }) => `${role} ${name}`));
  const behind = relays.filter(({ role, hostname }) => made.has(`${role} ${hostname}`));
  if (behind.length === 0) return;
  const word = settings.program;
  throw new RelaycertsError(
    'contradiction',
    `${one.hostname} is revoked, but there is no new table for ${listSome(behind.map(({ hostname }) => hostname))}, whose bundle is not here: with the old table ${one.hostname} goes on relaying there`,
    {
      hint: `mend what is said above, then: ${word} make && ${word} revoke ${one.hostname}, which says what to install`,
    },
  );
}

/** The ledger's lines: of the certificates that are there; where that cannot be read, of the last that was issued. */
async function whatIsRevoked(
  layout: Layout,
  one: HostSettings,
  found: HostInventory | undefined,
  at: Date,
): Promise<readonly LedgerEntry[]> {
  const { role, hostname } = one;
  const entries = [found?.previous, found?.certificate].flatMap((each) =>
    each === undefined ? [] : [entryOf('revoked', role, hostname, each.info, at)],
  );
  if (found?.certificate !== undefined) return entries;
  const last = (await readLedger(layout)).entries.findLast((entry) => entry.role === role && entry.name === hostname);
  if (last === undefined) throw notCertifiedError(one);
  return [...entries, { ...last, serial: parseSerial(last.serial), event: 'revoked', time: at.toISOString() }];
}

/** A client whose certificate cannot be read has gone from the tables with the revoked one. */
function sayUnlisted(settings: Settings, { hosts }: Inventory, sys: Pick<Sys, 'warn'>): void {
  // The inventory is of before the tables were written.
  const before = hosts.map(({ bundle }) => bundle.get(tableName)?.toString('utf8') ?? '').join('');
  for (const {
    host: { role, hostname },
    certificate,
    isRevoked,
  } of hosts) {
    if (role !== 'smtp-client' || certificate !== undefined || isRevoked || !before.includes(` ${hostname}\n`))
      continue;
    sys.warn(
      `${hostname} is in no table any more, for its certificate cannot be read`,
      `mend that, then: ${settings.program} make`,
    );
  }
}

/** `relays`: those whose new table is in hosts/. */
function renderNext(settings: Settings, one: HostSettings, relays: readonly SmtpdServer[], keepsKey: boolean): string {
  const word = settings.program;
  const again = againWords(settings, one, keepsKey);
  if (one.role === 'smtpd-server') {
    return `${one.hostname} is a relay. Clients know it by this CA and its name, and have no list of what is revoked: whoever
has its key can pose as it until they are configured otherwise. Two ways to that end:

- another name: give the relay another hostname in the settings, or take it out of them, then
    ${word} make
  and install every client. Where they relay elsewhere, nobody poses as their relay.

- the same name: a new key for it, then a new key for the CA, in three stages with an installation after each:
    ${again}
    ${word} renew --ca --rekey
  The lost key is of no use against a client that has the third stage installed.

No client's key was ever on it: their keys and pins stay as they are.
`;
  }
  const lines = relays.flatMap(({ hostname, ssh }) => [
    `  ${word} show ${hostname} --section rsync --format sh | sh`,
    `  ${word} show ${hostname} --format sh | ${rootShell(ssh)}`,
  ]);
  return `${one.hostname} relays until every relay has the new table. Now:
${lines.join('\n')}
After that it gets a temporary refusal; its mail waits in its queue. Connections that are open end by themselves.
make does not make ${one.hostname} again, unless told to: ${again}
`;
}
