// `relaycerts revoke`: removes a host for good. Postfix has no revocation list: a client is stopped when its pin leaves
// the table of every relay, and it relays until each relay has the new table. It is urgent, so problems elsewhere do
// not stop it. For a host that is revoked already, it prints again what to run.

import { RelaycertsError, commandText, errorObject, listSome, timeText } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { tableName } from '../plan/bundle-names.js';
import { caStageOf } from '../plan/ca-rekey.js';
import { isFormer } from '../plan/former-hosts.js';
import { hostsIn, type Install } from '../plan/install.js';
import { seenHostOf } from '../plan/installed.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { contradictionsOf } from '../plan/plan.js';
import { tablesOf } from '../render/bundle.js';
import { expectedContents } from '../render/installed.js';
import { renderRelayRevocation, renderTableChange } from '../render/revocation.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import type { Sys } from '../sys/sys.js';
import { againWords, findHost, notCertifiedError } from './hosts.js';
import { planRevocationOf } from './revocation.js';
import { changing, type GlobalOptions, type Work } from './run.js';

export interface RevokeOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** For the ledger; '' if none was given. */
  readonly reason: string;
}

/** @throws settings, usage, contradiction, lock, files */
export async function revoke(options: RevokeOptions, sys: Sys): Promise<void> {
  await changing(
    options,
    sys,
    async ({ commit, ...work }) => {
      const { settings, inventory, at } = work;
      const one = findHost(settings, options.hostname);
      const { found, its, lines, files, after, isDone } = await planRevocationOf(work, one);
      // For a host that is no longer in the settings, the ledger may be all that is left.
      const isGone = isFormer(work.named, one);
      const serials = isDone ? (inventory.revoked.hosts.get(one.hostname) ?? []) : lines.map(({ serial }) => serial);
      if (!isDone && files.keeps.length === 0 && !(isGone && lines.length > 0)) throw notCertifiedError([one.hostname]);
      const before = its.findLast(({ event }) => event === 'revoked');
      const { reason } = options;
      const time = isDone ? (before?.time ?? '') : at.toISOString();
      const state = await commit({
        after,
        entries: (isDone ? [] : lines).map((line) => (reason === '' ? line : { ...line, reason })),
        ...files,
        answer: (install) => {
          const tables = tablesFor(one, after, install);
          const behind = behindError(settings, one, after, tables);
          return writeAnswer('revoke', {
            host: one.hostname,
            role: one.role,
            serials,
            revoked: time === '' ? null : time,
            install: notSeenWith(settings, one, after, tables),
            error: behind === undefined ? null : errorObject(behind, sys.program),
          });
        },
        tell: (install) =>
          renderTold({ ...work, inventory: after }, one, tablesFor(one, after, install), {
            isGone,
            isOwnKey: found.request !== undefined,
          }),
        done: isDone
          ? [`nothing to do: ${one.hostname} was revoked${time === '' ? '' : ` at ${timeText(time)}`}`]
          : serials.map((serial) => `revoked ${one.hostname}, serial ${serial}`),
      });
      if (isDone && reason !== '' && reason !== before?.reason) {
        sys.warn('the reason is not kept: the ledger has the reason of the first revocation');
      }
      warnUnlisted(inventory, after, sys);
      const behind = behindError(settings, one, state, tablesFor(one, state, []));
      if (behind !== undefined) throw behind;
    },
    { isUrgent: true, former: [options.hostname] },
  );
}

/** For a client, every relay with a table, new or old: the present one may not be installed yet. */
function tablesFor(one: HostSettings, { hosts }: Inventory, install: readonly Install[]): readonly Install[] {
  if (one.role === 'smtpd-server') return install;
  const names = new Set(hostsIn(install));
  const relays = hosts.filter(({ host: { role } }) => role === 'smtpd-server');
  return relays.flatMap(({ host: { hostname: host }, isRevoked, bundle }) => {
    const hasTable = names.has(host) || bundle.has(tableName);
    return !isRevoked && hasTable ? [{ host, why: ['table'] as const }] : [];
  });
}

/** `inventory` is the state after. */
function renderTold(
  { settings, inventory, at, sys }: Work,
  one: HostSettings,
  tables: readonly Install[],
  { isGone, isOwnKey }: { readonly isGone: boolean; readonly isOwnKey: boolean },
): string {
  const ownKey = new Set([...inventory.revoked.ownKey, ...(isOwnKey ? [one.hostname] : [])]);
  // A host that is no longer in the settings comes back with `add`, which prints the next step. A relay's block has all
  // steps.
  const again = againWords({ ownKey }, one.hostname);
  const isRelay = one.role === 'smtpd-server';
  const add = commandText(sys.program, ['add', one.hostname, ...(isRelay ? ['--relay'] : [])]);
  const back = [...(isGone ? [add] : []), ...(isGone && !isRelay ? [] : [commandText(sys.program, again)])];
  if (isRelay) return renderRelayRevocation(settings, one, back, caStageOf(inventory));
  const isBroken = contradictionsOf(settings, inventory, at).length > 0;
  const install = notSeenWith(settings, one, inventory, tables);
  return renderTableChange(settings, one, { tables, install }, back, isBroken);
}

/** Those of the relays that were not last seen with the table that they should have. */
function notSeenWith(
  settings: Settings,
  one: HostSettings,
  after: Inventory,
  tables: readonly Install[],
): readonly Install[] {
  if (one.role === 'smtpd-server') return tables;
  const { hosts: seen } = readInstalled(layoutOf(settings));
  const expected = expectedContents(settings, after, tablesOf(settings, after));
  const isThere = (found: HostInventory): boolean => {
    const table = expected(found)?.table;
    return table !== undefined && seenHostOf(seen, found.host)?.table === table;
  };
  const relays = new Set(hostsIn(tables));
  const done = new Set(
    after.hosts.filter((found) => relays.has(found.host.hostname) && isThere(found)).map(({ host }) => host.hostname),
  );
  return tables.filter(({ host }) => !done.has(host));
}

/** A client whose certificate cannot be read has left the tables along with the revoked one. */
function warnUnlisted(before: Inventory, after: Inventory, sys: Sys): void {
  const servers = before.hosts.filter(({ host }) => host.role === 'smtpd-server');
  const tables = servers.map(({ bundle }) => bundle.get(tableName)?.toString('utf8') ?? '').join('');
  for (const { host, certificate, isRevoked } of after.hosts) {
    if (host.role !== 'smtp-client' || certificate !== undefined || isRevoked) continue;
    if (!tables.includes(` ${host.hostname}\n`)) continue;
    sys.warn(`${host.hostname} is no longer in any table, because its certificate cannot be read`, {
      run: ['make'],
      before: 'fix that, then:',
    });
  }
}

/** A relay that was made, and so has a table, gets no new one because its bundle has disappeared. */
function behindError(
  { program }: Settings,
  one: HostSettings,
  { hosts }: Inventory,
  tables: readonly Install[],
): RelaycertsError | undefined {
  if (one.role === 'smtpd-server') return undefined;
  const names = new Set(hostsIn(tables));
  const behind = hosts.filter(({ host, isRevoked, key, request, certificate }) => {
    const wasMade = (certificate ?? key ?? request) !== undefined;
    return host.role === 'smtpd-server' && !isRevoked && !names.has(host.hostname) && wasMade;
  });
  if (behind.length === 0) return undefined;
  const left = listSome(behind.map(({ host }) => host.hostname));
  return new RelaycertsError(
    'contradiction',
    `${one.hostname} is revoked, but there is no new table for ${left}, whose bundle is not here: with the old table ${one.hostname} still relays there`,
    {
      hint: {
        run: ['revoke', one.hostname],
        before: `fix what is reported above, then: ${commandText(program, ['make'])} &&`,
        after: ', which says what to install',
      },
    },
  );
}
