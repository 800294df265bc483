// Opens the CA's key: the passphrase comes from the passphrase file and opens the key, which has to match the CA's
// certificate. The key is decrypted once per run.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { samePublicKey } from '../certificate/public-key.js';
import { openPassphraseFile, type CustodyWork } from '../custody/passphrase-file.js';
import { RelaycertsError, listSome, quotePath, restoreHint } from '../errors.js';
import type { KeyPair } from '../issue/keys.js';
import { checkEncryptedKey, decryptPrivateKey } from '../issue/pbes2.js';
import type { Issuer } from '../issue/x509.js';
import type { Inventory } from '../plan/inventory.js';
import type { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';
import { keptPassphrases } from '../store/kept-passphrases.js';

/** The CA, opened with the given passphrase or the passphrase file. @throws passphrase, certificate, contradiction, tool */
export async function openIssuer(
  work: CustodyWork & { readonly inventory: Inventory },
  given: Secret | undefined,
): Promise<Issuer> {
  const { caCertificate } = work.inventory;
  if (caCertificate === undefined) throw new TypeError('an issuer without a certificate');
  const { privateKey } = await openCaKey(work.settings, work.inventory, given ?? (await openPassphraseFile(work)));
  return { certificatePem: caCertificate.info.pem, privateKey };
}

/** The CA's key pair. @throws passphrase, certificate, contradiction */
export async function openCaKey(
  settings: Settings,
  { caKey, caKeyPath, caCertificate }: Pick<Inventory, 'caKey' | 'caKeyPath' | 'caCertificate'>,
  passphrase: Secret,
): Promise<KeyPair> {
  if (caKey === undefined) throw new TypeError('there is no CA key to open');
  checkCaKey({ caKey, caKeyPath });
  let privateKey: KeyObject;
  try {
    privateKey = await decryptPrivateKey(caKey, passphrase, { from: quotePath(caKeyPath) });
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code !== 'passphrase') throw error;
    throw await wrongPassphraseError(settings, error);
  }
  const publicKey = createPublicKey(privateKey);
  if (caCertificate !== undefined && !samePublicKey(publicKey, caCertificate.info.publicKey)) {
    throw new RelaycertsError(
      'contradiction',
      `the CA's key ${quotePath(caKeyPath)} does not belong to its certificate ${quotePath(caCertificate.path)}`,
      { hint: 'restore both from the same backup' },
    );
  }
  return { privateKey, publicKey };
}

/**
 * Checks what can be seen of a CA key without its passphrase. @throws certificate - it is damaged, or in another format
 */
export function checkCaKey({ caKey, caKeyPath }: { readonly caKey: Buffer; readonly caKeyPath: string }): void {
  try {
    checkEncryptedKey(caKey, { from: quotePath(caKeyPath) });
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    throw new RelaycertsError(error.code, error.message, { hint: restoreHint(caKeyPath) });
  }
}

async function wrongPassphraseError(settings: Settings, cause: RelaycertsError): Promise<RelaycertsError> {
  const kept = await keptPassphrases(settings.passphrase.file);
  const older =
    kept.length === 0
      ? ''
      : `; if that is one from before a passphrase change (${listSome(kept.map((path) => quotePath(path)))}), set passphrase.file to a copy of it`;
  return new RelaycertsError('passphrase', cause.message, {
    hint: `use the passphrase file that was made together with this key${older}`,
    cause,
  });
}
