// The hosts that the words on a command line mean, and the errors about hosts that a command cannot work with. It
// prints nothing, and changes no host.

import { RelaycertsError, listSome, quote, quotePath, type Hint } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import {
  changeHost,
  type FoundCertificate,
  type HostInventory,
  type Inventory,
  type Revoked,
} from '../plan/inventory.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { readLedger } from '../store/ledger.js';

/** The host that a word means: its FQDN, or its label within the domain. @throws usage */
export function findHost(settings: Settings, word: string): HostSettings {
  const hosts = hostsOf(settings);
  const name = findHostName(word, settings.domain);
  const found = hosts.find(({ hostname }) => hostname === name);
  if (found !== undefined) return found;
  throw noHostError(settings, `the settings have no host ${quote(word)}`);
}

function noHostError(settings: Settings, message: string): RelaycertsError {
  const hosts = hostsOf(settings);
  const known = hosts.slice(0, 6).map(({ hostname }) => hostname);
  const hint = `the hosts are: ${known.join(', ')}${hosts.length > known.length ? ', ...' : ''}`;
  return new RelaycertsError('usage', message, { hint });
}

/**
 * The hosts that several words mean, each once: names, or patterns with * and ? for whole names or for the part before
 * the domain. A word may also mean one of the `others`, which are not among the result. @throws usage
 */
export function findHosts(
  settings: Settings,
  words: readonly string[],
  others: readonly Named[] = [],
): readonly HostSettings[] {
  return [...new Set(words.flatMap(finderIn(settings, others)))];
}

/** Finds the hosts of one word after the other. */
function finderIn(settings: Settings, others: readonly Named[] = []): (word: string) => readonly HostSettings[] {
  const hosts = hostsOf(settings);
  const byName = new Map<string | undefined, HostSettings>(hosts.map((host) => [host.hostname, host]));
  return (word) => {
    const one = isPattern(word) ? undefined : byName.get(findHostName(word, settings.domain));
    if (one !== undefined) return [one];
    const found = isPattern(word) ? matching(settings, [word], hosts) : [];
    if (found.length > 0 || matching(settings, [word], others).length > 0) return found;
    throw noHostError(settings, `the settings have no host ${isPattern(word) ? 'like ' : ''}${quote(word)}`);
  };
}

/**
 * The same for a command that can do nothing with a revoked host: a pattern leaves those out, unless it means no other.
 * @throws usage
 */
export function findStandingHosts(
  settings: Settings,
  words: readonly string[],
  hosts: readonly Pick<HostInventory, 'host' | 'isRevoked'>[],
): readonly HostSettings[] {
  const revoked = new Set(hosts.flatMap(({ host, isRevoked }) => (isRevoked ? [host.hostname] : [])));
  const findOne = finderIn(settings);
  const find = (word: string): readonly HostSettings[] => {
    const found = findOne(word);
    const standing = isPattern(word) ? found.filter(({ hostname }) => !revoked.has(hostname)) : [];
    return standing.length > 0 ? standing : found;
  };
  return [...new Set(words.flatMap(find))];
}

/** Those of the hosts that one of the words means. */
export function matching<One extends Named>(
  settings: Settings,
  words: readonly string[],
  hosts: readonly One[],
): readonly One[] {
  const names = new Set(words.map((word) => (isPattern(word) ? undefined : findHostName(word, settings.domain))));
  const patterns = words.filter(isPattern).map((word) => word.toLowerCase());
  return hosts.filter((host) => names.has(host.hostname) || patterns.some((one) => isMatch(one, host, settings)));
}

type Named = Pick<HostSettings, 'hostname'>;

const isPattern = (word: string): boolean => /[*?]/u.test(word);

function isMatch(pattern: string, { hostname }: Named, { domain }: Settings): boolean {
  if (matchesGlob(pattern, hostname)) return true;
  return hostname.endsWith(`.${domain}`) && matchesGlob(pattern, hostname.slice(0, -domain.length - 1));
}

/** Without a regular expression, because some patterns would take forever. */
function matchesGlob(pattern: string, text: string): boolean {
  let [at, from, star, tried] = [0, 0, -1, 0];
  while (at < text.length) {
    if (pattern[from] === '*') {
      star = from;
      tried = at;
      from += 1;
    } else if (pattern[from] === '?' || pattern[from] === text[at]) {
      at += 1;
      from += 1;
    } else if (star >= 0) {
      // The last star matches one character more.
      tried += 1;
      at = tried;
      from = star + 1;
    } else return false;
  }
  return /^\**$/u.test(pattern.slice(from));
}

/** What exists of a host. */
export function foundOf({ hosts }: Pick<Inventory, 'hosts'>, { hostname }: HostSettings): HostInventory {
  const found = hosts.find(({ host }) => host.hostname === hostname);
  if (found === undefined) throw new TypeError(`the inventory has no ${hostname}`);
  return found;
}

/** The inventory with some fields of these hosts changed. */
export function withHosts(inventory: Inventory, names: readonly HostName[], change: Partial<HostInventory>): Inventory {
  const changed = new Set(names);
  const hosts = inventory.hosts.map((found) => (changed.has(found.host.hostname) ? changeHost(found, change) : found));
  return { ...inventory, hosts };
}

/** What exists of a host that has a certificate and is not revoked. @throws contradiction */
export function certifiedHost(inventory: Inventory, one: HostSettings): HostInventory {
  const found = foundOf(inventory, one);
  if (found.isRevoked) throw revokedError(one, inventory.revoked);
  if (found.certificate === undefined) throw notCertifiedError([one.hostname]);
  return found;
}

/** The CA's certificate. @throws contradiction - there is none */
export function certifiedCa({ caCertificate }: Pick<Inventory, 'caCertificate'>): FoundCertificate {
  if (caCertificate !== undefined) return caCertificate;
  throw new RelaycertsError('contradiction', 'there is no CA yet', { hint: { run: ['make'] } });
}

export function notCertifiedError(names: readonly string[]): RelaycertsError {
  return new RelaycertsError('contradiction', `there is no certificate yet for ${listSome(names)}`, {
    hint: { run: ['make'] },
  });
}

/** Of hosts without a certificate, those that never had one. If one that had is missing, others would lose its pin. */
export function findNewHosts(settings: Settings, missing: readonly Missing[]): ReadonlySet<HostName> {
  if (missing.length === 0) return new Set();
  const { entries } = readLedger(layoutOf(settings));
  const known = new Set(entries.map(({ name }) => name));
  return new Set(missing.map(({ host }) => host.hostname).filter((hostname) => !known.has(hostname)));
}

/** The clients of those: they hold up no other host, least of all a revocation. */
export function findNewClients(settings: Settings, missing: readonly Missing[]): ReadonlySet<HostName> {
  return findNewHosts(
    settings,
    missing.filter(({ host }) => host.role === 'smtp-client'),
  );
}

type Missing = Pick<HostInventory, 'host'>;

export function leftOutWarning(names: Iterable<string>): { readonly message: string; readonly hint: Hint } {
  return { message: `left out, because there is no certificate yet: ${listSome([...names])}`, hint: { run: ['make'] } };
}

export function revokedError(one: HostSettings, revoked: Revoked): RelaycertsError {
  return new RelaycertsError('contradiction', `${one.hostname} is revoked`, { hint: againHint(one, revoked) });
}

/** The next step for a revoked host to relay again: a host that makes its own key makes a new one. */
export function againWords({ ownKey }: Pick<Revoked, 'ownKey'>, hostname: HostName): readonly string[] {
  return ownKey.has(hostname) ? ['show', hostname, '--section', 'request'] : ['make', '--again', hostname];
}

/** The command that lets a revoked host relay again. A host that made its own key has to make the new one too. */
function againHint({ hostname }: HostSettings, { ownKey }: Revoked): Exclude<Hint, string> {
  const again = 'to let it relay again, with a';
  return ownKey.has(hostname)
    ? { run: ['sign', 'FILE', '--host', hostname, '--again'], before: `${again} request for a new key:` }
    : { run: ['make', '--again', hostname], before: `${again} new key:` };
}

/** What is exported does not go among the files that relaycerts keeps itself. @throws usage */
export function assertElsewhere(settings: Settings, folder: string): void {
  const { certsFolder, hostsFolder } = layoutOf(settings);
  const taken = [certsFolder, hostsFolder].find((own) => `${folder}/`.startsWith(`${own}/`));
  if (taken === undefined) return;
  throw new RelaycertsError('usage', `${quotePath(folder)} is within what relaycerts writes itself`, {
    hint: 'name a folder outside: --output FOLDER',
  });
}
