// `relaycerts clean`: removes what make made: certs/, hosts/ and, with --all, the passphrase file. The operator key is
// never touched, because it may open other passphrases. A file that make does not make (store/made-files.ts) stays and is
// named.

import { basename, dirname, join } from 'node:path';
import { readSealedTo } from '../custody/sealed-to.js';
import { RelaycertsError, howMany, listSome, quote, quotePath } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { passphraseFileName, type Settings } from '../settings/settings.js';
import { shellWords } from '../shell-word.js';
import { keptPassphrases } from '../store/kept-passphrases.js';
import { layoutOf, operatorKeyPlace, type Layout } from '../store/layout.js';
import { madeFiles, type MadeFiles } from '../store/made-files.js';
import { findOtherCa } from '../store/read.js';
import { foldersOf } from '../store/safety.js';
import { listFolder, lookAt, readFile } from '../sys/files.js';
import { followLinks } from '../sys/missing.js';
import { shownPath } from '../sys/shown-path.js';
import type { Sys } from '../sys/sys.js';
import { agree } from '../sys/agree.js';
import { commitChangeWithWords, locked } from './locked.js';
import { contradiction, type GlobalOptions } from './run.js';

export interface CleanOptions extends GlobalOptions {
  readonly yes: boolean;
  /** Also remove the passphrase file. */
  readonly all: boolean;
}

/** @throws settings, usage, lock, contradiction, files, interrupted */
export async function clean(options: CleanOptions, sys: Sys): Promise<void> {
  await locked(options.settings, sys, async (settings, lock) => {
    const layout = layoutOf(settings);
    const others = await findOtherCa(settings, layout);
    if (others.length > 0) throw contradiction(others);
    const { isHost, isMade } = madeFiles(settings, layout);
    const bundles = (await listFolder(layout.hostsFolder)).filter(isHost).map((name) => join(layout.hostsFolder, name));
    const folders = [...bundles, ...foldersOf(layout).toReversed()];
    const all = new Set(folders);
    const found = await Promise.all(folders.map((folder) => filesIn(folder, all, isMade)));
    const sealed = options.all ? await sealedFiles(settings, layout, sys) : [];
    const removes = [...found.flatMap(({ ours }) => ours), ...sealed];
    for (const [at, folder] of folders.entries()) sayStrange(folder, found[at]?.strange ?? [], sys);
    if (removes.length > 0) {
      if (!options.json) {
        sys.write(listFiles(removes, layout, sys));
        await sys.flush();
      }
      if (bundles.length > 0) {
        sys.warn('these bundles may be installed on hosts; with a new CA, every host must be installed again');
      }
      if (sealed.length > 0) {
        sys.warn('--all also deletes the passphrase: backups of the CA key can then never be opened');
        if (settings.passphrase.file === join(sys.home, passphraseFileName(settings.domain))) {
          sys.warn(`other projects of ${settings.domain} use this passphrase file by default`, {
            run: ['clean'],
            before: 'if there is one, keep the file:',
          });
        }
        const { path } = operatorKeyPlace(sys.configHome);
        if (lookAt(path) !== undefined) sys.say('the operator key stays', path);
      }
      await agree(options, sys, {
        ask: `Remove ${removes.length === 1 ? 'this file' : `these ${removes.length} files`}?`,
        deed: 'clean asks before it removes',
        unasked: { run: ['clean', '--yes', ...(options.all ? ['--all'] : [])], before: 'to remove without asking:' },
        declined: 'nothing was removed',
      });
    }
    const words = options.json ? writeAnswer('clean', { removed: removes }) : '';
    const change = { writes: [], appends: [], removes, empties: folders };
    await commitChangeWithWords(settings, sys, lock, change, words);
    if (lookAt(layout.certsFolder) === undefined) await lock.remove();
    sys.say(removes.length === 0 ? 'nothing to remove' : `removed ${howMany(removes.length, 'file')}`);
  });
}

/** The most files that are listed one by one. */
const mostListed = 40;

/** One line for each file, or for each folder if there are many; the bundles count as one folder. */
function listFiles(paths: readonly string[], { hostsFolder }: Layout, sys: Sys): string {
  if (paths.length <= mostListed) return paths.map((path) => `${shownPath(path, sys)}\n`).join('');
  const counts = new Map<string, number>();
  for (const path of paths) {
    const folder = path.startsWith(`${hostsFolder}/`) ? hostsFolder : dirname(path);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts].map(([folder, count]) => `${shownPath(folder, sys)}/: ${howMany(count, 'file')}\n`).join('');
}

/** The files in a folder: those that make makes, and the others. `folders` are none of them. */
async function filesIn(
  folder: string,
  folders: ReadonlySet<string>,
  isMade: MadeFiles['isMade'],
): Promise<{ readonly ours: readonly string[]; readonly strange: readonly string[] }> {
  const ours: string[] = [];
  const strange: string[] = [];
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    if (folders.has(path)) continue;
    if (isMade(path) && lookAt(path)?.kind === 'file') ours.push(path);
    else strange.push(path);
  }
  return { ours, strange };
}

function sayStrange(folder: string, strange: readonly string[], sys: Sys): void {
  if (strange.length === 0) return;
  const names = listSome(strange.map((path) => quote(basename(path))));
  sys.warn(`${quotePath(folder)} stays: it has files that make did not make (${names})`);
}

/** The passphrase file and its predecessors, if a CA was made here and they are OpenPGP messages. */
async function sealedFiles(settings: Settings, layout: Layout, sys: Sys): Promise<readonly string[]> {
  const file = followLinks(settings.passphrase.file);
  const sealed: string[] = [];
  for (const path of [...(await keptPassphrases(file)), file]) {
    const bytes = readFile(path, { followLink: true });
    if (bytes === undefined) continue;
    if (isSealed(bytes, path)) sealed.push(path);
    else sys.warn(`${quotePath(path)} is not an OpenPGP message, so it stays`);
  }
  const hasCa = lookAt(layout.caKey.path) ?? lookAt(layout.ledger.path);
  if (sealed.length === 0 || hasCa !== undefined) return sealed;
  sys.warn(
    `the passphrase file ${quotePath(file)} stays: no CA was made here, and other projects may share it`,
    `if nothing needs it: rm ${shellWords(sealed)}`,
  );
  return [];
}

function isSealed(bytes: Uint8Array, from: string): boolean {
  try {
    readSealedTo(bytes, { from });
    return true;
  } catch (error) {
    if (error instanceof RelaycertsError) return false;
    throw error;
  }
}
