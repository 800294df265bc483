// Reads what is there into an Inventory. Damaged or open files become problems, so that all are said at once; nothing
// is written.

import { join } from 'node:path';
import { parseCertificates } from '../certificate/certificate.js';
import { parsePrivateKey } from '../certificate/private-key.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { listFolder, readFile, statFile } from '../host/files.js';
import type { Host } from '../host/host.js';
import type { FoundCertificate, FoundKey, HostInventory, Inventory } from '../plan/inventory.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { bundleParts } from '../plan/bundle-names.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';
import { readLedger } from './ledger.js';

/** How many hosts' files are read at the same time. */
const readersAtOnce = 32;

/** The inventory of everything that the settings ask for. @throws files - what cannot be looked at at all */
export async function readInventory(settings: Settings, host: Pick<Host, 'configHome' | 'uid'>): Promise<Inventory> {
  const layout = layoutOf(settings);
  const problems: Problem[] = [];
  const operatorKey = operatorKeyPlace(host.configHome).path;
  const [caKey, caCertificate, passphraseFile, operator, ledger, strangers] = await Promise.all([
    readPrivate(layout.caKey.path, host.uid, problems),
    readCertificate(layout.caCertificate.path, problems),
    collect(problems, () => readFile(settings.passphrase.file, { followLink: true })),
    readPrivate(operatorKey, host.uid, problems),
    readLedger(layout),
    findStrangers(settings, layout),
  ]);
  const hosts: HostInventory[] = [];
  const all = hostsOf(settings);
  for (let at = 0; at < all.length; at += readersAtOnce) {
    const some = all.slice(at, at + readersAtOnce);
    hosts.push(...(await Promise.all(some.map((one) => readHost(one, layout, host.uid, problems)))));
  }
  return {
    caKeyPath: layout.caKey.path,
    caKey,
    caCertificatePath: layout.caCertificate.path,
    caCertificate,
    passphraseFile,
    operatorKeyPath: operatorKey,
    operatorKey: operator,
    hosts,
    recorded: new Set(ledger.entries.map(({ serial }) => serial)),
    caRecorded: ledger.entries.some(({ role }) => role === 'ca'),
    damagedLedgerLines: ledger.damaged,
    problems,
    strangers,
  };
}

async function readHost(host: HostSettings, layout: Layout, uid: number, problems: Problem[]): Promise<HostInventory> {
  const { role, hostname } = host;
  const keyPath = layout.key(role, hostname).path;
  const certificatePath = layout.certificate(role, hostname).path;
  const bundle = new Map<string, Buffer>();
  const places = layout.bundle(hostname);
  const [pem, certificate] = await Promise.all([
    readPrivate(keyPath, uid, problems),
    readCertificate(certificatePath, problems),
    ...bundleParts(role).map(async (part) => {
      const { path, mode } = places[part];
      const bytes = await collect(problems, () => (mode === 0o600 ? readPrivate(path, uid, problems) : readFile(path)));
      if (bytes !== undefined) bundle.set(path.slice(layout.bundleFolder(hostname).length + 1), bytes);
    }),
  ]);
  const key = await collect(problems, (): FoundKey | undefined =>
    pem === undefined
      ? undefined
      : { path: keyPath, pem, privateKey: parsePrivateKey(pem, { from: quotePath(keyPath) }) },
  );
  return { host, keyPath, key, certificatePath, certificate, bundleFolder: layout.bundleFolder(hostname), bundle };
}

/** A host's certificate as it lies in certs/; undefined where there is none. @throws certificate, files */
export async function readHostCertificate(layout: Layout, host: HostSettings): Promise<FoundCertificate | undefined> {
  const { path } = layout.certificate(host.role, host.hostname);
  const bytes = await readFile(path);
  const [info] = bytes === undefined ? [] : parseCertificates(bytes, { from: quotePath(path) });
  return info === undefined ? undefined : { path, info };
}

async function readCertificate(path: string, problems: Problem[]): Promise<FoundCertificate | undefined> {
  return collect(problems, async () => {
    const bytes = await readFile(path);
    const [info] = bytes === undefined ? [] : parseCertificates(bytes, { from: quotePath(path) });
    return info === undefined ? undefined : { path, info };
  });
}

async function readPrivate(path: string, uid: number, problems: Problem[]): Promise<Buffer | undefined> {
  const state = await collect(problems, () => statFile(path));
  if (state === undefined) return undefined;
  if (state.kind === 'file' && (state.mode & 0o077) !== 0) {
    const mode = state.mode.toString(8).padStart(4, '0');
    problems.push({
      message: `${quotePath(path)} holds a private key and has mode ${mode}: others can read or change it`,
      hint: `chmod 600 ${shellWord(path)}; if others were on this machine, take the key for lost`,
    });
  }
  if (state.kind === 'file' && uid > 0 && state.uid !== uid) {
    problems.push({
      message: `${quotePath(path)} holds a private key and belongs to another user (uid ${state.uid})`,
      hint: `run relaycerts as that user, or take the file over: chown ${uid} ${shellWord(path)}`,
    });
  }
  return collect(problems, () => readFile(path));
}

async function findStrangers(settings: Settings, layout: Layout): Promise<readonly string[]> {
  const known = new Set<string>(hostsOf(settings).map(({ hostname }) => hostname));
  const names = (await listFolder(layout.hostsFolder)).filter((name) => !known.has(name));
  const states = await Promise.all(names.map((name) => statFile(join(layout.hostsFolder, name))));
  return names.filter((_name, at) => states[at]?.kind === 'folder');
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
