// `relaycerts clean`: removes what make made, and nothing else. Every path comes from the layout and from the names in
// the settings and the ledger, never from a pattern; what lies beside them stays and is named.

import { dirname, join } from 'node:path';
import { readSealedTo, type SealedTo } from '../custody/sealed-to.js';
import { RelaycertsError, listSome, quote, quotePath } from '../errors.js';
import { listFolder, readFile, removeEmptyFolder, removeFile, statFile, syncFolder } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { findHostName, parseHostName, parseSerial, type HostName } from '../names.js';
import { shellWord } from '../shell-word.js';
import { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import { hostsOf, passphraseFileName, roles, type Role, type Settings } from '../settings/settings.js';
import { settleBundleFolders } from '../store/bundle-folder.js';
import { keptPassphrases, moveAside } from '../store/kept-passphrases.js';
import { layoutOf, operatorKeyPlace, type Layout } from '../store/layout.js';
import { guardWriting } from '../store/guard-writing.js';
import { readHistory } from '../store/history.js';
import { fixedFolders } from '../store/look.js';
import { withTurn } from '../store/turn.js';
import { sweepTemporaries } from '../store/sweep.js';
import type { GlobalOptions } from './options.js';

export interface CleanOptions extends GlobalOptions {
  readonly yes: boolean;
  /** The passphrase file too. */
  readonly all: boolean;
}

/** @throws settings, usage, lock, files, interrupted */
export async function clean(options: CleanOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  // It makes room. What it writes is the lock, and the operator key gets another name alone.
  await guardWriting(settings, sys, { needsRoom: false });
  await withTurn(settings, sys, () => cleanLocked(options, settings, sys));
}

// Under the lock from the first look on: what was agreed to is what is removed.
async function cleanLocked(options: CleanOptions, settings: Settings, sys: Sys): Promise<void> {
  const layout = layoutOf(settings);
  await settleBundleFolders(layout, sys);
  // What a make that died has left in the folders would keep them, and may hold a key.
  await sweepTemporaries(settings, sys, sys.now());
  const hosts = await knownHosts(settings, layout);
  const groups = await whatIsThere(settings, layout, hosts, sys, options.all);
  const files = groups.flat();
  const folders = ownFolders(layout, hosts);
  if (files.length === 0) {
    const isCutOff = await removeFolders(folders, sys);
    if (isCutOff) await syncAround(folders);
    sys.say(isCutOff ? 'finished a clean that was cut off' : 'nothing to remove');
    if (options.json) sys.write(`${JSON.stringify({ removed: [] })}\n`);
    return;
  }
  if (!options.json) sys.write(files.map((path) => `${path}\n`).join(''));
  const bundles = files.filter((path) => path.startsWith(`${layout.hostsFolder}/`));
  if (bundles.length > 0) {
    sys.warn(
      'bundles were made and may be deployed: hosts that carry them go on until their certificates expire, but with a ' +
        'new CA every host has to be installed again',
    );
  }
  if (files.includes(settings.passphrase.file)) warnOfPassphrase(settings, sys);
  await agree(options, sys, files.length);
  const operatorKey = operatorKeyPlace(sys.configHome).path;
  for (const group of groups) {
    // The ledger alone names hosts that the settings no longer do: their folders go before it.
    if (group.includes(layout.ledger.path)) {
      for (const folder of folders) await removeEmptyFolder(folder);
      await syncAround(folders);
    }
    for (const path of group) {
      if (path === operatorKey) await keepOperatorKey(path, sys);
      else await removeFile(path);
    }
    const emptied = group.map((path) => dirname(path));
    // One that is gone needs no sync of its own, and there may be thousands.
    for (const folder of new Set(emptied)) {
      if (dirname(folder) === layout.hostsFolder) await removeEmptyFolder(folder);
    }
    await syncAround([...emptied, ...fixedFolders(layout)]);
  }
  await removeFolders(folders, sys);
  await syncAround(folders);
  if (options.json) sys.write(`${JSON.stringify({ removed: files }, undefined, 2)}\n`);
  sys.say(`removed ${files.length} files`);
}

/**
 * Makes durable what was removed in these folders, or with them. After every group: power that fails must not bring back
 * what went first. Also where this run removed nothing there, for a run before it may have been cut off just short of it.
 */
async function syncAround(folders: readonly string[]): Promise<void> {
  const there = new Set<string>();
  for (const folder of new Set(folders)) there.add(await nearestFolder(folder));
  for (const folder of there) await syncFolder(folder);
}

async function nearestFolder(path: string): Promise<string> {
  return (await statFile(path)) === undefined && dirname(path) !== path ? nearestFolder(dirname(path)) : path;
}

/** It cannot be made again, and nothing here can tell every passphrase that is encrypted to it. */
async function keepOperatorKey(path: string, sys: Pick<Sys, 'warn'>): Promise<void> {
  const kept = await moveAside(path);
  if (kept === undefined) return;
  sys.warn(
    `the operator key is kept aside, for other projects' passphrase files may be encrypted to it too: ${quotePath(kept)}`,
    `to bring it back: mv ${shellWord(kept)} ${shellWord(path)}; where you are certain that nothing needs it: rm ${shellWord(kept)}`,
  );
}

function warnOfPassphrase({ passphrase: { file }, domain }: Settings, sys: Pick<Sys, 'home' | 'warn'>): void {
  sys.warn("with --all the passphrase goes too: a copy of the CA's key that you kept stays closed for ever");
  if (file !== join(sys.home, passphraseFileName(domain))) return;
  sys.warn(
    `other projects may share it, for each with the domain ${domain} has it by default, and then their CA's keys stay closed for ever: ${quotePath(file)}`,
    'where there is one, keep it: relaycerts clean',
  );
}

async function agree({ yes, all }: CleanOptions, sys: Sys, count: number): Promise<void> {
  if (yes) return;
  if (!sys.interactive) {
    throw new RelaycertsError('usage', 'clean asks before it removes, and here is no terminal to ask on', {
      hint: `to remove without a question: relaycerts clean --yes${all ? ' --all' : ''}`,
    });
  }
  if (!(await sys.confirm(`Remove these ${count} files?`))) {
    throw new RelaycertsError('interrupted', 'nothing was removed');
  }
}

/**
 * The paths of what is there, in groups, each of which is durably gone before the next: certificates before keys and the
 * ledger last, so that what a crash leaves, or power that fails, is a state that make and clean understand.
 */
async function whatIsThere(
  settings: Settings,
  layout: Layout,
  hosts: KnownHosts,
  sys: Pick<Sys, 'configHome' | 'home' | 'warn'>,
  all: boolean,
): Promise<readonly (readonly string[])[]> {
  const custody = all ? await custodyPaths(settings, layout, sys) : { sealed: [], operatorKey: [] };
  const groups = [
    [
      ...hosts.flatMap(([, hostname]) => Object.values(layout.bundle(hostname)).map(({ path }) => path)),
      ...hosts.map(([role, hostname]) => layout.certificate(role, hostname).path),
    ],
    hosts.map(([role, hostname]) => layout.key(role, hostname).path),
    [
      ...[layout.request, layout.previous, layout.nextCertificate, layout.nextKey].flatMap((place) =>
        hosts.map(([role, hostname]) => place(role, hostname).path),
      ),
      ...(await putAwayPaths(layout)),
      layout.toInstall.path,
      layout.nextCaCertificate.path,
      layout.nextCaKey.path,
      layout.formerCaCertificate.path,
      layout.formerCaKey.path,
      layout.caCertificate.path,
    ],
    [layout.caKey.path],
    // After the key, which at no instant may lie there closed: a change that was cut off has left the one that opens it.
    [layout.pendingPassphrase.path, ...custody.sealed],
    custody.operatorKey,
    // It says that there was a CA, and it alone names hosts that the settings no longer do.
    [layout.ledger.path],
  ];
  const seen = new Set<string>();
  const found: (readonly string[])[] = [];
  for (const group of groups) {
    const paths: string[] = [];
    for (const path of group) {
      if (seen.has(path)) continue;
      seen.add(path);
      const state = await statFile(path);
      if (state?.kind === 'file' || state?.kind === 'link') paths.push(path);
    }
    if (paths.length > 0) found.push(paths);
  }
  return found;
}

interface Custody {
  readonly sealed: readonly string[];
  readonly operatorKey: readonly string[];
}

/**
 * Where a CA was made here: the passphrase file and those that it has replaced, and the operator key that opens it, where
 * nothing else of this user is seen to need that.
 */
async function custodyPaths(
  settings: Settings,
  layout: Layout,
  sys: Pick<Sys, 'configHome' | 'home' | 'warn'>,
): Promise<Custody> {
  const { file } = settings.passphrase;
  const sealed: string[] = [];
  for (const path of [...(await keptPassphrases(file)), file]) {
    const bytes = await readFile(path, { followLink: true });
    if (bytes === undefined) continue;
    if (readsAsSealed(bytes, path) === undefined) sys.warn(`${quotePath(path)} is no OpenPGP message, so it stays`);
    else sealed.push(path);
  }
  const none = { sealed: [], operatorKey: [] };
  if (sealed.length === 0) return none;
  for (const { path } of [layout.caKey, layout.ledger]) {
    if ((await statFile(path)) !== undefined) return { sealed, operatorKey: await operatorKeyPaths(file, sys) };
  }
  sys.warn(
    `the passphrase file ${quotePath(file)} stays: no CA was made here, and other projects may share it`,
    `where you are certain that nothing needs it: rm ${sealed.map((path) => shellWord(path)).join(' ')}`,
  );
  return none;
}

/** The operator key, where this passphrase file is encrypted to it and the user has no other by the default name. */
async function operatorKeyPaths(
  file: string,
  sys: Pick<Sys, 'configHome' | 'home' | 'warn'>,
): Promise<readonly string[]> {
  const { path } = operatorKeyPlace(sys.configHome);
  const [armored, bytes] = [await readFile(path), await readFile(file, { followLink: true })];
  if (armored === undefined || bytes === undefined) return [];
  const sealedTo = readsAsSealed(bytes, file);
  const { isSealedTo, readOperatorKey } = await import('../custody/operator-key.js');
  const key = await readOperatorKey({ armored: new Secret(armored), from: path }).catch(() => undefined);
  const isOurs = key !== undefined && sealedTo !== undefined && isSealedTo(sealedTo, key);
  const others = (await listFolder(sys.home))
    .filter((name) => /^\..+-relaycerts-passphrase\.gpg$/u.test(name))
    .map((name) => join(sys.home, name))
    .filter((other) => other !== file);
  if (isOurs && others.length === 0) return [path];
  const why = isOurs
    ? `it may open ${listSome(others.map((other) => quotePath(other)))} too`
    : 'this passphrase is not encrypted to it';
  sys.warn(
    `the operator key ${quotePath(path)} stays: ${why}`,
    `where you are certain that nothing needs it: rm ${shellWord(path)}`,
  );
  return [];
}

/** Undefined for what is no encrypted file, or a damaged one. */
function readsAsSealed(bytes: Uint8Array, from: string): SealedTo | undefined {
  try {
    return readSealedTo(bytes, { from });
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}

type KnownHosts = readonly (readonly [Role, HostName])[];

async function knownHosts(settings: Settings, layout: Layout): Promise<KnownHosts> {
  const hosts = new Map<string, readonly [Role, HostName]>();
  for (const { role, hostname } of hostsOf(settings)) hosts.set(`${role} ${hostname}`, [role, hostname]);
  for (const { role, name } of (await readHistory(layout)).entries) {
    if (role === 'ca') continue;
    // A ledger that somebody changed names no path of ours.
    const hostname = findHostName(name);
    if (hostname !== undefined) hosts.set(`${role} ${name}`, [role, hostname]);
  }
  return [...hosts.values()];
}

/** What retire and revoke keep, under the names that the ledger's hosts and serials give. */
async function putAwayPaths(layout: Layout): Promise<readonly string[]> {
  const { entries } = await readHistory(layout);
  return entries.flatMap(({ name, serial, role }) => {
    try {
      if (role === 'ca') {
        return [layout.retiredCaCertificate, layout.retiredCaKey].map((place) => place(parseSerial(serial)).path);
      }
      const base = `${parseHostName(name)}-${parseSerial(serial)}`;
      return [
        join(layout.retiredFolder, `${base}.crt.pem`),
        ...['crt.pem', 'key.pem', 'csr.pem', 'old.crt.pem', 'new.crt.pem', 'new.key.pem'].map((end) =>
          join(layout.revokedFolder, `${base}.${end}`),
        ),
      ];
    } catch {
      return [];
    }
  });
}

/** The folders that make makes, the inner ones first. */
function ownFolders(layout: Layout, hosts: KnownHosts): readonly string[] {
  return [
    ...hosts.map(([, hostname]) => layout.bundleFolder(hostname)),
    layout.hostsFolder,
    ...roles.map((role) => layout.roleFolder(role)),
    layout.retiredFolder,
    layout.revokedFolder,
    layout.caFolder,
    layout.certsFolder,
  ];
}

/** Removes those that are empty; true where there was one. */
async function removeFolders(folders: readonly string[], sys: Pick<Sys, 'warn'>): Promise<boolean> {
  let hasRemoved = false;
  for (const folder of folders) {
    if (await removeEmptyFolder(folder)) {
      hasRemoved = true;
      continue;
    }
    if ((await statFile(folder))?.kind !== 'folder') continue;
    const left = await listFolder(folder);
    const strange = left.filter((name) => !folders.includes(join(folder, name)));
    if (strange.length > 0) {
      sys.warn(
        `${quotePath(folder)} stays: it holds what make did not make (${strange
          .slice(0, 5)
          .map((name) => quote(name))
          .join(', ')})`,
      );
    }
  }
  return hasRemoved;
}
