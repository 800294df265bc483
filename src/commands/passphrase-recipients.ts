// `relaycerts passphrase recipients`: who can open the passphrase file, by the key IDs in the file, which anybody can
// read. Names come from the operator key, the key files in the settings and the GnuPG keyring. Nothing is decrypted.

import { listPublicKeys, listSecretKeys } from '../custody/keyring.js';
import { readOperatorKey, type OperatorKey } from '../custody/operator-key.js';
import { operatorKeyOf, recipientContext } from '../custody/passphrase-file.js';
import type { RecipientKey } from '../custody/recipient-key.js';
import { findRecipient } from '../custody/recipients.js';
import { readSealedTo } from '../custody/sealed-to.js';
import { RelaycertsError, quote, quotePath } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { Settings } from '../settings/settings.js';
import { readCustody } from '../store/read.js';
import { inParallel } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { contradiction, reading, type GlobalOptions } from './run.js';

/** A key that can open the file; null for what is not known. */
interface Opener {
  readonly keyId: string;
  readonly fingerprint: string | null;
  readonly userId: string | null;
  readonly from: 'operator key' | 'keyring' | 'key file' | 'hidden' | 'unknown key';
  /** Its secret key is on this machine (or on a card that GnuPG knows). */
  readonly isHere: boolean;
}

/** @throws settings, files, permissions, passphrase - the file is missing or damaged */
export async function printRecipients(options: GlobalOptions, sys: Sys): Promise<void> {
  const { settings, found } = await reading(options, sys, async (one) => readCustody(one, sys));
  if (found.problems.length > 0) throw contradiction(found.problems);
  const { caKey, passphraseFile } = found;
  const operatorKey = operatorKeyOf({ inventory: found, sys });
  const { file } = settings.passphrase;
  if (passphraseFile === undefined) {
    throw new RelaycertsError('passphrase', `the passphrase file ${quotePath(file)} does not exist`, {
      hint:
        caKey === undefined
          ? { run: ['make'], after: 'makes it; --dry-run shows for whom' }
          : "restore it from a backup: the CA's key opens only with what is in it",
    });
  }
  const { keyIds, hasPassword } = readSealedTo(passphraseFile, { from: file });
  const own = operatorKey === undefined ? undefined : await readOperatorKey(operatorKey);
  const openers = await describeOpeners(keyIds, own, settings, sys);
  if (options.json) {
    sys.write(writeAnswer('passphrase recipients', { file, recipients: openers, hasPassword }));
    return;
  }
  const lines = [...openers.map(describe), ...(hasPassword ? ['a password'] : [])];
  sys.write([`${file} can be opened by:`, ...lines.map((line) => `  ${line}`), ''].join('\n'));
}

function describe({ keyId, fingerprint, userId, from, isHere }: Opener): string {
  if (from === 'hidden') return `${keyId}  a hidden recipient`;
  if (fingerprint === null) return `${keyId}  unknown key`;
  const where = `${from}${isHere ? ', its secret key is here' : ''}`;
  return `${keyId}  ${fingerprint}  ${userId === null ? '' : `${quote(userId)} `}(${where})`;
}

async function describeOpeners(
  keyIds: readonly string[],
  own: OperatorKey | undefined,
  settings: Settings,
  sys: Sys,
): Promise<readonly Opener[]> {
  const others = keyIds.some((id) => own?.keyIds.includes(id) !== true);
  const here = others ? await quietly(sys, async () => listSecretKeys(sys.run)) : [];
  const files = others ? await readKeyFiles(settings, sys) : [];
  const describeOne = async (keyId: string): Promise<Opener> => {
    if (own?.keyIds.includes(keyId) === true) {
      const userId = own.key.getUserIDs()[0] ?? null;
      return { keyId, fingerprint: own.fingerprint, userId, from: 'operator key', isHere: true };
    }
    if (/^0+$/u.test(keyId)) return { keyId, fingerprint: null, userId: null, from: 'hidden', isHere: false };
    const isHere = here.some((key) => key.keyIds.includes(keyId));
    const [listed] = await quietly(sys, async () => listPublicKeys(sys.run, `0x${keyId}`));
    const inFile = files.find((key) => key.keyId === keyId);
    const userId = listed?.userIds[0]?.text ?? inFile?.userId ?? null;
    const from = listed !== undefined ? 'keyring' : inFile !== undefined ? 'key file' : 'unknown key';
    return { keyId, fingerprint: listed?.fingerprint ?? inFile?.fingerprint ?? null, userId, from, isHere };
  };
  return inParallel(keyIds, 1, describeOne);
}

/** The settings' recipients, if they can be read: they only provide names. */
async function readKeyFiles(settings: Settings, sys: Sys): Promise<readonly RecipientKey[]> {
  const context = recipientContext({ settings, sys, at: sys.now() });
  const found = settings.passphrase.recipients.map((name) => quietly(sys, async () => findRecipient(name, context)));
  return (await Promise.all(found)).flat();
}

async function quietly<T>(sys: Sys, work: () => Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    sys.detail(error.message);
    return [];
  }
}
