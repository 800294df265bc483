// `relaycerts fingerprint`: pins for relay_clientcerts, of all clients or of the certificates and public keys given.

import { resolve } from 'node:path';
import { parsePinned, pinOf, renderPins, type Pinned } from '../certificate/fingerprint.js';
import type { Digest, FingerprintFormat, PinKind } from '../certificate/pin-kinds.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { readFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { readSettings } from '../settings/load.js';
import { guardReading } from '../store/look.js';
import { warnOfOdd } from '../store/odd.js';
import { readCertifiedHosts } from '../store/read.js';
import { readSteadily } from '../store/steady.js';
import type { GlobalOptions } from './options.js';

export interface FingerprintOptions extends GlobalOptions {
  /** As typed; `-` is standard input; all clients of the settings where empty. */
  readonly files: readonly string[];
  /** Undefined: what the settings pin; the public key where files are given, for which no settings are read. */
  readonly of: PinKind | undefined;
  readonly digest: Digest;
  readonly format: FingerprintFormat;
}

/** Octets; a certificate is a few kilobytes. */
const inputLimit = 1 << 20;

/** @throws settings, contradiction, certificate, files */
export async function fingerprint(options: FingerprintOptions, sys: Sys): Promise<void> {
  const { pinned, of } =
    options.files.length > 0
      ? { pinned: await pinnedOfFiles(options.files, sys), of: options.of ?? 'public-key' }
      : await pinnedOfClients(options, sys);
  const pins = pinned.map((one) => pinOf(one, of, options.digest));
  sys.write(renderPins(pins, options.format));
}

async function pinnedOfClients(
  options: FingerprintOptions,
  sys: Sys,
): Promise<{ readonly pinned: readonly Pinned[]; readonly of: PinKind }> {
  const settings = await readSettings(options.settings, sys);
  await guardReading(settings, sys);
  await warnOfOdd(settings, sys);
  const hosts = await readSteadily(settings, sys, () => readCertifiedHosts(settings));
  const clients = hosts.filter(({ host: { role }, isRevoked }) => role === 'smtp-client' && !isRevoked);
  const missing = clients.find(({ certificate }) => certificate === undefined);
  if (missing !== undefined) {
    throw new RelaycertsError('contradiction', `there is no certificate yet for ${missing.host.hostname}`, {
      hint: 'relaycerts make',
    });
  }
  const pinned = clients.flatMap(({ certificate, previous }) => [
    ...(certificate === undefined ? [] : [certificate.info]),
    ...(previous === undefined ? [] : [previous.info]),
  ]);
  return { pinned, of: options.of ?? settings.postfix.pin };
}

async function pinnedOfFiles(files: readonly string[], sys: Sys): Promise<readonly Pinned[]> {
  const pinned: Pinned[] = [];
  for (const file of files) {
    const from = file === '-' ? 'standard input' : quotePath(file);
    const bytes =
      file === '-'
        ? await sys.readStdin(inputLimit)
        : await readFile(resolve(sys.cwd, file), { limit: inputLimit, followLink: true });
    if (bytes === undefined) {
      throw new RelaycertsError('files', `there is no file ${from}`, { hint: 'ls certs/smtp-client' });
    }
    pinned.push(...parsePinned(bytes, { from }));
  }
  return pinned;
}
