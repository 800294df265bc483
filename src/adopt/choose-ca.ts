// Which CA is taken over: the self-signed one whose key is there and which signed the other certificates. Its key is
// opened here, because only then it is certain whose it is. What will not do is an error that says why.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { checkCa } from '../certificate/verify.js';
import { encodeSpki } from '../certificate/public-key.js';
import { judgePublicKey } from '../certificate/request.js';
import { RelaycertsError, listSome, quote, quotePath } from '../errors.js';
import { openForeignKey, type ForeignKey } from '../issue/foreign-key.js';
import type { KeyPair } from '../issue/keys.js';
import { curedByRenewal } from '../plan/ca-problems.js';
import { describeFinding } from '../plan/findings.js';
import type { Secret } from '../secret.js';
import type { Run } from '../sys/run.js';
import type { Held, Material } from './material.js';

/** Gives the passphrase of an encrypted key, once. @throws passphrase, usage, interrupted */
export type AskPassphrase = (path: string) => Promise<Secret>;

export interface ChosenCa {
  readonly held: Held;
  readonly keyPath: string;
  readonly pair: KeyPair;
  /** What opened the key; undefined if it was not encrypted. */
  readonly passphrase: Secret | undefined;
  /** What a renewal of the CA fixes, and what keeps it from working until then. */
  readonly flaws: readonly string[];
}

/** An opened key, by the file it is in. */
export interface OpenKey {
  readonly path: string;
  readonly privateKey: KeyObject;
  /** DER. */
  readonly spki: Buffer;
}

/** The keys that are not encrypted, or those that this passphrase opens; damaged ones are left out. */
export async function openKeys(
  { keys }: Material,
  passphrase: Secret | undefined,
  run: Run,
): Promise<readonly OpenKey[]> {
  const wanted = keys.filter(({ isEncrypted }) => isEncrypted === (passphrase !== undefined));
  const found = await Promise.all(wanted.map((one) => openOrUndefined(one, passphrase, run)));
  return found.filter((one) => one !== undefined);
}

/** Undefined if the passphrase is not this key's, or the key is damaged. */
async function openOrUndefined(
  key: ForeignKey,
  passphrase: Secret | undefined,
  run: Run,
): Promise<OpenKey | undefined> {
  try {
    const privateKey = await openForeignKey(key, passphrase, run);
    return { path: key.path, privateKey, spki: encodeSpki(privateKey) };
  } catch (error) {
    if (error instanceof RelaycertsError && ['passphrase', 'certificate'].includes(error.code)) return undefined;
    throw error;
  }
}

export interface CaSearch {
  readonly ask: AskPassphrase;
  readonly run: Run;
  readonly at: Date;
  /** Files that a person named; absolute. */
  readonly keyFile: string | undefined;
  readonly certificateFile: string | undefined;
}

/**
 * The CA, and the passphrase if one was asked for. @throws contradiction - which one is not clear, or it will not do;
 * passphrase, certificate, usage, tool, interrupted
 */
export async function chooseCa(
  material: Material,
  plain: readonly OpenKey[],
  { ask, run, at, keyFile, certificateFile }: CaSearch,
): Promise<ChosenCa> {
  const { certificates, keys } = material;
  const named = certificates.filter(({ paths }) => certificateFile === undefined || paths.includes(certificateFile));
  const roots = newestOfEach(named.filter(({ info }) => isSigned(info, info)));
  const signers = roots.filter((one) => certificates.some(({ info }) => info !== one.info && isIssuedBy(info, one)));
  // A root of version 1 does not say that it is one, but a person may.
  const likely = signers.length > 0 ? signers : roots.filter(({ info }) => info.isCa || certificateFile !== undefined);
  const encrypted = keys
    .filter(({ isEncrypted }) => isEncrypted)
    .toSorted((a, b) => Number(looksLikeCa(b.path)) - Number(looksLikeCa(a.path)));
  const keyOf = ({ info }: Held): OpenKey | undefined => plain.find(({ spki }) => spki.equals(info.spki));
  const ready = likely.flatMap((held) => {
    const key = keyOf(held);
    return key === undefined ? [] : [{ held, key }];
  });
  if (likely.length === 0) throw noCaError(named);
  if (ready.length > 1 || (ready.length === 0 && likely.length > 1)) throw severalError(likely);
  const [found] = ready;
  if (found !== undefined) return judgeCaMaterial(found.held, found.key, at, undefined);
  const [held] = likely;
  if (held === undefined || encrypted.length === 0) throw noKeyError(likely, keyFile);
  const passphrase = await ask((encrypted[0] ?? { path: '' }).path);
  let closed: ForeignKey | undefined;
  for (const one of encrypted) {
    const key = await openOrUndefined(one, passphrase, run);
    if (key?.spki.equals(held.info.spki) === true) return judgeCaMaterial(held, key, at, passphrase);
    if (key === undefined) closed ??= one;
  }
  // Again, for its error.
  if (closed !== undefined) await openForeignKey(closed, passphrase, run);
  throw noKeyError(likely, keyFile);
}

function judgeCaMaterial(held: Held, key: OpenKey, at: Date, passphrase: Secret | undefined): ChosenCa {
  const { info, paths } = held;
  const name = nameOf(held);
  const judged = judgePublicKey(info.spki);
  if ('flaw' in judged) {
    throw new RelaycertsError('contradiction', `the key of the CA ${name} ${judged.flaw}`, {
      hint: { run: ['make'], before: 'nothing was changed; start with a new CA: write the settings, then' },
    });
  }
  const [path = ''] = paths;
  const flaws = checkCa(info, { commonName: info.commonName ?? '' }, at)
    .filter(({ code }) => code !== 'wrong-name' && curedByRenewal.includes(code))
    .map((finding) => describeFinding(finding, 'ca', path).message);
  const pair = { privateKey: key.privateKey, publicKey: createPublicKey(key.privateKey) };
  return { held, keyPath: key.path, pair, passphrase, flaws };
}

/** True if this CA signed it; false if nothing here can check its signature. */
export function isSigned(info: Held['info'], ca: Held['info']): boolean {
  try {
    return info.isSignedBy(ca);
  } catch (error) {
    if (error instanceof RelaycertsError) return false;
    throw error;
  }
}

/** Of certificates for one key and name, the one that was made last. */
function newestOfEach(all: readonly Held[]): readonly Held[] {
  return all.filter(
    (one) =>
      !all.some(
        (other) =>
          other !== one &&
          other.info.spki.equals(one.info.spki) &&
          other.info.subject.equals(one.info.subject) &&
          (other.info.notBefore > one.info.notBefore ||
            (other.info.notBefore.getTime() === one.info.notBefore.getTime() && all.indexOf(other) < all.indexOf(one))),
      ),
  );
}

/** By name only, which is enough to tell which root is in use. */
function isIssuedBy(info: Held['info'], { info: root }: Held): boolean {
  return info.issuer.equals(root.subject) && !info.spki.equals(root.spki);
}

function looksLikeCa(path: string): boolean {
  return /(?:^|[^a-z])(?:ca|root|cakey|cacert)(?:[^a-z]|key|ca|$)/iu.test(path.split('/').at(-1) ?? '');
}

export function nameOf({ info }: Held): string {
  return quote(info.commonName ?? info.x509.subject);
}

function noCaError(certificates: readonly Held[]): RelaycertsError {
  const some = certificates.filter(({ info }) => info.isCa).map(({ paths }) => quotePath(paths[0] ?? ''));
  const message =
    some.length > 0
      ? `there is no root CA here: ${listSome(some)} is signed by another CA`
      : `there is no CA certificate among the ${certificates.length} certificates found`;
  return new RelaycertsError('contradiction', message, {
    hint: 'name the files of the root: --ca-key FILE --ca-cert FILE',
  });
}

function severalError(all: readonly Held[]): RelaycertsError {
  const names = all.map((held) => `${nameOf(held)} (${quotePath(held.paths[0] ?? '')})`);
  return new RelaycertsError('contradiction', `there are several CAs here: ${listSome(names)}`, {
    hint: 'name the files of one: --ca-key FILE --ca-cert FILE',
  });
}

function noKeyError([held]: readonly Held[], namedKey: string | undefined): RelaycertsError {
  const name = held === undefined ? '' : `${nameOf(held)} (${quotePath(held.paths[0] ?? '')})`;
  if (namedKey !== undefined) {
    return new RelaycertsError('contradiction', `the key ${quotePath(namedKey)} does not belong to the CA ${name}`, {
      hint: 'name the key of this CA with --ca-key FILE, or its certificate with --ca-cert FILE',
    });
  }
  return new RelaycertsError('contradiction', `the key of the CA ${name} is not here`, {
    hint: 'name its file: --ca-key FILE; the key of an intermediate CA will not do, because hosts trust the root',
  });
}
