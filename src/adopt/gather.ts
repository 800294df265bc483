// Reads what `adopt` was pointed at, a folder or single files, and obtains the passphrase of an encrypted CA key: given,
// from the passphrase file of the old Makefile, or asked for. It writes nothing.

import { isAbsolute, join, relative } from 'node:path';
import { openPassphrase } from '../custody/open.js';
import { RelaycertsError, quotePath } from '../errors.js';
import type { Secret } from '../secret.js';
import { pathWord } from '../shell-word.js';
import { lookAt } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import type { AskPassphrase, ChosenCa } from './choose-ca.js';
import { kindOf, sortMaterial, type Kind, type Material } from './material.js';
import { readNamed, scanFolder, type Scan, type ScannedFile } from './scan.js';

/** What a person named; absolute paths. */
export interface Sources {
  readonly folder: string | undefined;
  readonly caKey: string | undefined;
  readonly caCert: string | undefined;
  readonly index: string | undefined;
  readonly files: readonly string[];
}

/** The material; nothing below `project` is read. @throws usage, files, certificate - a named file has nothing */
export async function gatherMaterial(
  sources: Sources,
  project: string,
): Promise<{ readonly material: Material; readonly kind: Kind }> {
  const { folder, caKey, caCert, index, files } = sources;
  if (folder === undefined && (caKey === undefined || caCert === undefined)) {
    throw new RelaycertsError('usage', 'adopt needs the folder of a CA, or the files of its key and certificate', {
      hint: { run: ['adopt', '--help'] },
    });
  }
  if (folder !== undefined && lookAt(folder)?.kind !== 'folder') {
    throw new RelaycertsError('usage', `there is no folder ${quotePath(folder)}`, {
      hint: 'name the folder that has the CA, or its files with --ca-key and --ca-cert',
    });
  }
  if (folder === project) {
    throw new RelaycertsError('usage', 'the CA is in the folder of the new project, and nothing there is replaced', {
      hint: { run: ['adopt', folder], before: 'start in an empty folder: mkdir ~/relay && cd ~/relay &&' },
    });
  }
  const named = [caKey, caCert, index, ...files].filter((path) => path !== undefined);
  const nothing: Scan = { files: [], passedOver: [] };
  const scan = folder === undefined ? nothing : await scanFolder(folder, project);
  const known = new Set(scan.files.map(({ path }) => path));
  const more = named.filter((path) => !known.has(path)).map((path) => readNamed(path));
  const material = sortMaterial({ ...scan, files: [...scan.files, ...more] }, index);
  for (const path of named) if (!isUsed(path, material)) throw emptyError(path);
  return { material, kind: folder === undefined ? 'files' : kindOf(folder, scan) };
}

function isUsed(path: string, { certificates, keys, requests, lists }: Material): boolean {
  return (
    lists.includes(path) ||
    certificates.some(({ paths }) => paths.includes(path)) ||
    [...keys, ...requests].some((one) => one.path === path)
  );
}

function emptyError(path: string): RelaycertsError {
  return new RelaycertsError('certificate', `${quotePath(path)} holds nothing that can be used, or is damaged`, {
    hint: /\.(?:p12|pfx)$/iu.test(path)
      ? `convert it first: openssl pkcs12 -in ${pathWord(path)} -out NEWFILE`
      : 'give a certificate, a private key or a request in PEM form; for --index the index.txt of openssl ca',
  });
}

/** What may have let others copy the CA's key, or change what is taken over. */
export function openWarnings(
  folder: string | undefined,
  { keys }: Material,
  ca: ChosenCa,
  uid: number,
): readonly string[] {
  const mode = keys.find(({ path }) => path === ca.keyPath)?.state.mode ?? 0;
  const place = folder === undefined ? undefined : lookAt(folder);
  const isOpen = place !== undefined && ((place.mode & 0o022) !== 0 || ![0, uid].includes(place.uid));
  return [
    ...((mode & 0o077) === 0
      ? []
      : [`others can read the CA's key ${quotePath(ca.keyPath)} (mode 0${mode.toString(8)}), and may have a copy`]),
    ...(isOpen && uid !== 0
      ? [`others can change ${quotePath(folder ?? '')}: make sure that this is the fingerprint of your CA`]
      : []),
  ];
}

interface PassphraseWork {
  readonly given: Secret | undefined;
  readonly material: Material;
  /** As settings.mk names the passphrase file. */
  readonly wanted: string | undefined;
  readonly folder: string | undefined;
  readonly sys: Sys;
}

/** How the passphrase of the CA's key is obtained. */
export function passphraseSource({ given, material, wanted, folder, sys }: PassphraseWork): AskPassphrase {
  return async (keyPath) => {
    if (given !== undefined) return given;
    let failure: unknown;
    for (const { path, bytes } of sealedFiles(material, wanted, folder, sys.home)) {
      try {
        const sealed = { bytes, from: path, operatorKey: undefined, operatorKeyPath: undefined };
        return await openPassphrase({ ...sealed, run: sys.run, tty: sys.tty });
      } catch (error) {
        if (!(error instanceof RelaycertsError) || error.code === 'interrupted') throw error;
        failure ??= error;
      }
    }
    if (sys.interactive) return sys.askSecret(`Passphrase of the CA's key ${keyPath}:`);
    if (failure !== undefined) throw failure;
    throw new RelaycertsError(
      'usage',
      `the CA's key ${quotePath(keyPath)} is encrypted, and there is no terminal to ask on`,
      {
        hint: { run: [...sys.typed, '--passphrase-fd', '3'], after: '3< PASSPHRASE-FILE' },
      },
    );
  };
}

/** The file that settings.mk names, if it is in the folder or at home; otherwise what is in the folder. */
function sealedFiles(
  { sealed }: Material,
  wanted: string | undefined,
  folder: string | undefined,
  home: string,
): readonly ScannedFile[] {
  if (wanted === undefined || folder === undefined) return sealed;
  const plain = wanted.replace(/^~(?=\/)/u, home);
  const path = isAbsolute(plain) ? plain : join(folder, plain);
  const isNear = [folder, home].some((place) => !relative(place, path).startsWith('..'));
  if (!isNear || lookAt(path)?.kind !== 'file') return sealed;
  return [readNamed(path), ...sealed.filter((one) => one.path !== path)];
}
