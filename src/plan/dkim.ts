// DKIM keys: one for each domain and selector, all domains change theirs together. A change has three stages: the next
// key is made and published; once its record is seen it signs, and the former one stays published for what is still
// under way; then that is retired. Pure.

import type { HostKey } from '../certificate/private-key.js';
import { RelaycertsError, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import type { Dkim, HostSettings, Settings } from '../settings/settings.js';
import type { SeenHost } from './installed.js';

/** `former` no longer signs but is still published; of a `retired` one only the selector is left. */
export const dkimStates = ['next', 'active', 'former', 'retired'] as const;

/** What certs/dkim/ has about one selector of a domain. */
export interface FoundDkimKey {
  readonly domain: HostName;
  readonly selector: string;
  readonly keyType: Dkim['keyType'];
  readonly state: (typeof dkimStates)[number];
  /** When it came into this state. */
  readonly since: Date;
  readonly keyPath: string;
  /** Undefined if it is retired. */
  readonly key: HostKey | undefined;
}

/** Days that a former key stays published: Postfix keeps mail for five, and receivers may verify late. */
export const formerDays = 7;
const dayMs = 86_400_000;

/** True if this host signs mail. */
export function isSigner({ dkim }: Pick<Settings, 'dkim'>, host: HostSettings): boolean {
  if (dkim === undefined) return false;
  if (dkim.signAt === 'relay') return host.role === 'smtpd-server';
  return host.role === 'smtp-client' && host.program === 'postfix';
}

/** One whose private key is there. */
type WholeDkimKey = FoundDkimKey & { readonly key: HostKey };

function isWhole(one: FoundDkimKey): one is WholeDkimKey {
  return one.key !== undefined;
}

/** The keys that sign now, in the settings' order; domains without one are left out. */
export function activeKeys({ dkim }: Pick<Settings, 'dkim'>, keys: readonly FoundDkimKey[]): readonly WholeDkimKey[] {
  return (dkim?.domains ?? []).flatMap((domain) => {
    const found = keys.find((one) => one.domain === domain && one.state === 'active');
    return found === undefined || !isWhole(found) ? [] : [found];
  });
}

/** A selector that none of these domains has had: the month, and a letter if that was used already. @throws usage */
export function newSelector(
  keys: readonly Pick<FoundDkimKey, 'domain' | 'selector'>[],
  domains: readonly HostName[],
  at: Date,
): string {
  const month = `rc${at.toISOString().slice(0, 7).replace('-', '')}`;
  const used = new Set(keys.filter(({ domain }) => domains.includes(domain)).map(({ selector }) => selector));
  const free = ['', ...'bcdefghijklmnopqrstuvwxyz'.split('')].find((letter) => !used.has(`${month}${letter}`));
  if (free !== undefined) return `${month}${free}`;
  const hint = 'wait until the next month, which has its own selectors';
  throw new RelaycertsError('usage', `the DKIM keys were changed too often this month: ${month}z is used`, { hint });
}

/**
 * The keys that are missing: for domains that have none that signs, of the type of those that sign. OpenDKIM signs with
 * one type of key: a domain that comes back after a change of type, with its old key, needs another.
 */
export function newDkimKeys(
  { dkim }: Pick<Settings, 'dkim'>,
  keys: readonly FoundDkimKey[],
  at: Date,
): readonly Pick<FoundDkimKey, 'domain' | 'selector' | 'keyType'>[] {
  if (dkim === undefined) return [];
  const active = activeKeys({ dkim }, keys);
  const [newest] = active.toSorted((one, other) => Number(other.since) - Number(one.since));
  const keyType = newest?.keyType ?? dkim.keyType;
  const missing = dkim.domains.filter((domain) =>
    active.every((one) => one.domain !== domain || one.keyType !== keyType),
  );
  const selector = missing.length === 0 ? '' : newSelector(keys, missing, at);
  return missing.map((domain) => ({ domain, selector, keyType }));
}

/** The settings ask for keys of another type than those that sign, or will sign next. */
export function keyTypeWarnings({ dkim }: Pick<Settings, 'dkim'>, keys: readonly FoundDkimKey[]): readonly Problem[] {
  if (dkim === undefined) return [];
  const latest = dkim.domains.flatMap((domain) => {
    const own = keys.filter((key) => key.domain === domain);
    return own.find(({ state }) => state === 'next') ?? own.find(({ state }) => state === 'active') ?? [];
  });
  const other = latest.find(({ keyType }) => keyType !== dkim.keyType);
  if (other === undefined) return [];
  const message = `dkim.keyType is "${dkim.keyType}", but the DKIM key ${other.selector} is ${other.keyType}: it stays until the keys are renewed`;
  return [{ message, hint: { run: ['renew', '--dkim'] } }];
}

/** What to know about Ed25519 before it is used. */
export function ed25519Warnings(keys: readonly Pick<FoundDkimKey, 'keyType' | 'state'>[]): readonly Problem[] {
  if (keys.every(({ keyType, state }) => keyType !== 'ed25519' || state === 'retired')) return [];
  const message =
    'few receivers verify DKIM signatures of Ed25519 keys; others treat the mail as unsigned, so it fails DMARC if SPF does not pass';
  return [{ message, hint: 'set dkim.keyType to "rsa-2048" in the settings, and run renew --dkim' }];
}

/** Why the next stage is not due yet. */
type DkimWait =
  | { readonly kind: 'until'; readonly time: Date }
  /** These hosts are not known to sign with the new key. */
  | { readonly kind: 'hosts'; readonly hosts: readonly HostName[] };

/** The next stage. */
export type DkimStage =
  /** No change has begun; or one to another type of key, and these domains were added since. */
  | { readonly kind: 'make'; readonly domains: readonly HostName[]; readonly keyType: Dkim['keyType'] }
  /** Due once the records of these are seen. */
  | { readonly kind: 'switch'; readonly keys: readonly FoundDkimKey[] }
  | { readonly kind: 'retire'; readonly keys: readonly FoundDkimKey[]; readonly wait: DkimWait | undefined };

/**
 * The stage that comes next. A former key is retired 7 days after the last signer was seen with the new one, which
 * `seen` says of each; `signs` is what each should have.
 */
export function dkimStage(
  settings: Settings,
  keys: readonly FoundDkimKey[],
  signers: readonly { readonly hostname: HostName; readonly wanted: string; readonly seen: SeenHost | undefined }[],
  at: Date,
): DkimStage {
  const { domains = [], keyType = 'rsa-2048' } = settings.dkim ?? {};
  const next = keys.filter(({ domain, state }) => state === 'next' && domains.includes(domain));
  const [first] = next;
  if (first !== undefined) {
    const others = activeKeys(settings, keys).filter((one) => next.every(({ domain }) => domain !== one.domain));
    const added = others.filter((one) => one.keyType !== first.keyType).map(({ domain }) => domain);
    if (added.length > 0) return { kind: 'make', domains: added, keyType: first.keyType };
    return { kind: 'switch', keys: next };
  }
  const former = keys.filter(({ state }) => state === 'former');
  if (former.length === 0) return { kind: 'make', domains, keyType };
  const late = signers.filter(({ wanted, seen }) => seen?.dkim !== wanted).map(({ hostname }) => hostname);
  if (late.length > 0) return { kind: 'retire', keys: former, wait: { kind: 'hosts', hosts: late } };
  // A switch in the future was made with a clock that was ahead; the next look at each signer says since when.
  const switches = former.map(({ since }) => since).filter((since) => since <= at);
  const times = [...switches, ...signers.flatMap(({ seen }) => seen?.dkimSince ?? [])].map(Number);
  const time = new Date((times.length === 0 ? Number(at) : Math.max(...times)) + formerDays * dayMs);
  return { kind: 'retire', keys: former, wait: at < time ? { kind: 'until', time } : undefined };
}

/** The name of a key's file, in certs/dkim/ and in OpenDKIM's folder on a signer: with the selector, of which there are several. */
export function dkimKeyFile({ domain, selector }: Pick<FoundDkimKey, 'domain' | 'selector'>): string {
  return `${domain}.${selector}.key.pem`;
}

/** The names of the files in a signer's bundle; the same here and in postfix.directory there. */
export const dkimNames = {
  configuration: 'opendkim.conf',
  keyTable: 'opendkim.KeyTable',
  signingTable: 'opendkim.SigningTable',
  unit: 'opendkim.service',
  /** Without the selector, so that the settings are enough to know the name. */
  key: (domain: HostName) => `${domain}.dkim.key.pem`,
} as const;

/** Those that decide what is signed, and how; not the keys. */
export const signingFiles: readonly string[] = [dkimNames.configuration, dkimNames.signingTable, dkimNames.unit];

/** All of them; none if the host does not sign. */
export function dkimFiles(settings: Pick<Settings, 'dkim'>, host: HostSettings): readonly string[] {
  if (settings.dkim === undefined || !isSigner(settings, host)) return [];
  const { configuration, keyTable, signingTable, unit, key } = dkimNames;
  return [configuration, keyTable, signingTable, unit, ...settings.dkim.domains.map(key)];
}
