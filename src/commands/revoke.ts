// `relaycerts revoke`: takes a host out for good. Postfix has no revocation list: a client is stopped when its pin leaves
// the table of every relay, and until a relay has the new table, the client relays. It is urgent, so nothing that is wrong
// elsewhere stops it. For a host that is revoked already it says again what to run.

import { parseCertificate } from '../certificate/certificate.js';
import { RelaycertsError, commandText, errorObject, listSome, renderHint } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { bundleNames, tableName } from '../plan/bundle-names.js';
import { hostsIn } from '../plan/install.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { renderRelayRevocation, renderTableChange } from '../render/revocation.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { entryOf, readLedger, type LedgerEntry } from '../store/ledger.js';
import { planRevocation } from '../store/revoked.js';
import type { Sys } from '../sys/sys.js';
import { againHint, findHost, foundOf, notCertifiedError, withHost } from './hosts.js';
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
      const found = foundOf(inventory, one);
      const { entries: log } = await readLedger(layoutOf(settings));
      const its = log.filter(({ role, name }) => role === one.role && name === one.hostname);
      const lines = revokedLines(one, withBundleCertificate(settings, found), its, at);
      const files = await planRevocation(layoutOf(settings), one, lines.at(-1)?.serial);
      // A host that was made again, and lost its certificate, counts as revoked, and has a key to put away.
      const isDone = found.isRevoked && files.keeps.length === 0;
      const serials = isDone ? (inventory.revoked.hosts.get(one.hostname) ?? []) : lines.map(({ serial }) => serial);
      if (!found.isRevoked && files.keeps.length === 0) throw notCertifiedError([one.hostname]);
      const gone = { key: undefined, request: undefined, certificate: undefined, previous: undefined };
      const after = withHost(inventory, one, { ...gone, isRevoked: true, bundle: new Map() });
      const before = its.findLast(({ event }) => event === 'revoked');
      const { reason } = options;
      const time = isDone ? (before?.time ?? '') : at.toISOString();
      const withTable = (install: readonly string[]): readonly SmtpdServer[] =>
        after.hosts.flatMap(({ host, isRevoked, bundle }) => {
          const hasTable = install.includes(host.hostname) || bundle.has(tableName);
          return host.role === 'smtpd-server' && !isRevoked && hasTable ? [host] : [];
        });
      let relays: readonly SmtpdServer[] = [];
      await commit({
        after,
        entries: (isDone ? [] : lines).map((line) => (reason === '' ? line : { ...line, reason })),
        ...files,
        answer: (install) => {
          relays = withTable(hostsIn(install));
          const behind = one.role === 'smtp-client' ? behindError(settings, one, after, relays) : undefined;
          const table = relays.map(({ hostname: host }) => ({ host, why: ['table'] }));
          return writeAnswer('revoke', {
            host: one.hostname,
            role: one.role,
            serials,
            revoked: time === '' ? null : time,
            install: table,
            error: behind === undefined ? null : errorObject(behind, sys.program),
          });
        },
        tell: (install) => {
          relays = withTable(hostsIn(install));
          return renderTold(work, one, { relays, isOwnKey: found.request !== undefined });
        },
        done: isDone
          ? [`nothing to do: ${one.hostname} was revoked${time === '' ? '' : ` on ${time}`}`]
          : serials.map((serial) => `revoked ${one.hostname}, serial ${serial}`),
      });
      if (isDone && reason !== '' && reason !== before?.reason) {
        sys.warn('the reason is not kept: the ledger has the one of the first time');
      }
      warnUnlisted(inventory, after, sys);
      const behind = one.role === 'smtp-client' ? behindError(settings, one, after, relays) : undefined;
      if (behind !== undefined) throw behind;
    },
    { isUrgent: true },
  );
}

/** If its own files are gone, a bundle still has the certificate. */
function withBundleCertificate({ domain }: Settings, found: HostInventory): HostInventory {
  const bytes = found.bundle.get(bundleNames(domain, found.host.hostname).certificate);
  if (found.certificate !== undefined || bytes === undefined) return found;
  try {
    return { ...found, certificate: { path: found.certificatePath, info: parseCertificate(bytes) } };
  } catch (error) {
    if (error instanceof RelaycertsError) return found;
    throw error;
  }
}

/** The ledger's lines: of the certificates that can be read, or else of the last one that was issued. */
function revokedLines(
  { role, hostname }: HostSettings,
  { previous, certificate }: HostInventory,
  log: readonly LedgerEntry[],
  at: Date,
): readonly LedgerEntry[] {
  const lines = [previous, certificate].flatMap((found) =>
    found === undefined ? [] : [entryOf('revoked', role, hostname, found.info, at)],
  );
  const last = log.at(-1);
  if (certificate !== undefined || last === undefined) return lines;
  return [...lines, { ...last, event: 'revoked', time: at.toISOString() }];
}

interface Told {
  /** Those with a new table. */
  readonly relays: readonly SmtpdServer[];
  readonly isOwnKey: boolean;
}

function renderTold({ settings, inventory, sys }: Work, one: HostSettings, { relays, isOwnKey }: Told): string {
  const ownKey = new Set([...inventory.revoked.ownKey, ...(isOwnKey ? [one.hostname] : [])]);
  const again = againHint(one, { ...inventory.revoked, ownKey });
  if (one.role === 'smtpd-server') return renderRelayRevocation(settings, one, commandText(sys.program, again.run));
  return relays.length === 0 ? '' : renderTableChange(settings, one, relays, renderHint(again, sys.program));
}

/** A client whose certificate cannot be read has left the tables with the revoked one. */
function warnUnlisted(before: Inventory, after: Inventory, sys: Sys): void {
  const tables = before.hosts.map(({ bundle }) => bundle.get(tableName)?.toString('utf8') ?? '').join('');
  for (const { host, certificate, isRevoked } of after.hosts) {
    if (host.role !== 'smtp-client' || certificate !== undefined || isRevoked) continue;
    if (!tables.includes(` ${host.hostname}\n`)) continue;
    sys.warn(`${host.hostname} is no longer in any table, because its certificate cannot be read`, {
      run: ['make'],
      before: 'fix that, then:',
    });
  }
}

/** That a relay that was made, and so has a table, gets no new one, because its bundle went somewhere. */
function behindError(
  { program }: Settings,
  one: HostSettings,
  { hosts }: Inventory,
  relays: readonly SmtpdServer[],
): RelaycertsError | undefined {
  const behind = hosts.filter(({ host, isRevoked, key, request, certificate }) => {
    const wasMade = (certificate ?? key ?? request) !== undefined;
    return host.role === 'smtpd-server' && !isRevoked && !relays.includes(host) && wasMade;
  });
  if (behind.length === 0) return undefined;
  const names = listSome(behind.map(({ host }) => host.hostname));
  return new RelaycertsError(
    'contradiction',
    `${one.hostname} is revoked, but there is no new table for ${names}, whose bundle is not here: with the old table ${one.hostname} still relays there`,
    {
      hint: {
        run: ['revoke', one.hostname],
        before: `fix what is reported above, then: ${commandText(program, ['make'])} &&`,
        after: ', which says what to install',
      },
    },
  );
}
