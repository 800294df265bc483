// Reads what is there into an Inventory. Damaged or open files become problems, so that all are said at once; nothing
// is written.

import { join } from 'node:path';
import { parseCertificates } from '../certificate/certificate.js';
import { parsePrivateKey } from '../certificate/private-key.js';
import { parseRequest } from '../certificate/request.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { findHostName, type HostName } from '../names.js';
import { inGroups } from '../sys/all-ended.js';
import { listFolder, readFile, statFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import type {
  FoundCertificate,
  FoundKey,
  FoundRequest,
  HostInventory,
  Inventory,
  Stranger,
} from '../plan/inventory.js';
import { hostsOf, roles, type HostSettings, type Settings } from '../settings/settings.js';
import { bundleParts, type KeyPlace } from '../plan/bundle-names.js';
import type { Cas } from '../plan/ca-rekey.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';
import { readHistory } from './history.js';
import { foundEntries, issuedCertificates } from './issued.js';
import { revokedHosts } from './ledger.js';
import { findOddFolders } from './odd.js';

/** How many hosts' files are read at the same time. */
const readersAtOnce = 32;
/** Octets; a client that is pinned by its certificate has about 300 in the table, and all clients are in it. */
const tableLimit = 64 << 20;

/** The inventory of everything that the settings ask for. @throws files - what cannot be looked at at all */
export async function readInventory(settings: Settings, sys: Pick<Sys, 'configHome' | 'uid'>): Promise<Inventory> {
  const layout = layoutOf(settings);
  const problems: Problem[] = [...(await findOddFolders(settings))];
  const operatorKey = operatorKeyPlace(sys.configHome).path;
  const [caKey, caCertificate, passphraseFile, operator, ledger, strangers] = await Promise.all([
    readPrivate(layout.caKey.path, sys.uid, problems),
    readCertificate(layout.caCertificate.path, problems),
    collect(problems, () => readFile(settings.passphrase.file, { followLink: true })),
    readPrivate(operatorKey, sys.uid, problems),
    readHistory(layout),
    findStrangers(settings, layout),
  ]);
  const ca = await readOtherCas(layout, sys.uid, problems);
  const context = { layout, special: await listSpecial(layout), revoked: revokedHosts(ledger.entries), uid: sys.uid };
  const hosts = await inGroups(hostsOf(settings), readersAtOnce, (one) => readHost(one, context, problems));
  const recorded = new Set(ledger.entries.map(({ serial }) => serial));
  const lost = foundEntries({ caCertificate, hosts }, settings.ca.commonName, (serial) => !recorded.has(serial));
  return {
    caKeyPath: layout.caKey.path,
    caKey,
    caCertificatePath: layout.caCertificate.path,
    caCertificate,
    ...ca,
    passphraseFile,
    operatorKeyPath: operatorKey,
    operatorKey: operator,
    hosts,
    issued: issuedCertificates([...ledger.entries, ...lost]),
    recorded,
    revokedKeys: new Set(
      ledger.entries.flatMap(({ event, publicKeySha256 }) => (event === 'revoked' ? [publicKeySha256] : [])),
    ),
    caRecorded: ledger.entries.some(({ role }) => role === 'ca'),
    damagedLedgerLines: ledger.damaged,
    problems,
    strangers,
  };
}

/** What a rekey of the CA has beside the one that signs. */
async function readOtherCas(
  layout: Layout,
  uid: number,
  problems: Problem[],
): Promise<Pick<Inventory, 'nextCa' | 'formerCa' | 'isCaCut'>> {
  const [nextKey, next, formerKey, former] = await Promise.all([
    readPrivate(layout.nextCaKey.path, uid, problems),
    readCertificate(layout.nextCaCertificate.path, problems),
    readPrivate(layout.formerCaKey.path, uid, problems),
    readCertificate(layout.formerCaCertificate.path, problems),
  ]);
  const hasNext = nextKey !== undefined || next !== undefined;
  const hasFormer = formerKey !== undefined || former !== undefined;
  return {
    nextCa: next && { keyPath: layout.nextCaKey.path, key: nextKey, certificate: next },
    formerCa: former && { keyPath: layout.formerCaKey.path, key: formerKey, certificate: former },
    isCaCut: (hasNext && hasFormer) || (nextKey !== undefined && next === undefined),
  };
}

/** One host's files and the CAs, for what is about that host alone. @throws files */
export async function readHostFiles(
  settings: Settings,
  one: HostSettings,
  { uid }: Pick<Sys, 'uid'>,
): Promise<{
  readonly files: HostInventory;
  readonly cas: Cas;
  readonly problems: readonly Problem[];
}> {
  const layout = layoutOf(settings);
  const problems: Problem[] = [...(await findOddFolders(settings))];
  const revoked = revokedHosts((await readHistory(layout)).entries);
  const files = await readHost(one, { layout, special: await listSpecial(layout), revoked, uid }, problems);
  const caCertificate = await readCertificate(layout.caCertificate.path, problems);
  const { nextCa, formerCa } = await readOtherCas(layout, uid, problems);
  return { files, cas: { caCertificate, nextCa, formerCa }, problems };
}

/** Where a host's key is. @throws files */
export async function findKeyPlace(layout: Layout, { role, hostname }: HostSettings): Promise<KeyPlace> {
  return (await statFile(layout.request(role, hostname).path)) === undefined ? 'here' : 'host';
}

/** The paths of requests and of what a rekey leaves: few hosts have any, so two folders are listed once for all. */
async function listSpecial(layout: Layout): Promise<ReadonlySet<string>> {
  const folders = await Promise.all(
    roles.map(async (role) => {
      const folder = layout.roleFolder(role);
      const names = await listFolder(folder);
      return names
        .filter((name) => /\.(?:csr|old\.crt|new\.crt|new\.key)\.pem$/u.test(name))
        .map((name) => join(folder, name));
    }),
  );
  return new Set(folders.flat());
}

interface ReadContext {
  readonly layout: Layout;
  readonly special: ReadonlySet<string>;
  readonly revoked: ReadonlySet<string>;
  readonly uid: number;
}

async function readHost(
  host: HostSettings,
  { layout, special, revoked, uid }: ReadContext,
  problems: Problem[],
): Promise<HostInventory> {
  const { role, hostname } = host;
  const keyPath = layout.key(role, hostname).path;
  const certificatePath = layout.certificate(role, hostname).path;
  const requestPath = layout.request(role, hostname).path;
  const bundle = new Map<string, Buffer>();
  const places = layout.bundle(hostname);
  const [pem, certificate] = await Promise.all([
    readPrivate(keyPath, uid, problems),
    readCertificate(certificatePath, problems),
    ...bundleParts(role, 'here').map(async (part) => {
      const { path, mode } = places[part];
      const options = part === 'table' ? { limit: tableLimit } : {};
      const bytes = await collect(problems, () =>
        mode === 0o600 ? readPrivate(path, uid, problems) : readFile(path, options),
      );
      if (bytes !== undefined) bundle.set(path.slice(layout.bundleFolder(hostname).length + 1), bytes);
    }),
  ]);
  const key = await collectStored(problems, keyPath, (): FoundKey | undefined =>
    pem === undefined
      ? undefined
      : { path: keyPath, pem, privateKey: parsePrivateKey(pem, { from: quotePath(keyPath) }) },
  );
  const request = special.has(requestPath) ? await readRequest(requestPath, problems) : undefined;
  const previousPath = layout.previous(role, hostname).path;
  const before = special.has(previousPath) ? await readCertificate(previousPath, problems) : undefined;
  const previous = isSame(before, certificate) ? undefined : before;
  const isRekeyCut = [layout.nextKey, layout.nextCertificate].some((place) => special.has(place(role, hostname).path));
  const isRevoked = revoked.has(`${role} ${hostname}`);
  const bundleFolder = layout.bundleFolder(hostname);
  const hasBundle = (await collect(problems, () => statFile(bundleFolder)))?.kind === 'folder';
  return {
    host,
    keyPath,
    key,
    requestPath,
    request,
    certificatePath,
    certificate,
    previous,
    isRekeyCut,
    isRevoked,
    bundleFolder,
    hasBundle,
    bundle,
  };
}

export interface CertifiedHost {
  readonly host: HostSettings;
  readonly certificate: FoundCertificate | undefined;
  readonly previous: FoundCertificate | undefined;
  readonly isRevoked: boolean;
}

/** The certificates of all hosts, in the settings' order, for what needs no keys. @throws certificate, files */
export async function readCertifiedHosts(settings: Settings): Promise<readonly CertifiedHost[]> {
  const layout = layoutOf(settings);
  const revoked = revokedHosts((await readHistory(layout)).entries);
  return inGroups(hostsOf(settings), readersAtOnce, async (host) => {
    const { role, hostname } = host;
    const certificate = await readWholeCertificate(layout.certificate(role, hostname).path);
    const previous = await readWholeCertificate(layout.previous(role, hostname).path);
    return {
      host,
      certificate,
      previous: isSame(previous, certificate) ? undefined : previous,
      isRevoked: revoked.has(`${role} ${hostname}`),
    };
  });
}

/** A renewal that was cut off before the new certificate leaves the same one twice: it is no previous one yet. */
function isSame(one: FoundCertificate | undefined, other: FoundCertificate | undefined): boolean {
  return one !== undefined && other !== undefined && one.info.der.equals(other.info.der);
}

async function readWholeCertificate(path: string): Promise<FoundCertificate | undefined> {
  const bytes = await readFile(path);
  const [info] = bytes === undefined ? [] : parseCertificates(bytes, { from: quotePath(path) });
  return info === undefined ? undefined : { path, info };
}

async function readCertificate(path: string, problems: Problem[]): Promise<FoundCertificate | undefined> {
  return collectStored(problems, path, () => readWholeCertificate(path));
}

async function readRequest(path: string, problems: Problem[]): Promise<FoundRequest | undefined> {
  return collect(problems, async () => {
    const bytes = await readFile(path);
    return bytes === undefined ? undefined : { path, info: parseRequest(bytes, { from: quotePath(path) }) };
  });
}

async function readPrivate(path: string, uid: number, problems: Problem[]): Promise<Buffer | undefined> {
  const state = await collect(problems, () => statFile(path));
  if (state === undefined) return undefined;
  if (state.kind === 'file' && (state.mode & 0o077) !== 0) {
    const mode = state.mode.toString(8).padStart(4, '0');
    problems.push({
      message: `${quotePath(path)} holds a private key and has mode ${mode}: others can read or change it, and where others were on this machine, it is lost to them`,
      hint: `chmod 600 ${shellWord(path)}`,
    });
  }
  if (state.kind === 'file' && uid > 0 && state.uid !== uid) {
    problems.push({
      message: `${quotePath(path)} holds a private key and belongs to another user (uid ${state.uid})`,
      hint: `sudo chown ${uid} ${shellWord(path)}`,
    });
  }
  return collect(problems, () => readFile(path));
}

/** What is left of hosts that the settings no longer name. Other files and folders there are not ours to speak of. */
async function findStrangers(settings: Settings, layout: Layout): Promise<readonly Stranger[]> {
  const known = new Set<string>(hostsOf(settings).map(({ hostname }) => hostname));
  const left = new Map<HostName, string[]>();
  const note = (name: string | undefined, path: string): void => {
    const hostname = name === undefined || known.has(name) ? undefined : findHostName(name);
    if (hostname !== undefined) left.set(hostname, [...(left.get(hostname) ?? []), path]);
  };
  for (const name of await listFolder(layout.hostsFolder)) {
    if (known.has(name)) continue;
    const folder = join(layout.hostsFolder, name);
    // Any folder may have a name that would do for a host; a bundle holds its host's certificate, where that can be seen.
    const state = await statFile(join(folder, `${name}.crt.pem`)).catch(() => undefined);
    if (state !== undefined) note(name, folder);
  }
  for (const role of roles) {
    const folder = layout.roleFolder(role);
    for (const file of await listFolder(folder)) {
      note(/^(.+?)(?:\.old|\.new)?\.(?:key|crt|csr)\.pem$/u.exec(file)?.[1], join(folder, file));
    }
  }
  return [...left].map(([hostname, paths]) => ({ hostname, paths }));
}

async function collect<T>(problems: Problem[], work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** The same for a file of ours, which is damaged where it does not hold what it should. */
async function collectStored<T>(problems: Problem[], path: string, work: () => T | Promise<T>): Promise<T | undefined> {
  return collect(problems, async () => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RelaycertsError) || error.code !== 'certificate') throw error;
      throw new RelaycertsError('certificate', error.message, {
        hint: `bring it back from a backup, or put it aside and see what relaycerts make says: mv ${shellWord(path)} ${shellWord(`${path}.damaged`)}`,
        cause: error,
      });
    }
  });
}
