// `relaycerts passphrase change`: puts the CA's key under a new passphrase. The new passphrase file is opened, and the
// key that is encrypted under it too, before anything is replaced; key and file then change together. The old file is
// kept.

import { samePublicKey } from '../certificate/public-key.js';
import { isWeak, newPassphrase, readPassphraseFd } from '../custody/passphrase.js';
import { assertGivenInFile, openPassphraseFile, recipientsForChange, sealAgain } from '../custody/passphrase-file.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { decryptPrivateKey, encryptPrivateKey } from '../issue/pbes2.js';
import { writeAnswer } from '../json-text.js';
import { caStageOf } from '../plan/ca-rekey.js';
import { weakPassphrase } from '../plan/warnings.js';
import { shellWord } from '../shell-word.js';
import { keptPassphrases, planKept } from '../store/kept-passphrases.js';
import type { Sys } from '../sys/sys.js';
import { openCaKey } from './ca-key.js';
import { changing, type CaOptions } from './run.js';

export interface ChangeOptions extends CaOptions {
  /** A file descriptor to read the new passphrase from; undefined: one is generated. */
  readonly newPassphraseFd: number | undefined;
}

/** @throws settings, usage, lock, contradiction, passphrase, recipient, tool, files */
export async function changePassphrase(options: ChangeOptions, sys: Sys): Promise<void> {
  const { passphraseFd, newPassphraseFd } = options;
  if (passphraseFd !== undefined && passphraseFd === newPassphraseFd) {
    throw new RelaycertsError('usage', `both passphrases come from one file descriptor: ${passphraseFd}`, {
      hint: {
        run: ['passphrase', 'change', '--passphrase-fd', '3', '--new-passphrase-fd', '4'],
        after: '3< OLD 4< NEW',
      },
    });
  }
  const chosen =
    newPassphraseFd === undefined ? undefined : await readPassphraseFd(newPassphraseFd, '--new-passphrase-fd');
  await changing(options, sys, async ({ commit, given, ...work }) => {
    const { settings, inventory } = work;
    const { caKeyPath, passphraseFile, passphrasePath } = inventory;
    if (inventory.caKey === undefined) {
      throw new RelaycertsError('contradiction', `there is no CA key ${quotePath(caKeyPath)} yet`, {
        hint: { run: ['make'] },
      });
    }
    if (caStageOf(inventory) > 0) {
      throw new RelaycertsError(
        'contradiction',
        'the CA is getting a new key, and both of its keys have this passphrase',
        { hint: { run: ['renew', '--ca', '--rekey'], before: 'finish that first:' } },
      );
    }
    const { privateKey } = await openCaKey(settings, inventory, given ?? (await openPassphraseFile(work)));
    // The file is about to be replaced: its contents must be this CA's passphrase, as far as can be seen.
    if (given !== undefined && passphraseFile !== undefined) await assertGivenInFile(work, given);
    const next = chosen ?? newPassphrase();
    const { bytes, isProven } = await sealAgain(work, next, await recipientsForChange(work));
    if (!isProven && chosen === undefined) {
      throw new RelaycertsError(
        'passphrase',
        'nothing was changed: no secret key here can open the new passphrase file, so it could not be proven to open',
        {
          hint: 'run it on a machine where a recipient can open it, or give the new passphrase with --new-passphrase-fd N',
        },
      );
    }
    const pem = await encryptPrivateKey(privateKey, next, chosen === undefined ? 'random' : 'typed');
    if (!samePublicKey(await decryptPrivateKey(pem, next), privateKey)) {
      throw new Error('the CA key that was just encrypted opens to another key');
    }
    const kept = passphraseFile === undefined ? undefined : planKept(passphrasePath, passphraseFile);
    await commit({
      after: { ...inventory, caKey: Buffer.from(pem), passphraseFile: bytes },
      entries: [],
      keeps: kept === undefined ? [] : [kept],
      removes: [],
      answer: () => writeAnswer('passphrase change', { changed: caKeyPath }),
      tell: () => '',
      done: [
        { what: "changed the passphrase of the CA's key", path: caKeyPath },
        { what: 'the new one is in', path: passphrasePath },
        "  make a new backup of both: an old copy of the CA's key opens only with an old copy of the file",
      ],
    });
    if (chosen !== undefined && isWeak(chosen)) {
      const { message, hint } = weakPassphrase('that was given');
      sys.warn(message, hint);
    }
    if (!isProven) {
      sys.warn('no secret key here can open the new passphrase file, so it is not proven to open: keep the passphrase');
    }
    for (const path of await keptPassphrases(passphrasePath)) {
      sys.warn(
        `${quotePath(path)} holds an old passphrase: other projects that share the passphrase file, and old copies of the CA's key, open only with it`,
        `once nothing needs it: rm ${shellWord(path)}`,
      );
    }
  });
}
