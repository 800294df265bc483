// Signs that one part of the folder is older than another: it was restored from a backup, and what was revoked or
// renewed since is undone. A whole folder from before a revocation shows no sign, because nothing in it knows of the
// revocation. Pure.

import { fingerprintOf } from '../certificate/fingerprint.js';
import { listSome, timeText, type Hint, type Problem } from '../errors.js';
import { tableName } from './bundle-names.js';
import type { HostInventory, Inventory, IssuedCertificate } from './inventory.js';

/** Up to this many hosts are named; a fleet has too many to read. */
const few = 5;

/** Hosts with certificates here that are missing from the tables prepared for the relays. */
export function returnWarnings({ hosts, problems }: Inventory): readonly Problem[] {
  // Files that could not be read look as if they were missing.
  if (problems.length > 0) return [];
  const tables = hosts.flatMap((found) => {
    const { host, isRevoked } = found;
    if (host.role !== 'smtpd-server') return [];
    const table = isRevoked ? '' : (found.bundle.get(tableName)?.toString('utf8') ?? '');
    // Another kind of file in its place shows nothing.
    return !table.startsWith('# relaycerts ') ? [] : [{ relay: host.hostname, names: namesIn(table) }];
  });
  const unlisted = hosts.flatMap(({ host: { hostname, role }, certificate, isRevoked, hasBundle }) => {
    if (role !== 'smtp-client' || certificate === undefined || isRevoked) return [];
    const without = tables.find(({ names }) => !names.has(hostname));
    // A revocation removes the bundle; an interrupted make leaves it, and the tables come last.
    return without === undefined || hasBundle ? [] : [{ hostname, relay: without.relay }];
  });
  if (unlisted.length > few) {
    const names = listSome(unlisted.map(({ hostname }) => hostname));
    const message = `clients come back: their certificates are here, but the tables in hosts/ do not list ${names}`;
    return [{ message, hint: revokeHint('HOST') }];
  }
  return unlisted.map(({ hostname, relay }) => {
    const message = `${hostname} comes back: its certificate is here, but the table of ${relay} in hosts/ does not list it`;
    return { message, hint: revokeHint(hostname) };
  });
}

/** Hosts of which the ledger, a log, knows more than certs/ does. */
export function ledgerAheadWarnings(
  { hosts, problems }: Inventory,
  issued: readonly IssuedCertificate[],
): readonly Problem[] {
  if (problems.length > 0) return [];
  const newest = new Map(issued.map((one) => [`${one.role} ${one.name}`, one]));
  const revoked = new Map(issued.filter(isRevocation).map((one) => [one.publicKeySha256, one]));
  const ahead = hosts.flatMap((found) => aheadOf(found, newest, revoked) ?? []);
  if (ahead.length <= few) return ahead.map(({ problem }) => problem);
  const named = (want: boolean): string =>
    listSome(ahead.filter(({ isRevoked }) => isRevoked === want).map(({ hostname }) => hostname));
  const [back, old] = [named(true), named(false)];
  return [
    ...(back === ''
      ? []
      : [
          {
            message: `the ledger says that hosts were revoked, but certs/revoked/ does not, so they can relay again: ${back}`,
            hint: revokeHint('HOST'),
          },
        ]),
    ...(old === ''
      ? []
      : [
          {
            message: `certificates are older than the last ones in the ledger: ${old}`,
            hint: renewHint('--force'),
          },
        ]),
  ];
}

interface Ahead {
  readonly hostname: string;
  readonly isRevoked: boolean;
  readonly problem: Problem;
}

function aheadOf(
  { host: { hostname, role }, certificate, isRevoked }: HostInventory,
  newest: ReadonlyMap<string, IssuedCertificate>,
  revoked: ReadonlyMap<string, IssuedCertificate>,
): Ahead | undefined {
  if (certificate === undefined || isRevoked) return undefined;
  const last = newest.get(`${role} ${hostname}`);
  const isOld = last !== undefined && last.serial !== certificate.info.serial;
  const gone =
    revoked.get(fingerprintOf(certificate.info, 'public-key', 'sha256')) ??
    (isOld && isRevocation(last) ? last : undefined);
  if (gone !== undefined) {
    const message = `the ledger says that ${hostname} was revoked at ${timeText(gone.revokedAt ?? '')}, but certs/revoked/ does not: it can relay again`;
    return { hostname, isRevoked: true, problem: { message, hint: revokeHint(hostname) } };
  }
  if (!isOld || last.retiredAt !== undefined) return undefined;
  const message = `the certificate of ${hostname} is older than the last one in the ledger, serial ${last.serial} of ${timeText(last.issuedAt)}`;
  return { hostname, isRevoked: false, problem: { message, hint: renewHint(hostname, '--force') } };
}

const isRevocation = ({ revokedAt }: IssuedCertificate): boolean => revokedAt !== undefined;

function revokeHint(hostname: string): Hint {
  const one = hostname === 'HOST' ? 'a client' : 'it';
  return { before: `if ${one} was revoked after the backup that was restored here:`, run: ['revoke', hostname] };
}

function renewHint(...words: readonly string[]): Hint {
  return {
    before: 'restore certs/ and hosts/ from the newest backup, or make another one:',
    run: ['renew', ...words],
    after: ', then install it there and on the relays',
  };
}

/** The names in the lines `PIN NAME`. */
function namesIn(table: string): ReadonlySet<string> {
  const lines = table.split('\n');
  return new Set(lines.flatMap((line) => (line.startsWith('#') ? [] : line.split(/\s+/u).slice(1, 2))));
}
