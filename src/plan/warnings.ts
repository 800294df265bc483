// What a person should look at, though it does not stop any work. Pure. ca-problems.ts and host-problems.ts have what
// does.

import { join } from 'node:path';
import { commandText, howMany, quotePath, timeText, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import { nameFile } from '../settings/schema.js';
import { hostsOf, type Role, type Settings, type TableType } from '../settings/settings.js';
import { shellWord, shellWords } from '../shell-word.js';
import { agoText } from './ago.js';
import { bundleNames } from './bundle-names.js';
import { caStageOf } from './ca-rekey.js';
import type { FormerHost } from './former-hosts.js';
import type { SeenHost } from './installed.js';
import type { HostInventory, Inventory, Opening } from './inventory.js';
import { daysLeft, endsWithCa } from './leaf-days.js';

/** Warnings about a host's certificate and the contents of its bundle. */
export function hostWarnings(
  found: HostInventory,
  inventory: Inventory,
  settings: Settings,
  at: Date,
): readonly Problem[] {
  const ca = inventory.caCertificate?.info;
  const leaf = found.certificate?.info;
  // The warning about the CA covers what ends with it, and `renew` would refuse that.
  const isOfCa = ca !== undefined && leaf !== undefined && caStageOf(inventory) === 0 && endsWithCa(leaf, ca);
  const isCovered = isOfCa && at >= leaf.notBefore;
  return [...leftoverWarnings(found, settings), ...(isCovered ? [] : expiryWarnings(found, settings, at))];
}

function leftoverWarnings(found: HostInventory, settings: Settings): readonly Problem[] {
  if (found.request === undefined) return [];
  const { host, bundle, bundleFolder } = found;
  const names = bundleNames(settings.domain, host.hostname);
  const left = [names.key, names.chain].filter((name) => bundle.has(name)).map((name) => join(bundleFolder, name));
  if (left.length === 0) return [];
  const message = `${host.hostname} keeps its own key, but its bundle still holds an older one: ${left.map(quotePath).join(', ')}`;
  return [{ message, hint: `rm ${shellWords(left)}` }];
}

function expiryWarnings({ certificate, host }: HostInventory, settings: Settings, at: Date): readonly Problem[] {
  if (certificate === undefined) return [];
  const { notBefore, notAfter } = certificate.info;
  const what = `the certificate of ${host.hostname}`;
  const hint = { run: ['renew', host.hostname], after: ', then install it there' };
  if (at < notBefore) {
    const message = `${what} is not valid before ${timeText(notBefore)}: the clock was ahead when it was made, or is behind now (timedatectl)`;
    return [{ message, hint: { ...hint, run: [...hint.run, '--force'], before: 'if it is right now:' } }];
  }
  const left = daysLeft(certificate.info, at);
  if (left >= settings.certificates.renewBeforeDays) return [];
  const day = notAfter.toISOString().slice(0, 10);
  const message = `${what} ${left < 0 ? `expired on ${day}` : `expires on ${day}, in ${howMany(left, 'day')}`}`;
  return [{ message, hint }];
}

/**
 * The CA ends soon, or so soon that certificates it signs now end with it. Not during a rekey, nor if the settings give
 * the CA only that many days, because another certificate would have no more.
 */
export function caWarnings(settings: Settings, inventory: Inventory, at: Date): readonly Problem[] {
  const { caCertificate } = inventory;
  if (caCertificate === undefined || caStageOf(inventory) > 0) return [];
  const left = daysLeft(caCertificate.info, at);
  const isDue = left < settings.certificates.renewBeforeDays;
  if (left < 0 || !(isDue || isCutting(settings, left))) return [];
  const day = caCertificate.info.notAfter.toISOString().slice(0, 10);
  const message = `the CA expires on ${day}, in ${howMany(left, 'day')}, and with it every certificate that it signs, whatever certificates.validDays says`;
  return [{ message, hint: { run: ['renew', '--ca'], after: ', then install every host' } }];
}

/**
 * True if a CA with this many days left cuts certificates short of what the settings ask for, and a renewed CA would
 * not.
 */
export function isCutting({ ca, certificates }: Settings, left: number): boolean {
  return left < certificates.validDays && certificates.validDays < ca.validDays;
}

/** The passphrase file is missing, though the CA's key depends on it. */
export function missingPassphrase({ passphrase: { file } }: Settings): Problem {
  const message = `the passphrase file ${quotePath(file)} is missing, and the CA's key cannot be opened without it: nothing can be renewed`;
  const elsewhere = 'set passphrase.file to its place, or give the passphrase with --passphrase-fd N';
  const before = `restore it from a backup, ${elsewhere}; to start over with another CA:`;
  return { message, hint: { run: ['clean'], before } };
}

/** The CA is about to get a certificate by a clock that is wrong according to its present one. */
export function clockWarnings({ caCertificate }: Inventory, at: Date): readonly Problem[] {
  const begins = caCertificate?.info.notBefore;
  if (begins === undefined || at >= begins) return [];
  const message = `the CA is not valid before ${timeText(begins)}, and this machine's clock says ${timeText(at)}: the new certificate follows the clock`;
  return [{ message, hint: 'if the clock is wrong, set it and run the same command again: date -u' }];
}

/**
 * The next renewal will fail, while there is still time to look for what opens the passphrase; or the passphrase is
 * weak.
 */
export function custodyWarnings(opening: Opening | undefined, source: string): readonly Problem[] {
  if (opening === undefined || opening.kind === 'unasked') return [];
  if (opening.kind !== 'opened') return [opening.problem];
  return opening.isWeak ? [weakPassphrase(source)] : [];
}

/** The passphrase was chosen by a person, and can be guessed; `source` says where it came from. */
export function weakPassphrase(source: string): Problem {
  const message = `the passphrase ${source} is short or simple: anyone who gets a copy of the CA's key may guess it`;
  return { message, hint: { run: ['passphrase', 'change'], before: 'for a random one, which nobody has to type:' } };
}

/**
 * The bundle prepared for a host differs from its certificates and the settings: somebody changed it, or the settings
 * have changed since. `bundles`: as they should be.
 */
export function bundleWarnings(
  { hosts, problems }: Inventory,
  bundles: ReadonlyMap<HostName, ReadonlyMap<string, Buffer>>,
): readonly Problem[] {
  // A file that could not be read looks missing, and a table without one certificate is another table.
  if (problems.length > 0) return [];
  return hosts.flatMap((found) => {
    const { hostname } = found.host;
    const wanted = bundles.get(hostname);
    const stale = wanted === undefined ? [] : staleFiles(found.bundle, wanted);
    if (stale.length === 0) return [];
    const message = `the bundle of ${hostname} does not match its certificates (${stale.join(', ')})`;
    return [{ message, hint: { run: ['make'] } }];
  });
}

/** Pins up to which a map type performs well, as measured by scripts/bench-tables.mjs (docs/settings.md). */
const mostPins: Readonly<Partial<Record<TableType, number>>> = { texthash: 10_000, lmdb: 30_000 };

/** The table of pins has outgrown its map type. */
export function tableWarnings({ postfix: { tableType }, smtpClients }: Settings): readonly Problem[] {
  const pins = smtpClients.length;
  if (pins <= (mostPins[tableType] ?? Infinity)) return [];
  const what =
    tableType === 'texthash'
      ? 'every smtpd reads a texthash whole when it starts'
      : 'Postfix finds nothing in an lmdb table that outgrows lmdb_map_size, 16 MiB by default';
  const message = `relay_clientcerts has ${pins} pins, and ${what}`;
  const hint =
    'set postfix.tableType to "cdb" (on Debian, the relays need postfix-cdb), run make, and the script of each relay';
  return [{ message, hint }];
}

/** The settings of the tunnel do nothing. */
export function idleTunnelWarnings({ file, hasIdleTunnel }: Settings): readonly Problem[] {
  if (!hasIdleTunnel) return [];
  const message = `${nameFile(file)}: tunnel: does nothing, because only an inbound with "via": "tunnel" uses it`;
  return [{ message, hint: 'write "via": "tunnel" into inbound, or remove tunnel' }];
}

/** The names of the files that a bundle lacks or that have the wrong contents; both maps are by file name. */
export function staleFiles(
  bundle: ReadonlyMap<string, Buffer>,
  wanted: ReadonlyMap<string, Buffer>,
): readonly string[] {
  const stale: string[] = [];
  for (const [name, bytes] of wanted) if (bundle.get(name)?.equals(bytes) !== true) stale.push(name);
  return stale;
}

/**
 * Hosts that the settings no longer name, or name in the other role: what they can still do, and how to undo it.
 * Another relay or client may be the same machine under another name; its installation takes over.
 */
export function strangerWarnings(
  { program, smtpClients }: Settings,
  { strangers }: Pick<Inventory, 'strangers'>,
): readonly Problem[] {
  return strangers.map(({ hostname, role, nowRole, paths }) => {
    if (nowRole === undefined) return formerWarning(program, { hostname, role });
    const isRelay = role === 'smtpd-server';
    const message = `${hostname} is no longer ${isRelay ? 'a relay' : 'a client'}: ${stillDoes(role)}`;
    const remove = `rm -r ${shellWords(paths)}`;
    const client = smtpClients.find((one) => one.hostname === hostname);
    // The script of a home with Postfix takes out what the relay had. A relay's does not know another program.
    if (client?.program === 'postfix' && client.container === undefined) {
      return { message, hint: { run: ['deploy', hostname], after: `; then: ${remove}` } };
    }
    const list = isRelay ? 'smtpdServers, with the port that it had' : 'smtpClients';
    return {
      message,
      hint: {
        run: ['show', hostname, '--undo'],
        before: `move it back into ${list}, and do what this prints:`,
        after: `; remove it again; then, or if that is done: ${remove}`,
      },
    };
  });
}

function stillDoes(role: Role): string {
  return role === 'smtpd-server'
    ? 'until its configuration is undone there, its port stays open and relays for the clients in its last table'
    : 'its pin leaves the tables, and until its configuration is undone there, it still sends all its mail to the relay';
}

/** `remove` puts away what is left of it, so that its key is never reused. */
function formerWarning(program: string, { hostname, role }: Pick<FormerHost, 'hostname' | 'role'>): Problem {
  return {
    message: `${hostname} is no longer in the settings: ${stillDoes(role)}`,
    hint: {
      run: ['deploy', '--undo', hostname],
      after: `; then, or if that machine is gone or has another name in the settings now: ${commandText(program, ['remove', hostname])}`,
    },
  };
}

/** Hosts that only the ledger knows. */
export function formerWarnings(program: string, former: readonly FormerHost[]): readonly Problem[] {
  const left = former.filter(({ isOver }) => !isOver);
  const named = left.slice(0, mostFormer).map((one) => formerWarning(program, one));
  if (left.length === named.length) return named;
  return [...named, { message: `${left.length - named.length} more hosts are no longer in the settings` }];
}

const mostFormer = 10;

/** Hosts that were seen with an installation of ours but are no longer in the settings. */
export function stillInstalled(settings: Settings, seen: ReadonlyMap<HostName, SeenHost>, at: Date): readonly string[] {
  const known = new Set<HostName>(hostsOf(settings).map(({ hostname }) => hostname));
  // What was exported for a container was never seen, and nothing can undo it from here.
  const gone = [...seen].filter(([hostname, { container }]) => !known.has(hostname) && container === undefined);
  return gone.slice(0, mostFormer).map(([hostname, host]) => {
    const undo = commandText(settings.program, ['deploy', '--undo', hostname]);
    return `${hostname} is no longer in the settings, but was seen installed ${agoText(host.seen, at)}: ${undo}`;
  });
}

/** The ledger has `damaged` lines. */
export function ledgerWarnings(damaged: number, path: string): readonly Problem[] {
  if (damaged === 0) return [];
  const hint = `to see them: jq -R "fromjson? // ." ${shellWord(path)}; they can be removed by hand`;
  return [{ message: `${quotePath(path)} has damaged lines, which are skipped: ${damaged}`, hint }];
}
