// `relaycerts fingerprint`: pins for relay_clientcerts, of all clients or of the given certificates and public keys.
// With files it reads no settings, so it works anywhere.

import { resolve } from 'node:path';
import { parsePinned, pinOf, renderPins, type Pin, type Pinned } from '../certificate/fingerprint.js';
import type { Digest, FingerprintFormat, PinKind } from '../certificate/pin-kinds.js';
import { RelaycertsError, quotePath } from '../errors.js';
import type { CertifiedHost } from '../plan/inventory.js';
import { readCertifiedHosts } from '../store/read.js';
import { readFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { findNewClients, leftOutWarning, notCertifiedError } from './hosts.js';
import { reading, type GlobalOptions } from './run.js';

export interface FingerprintOptions extends GlobalOptions {
  /** As typed; `-` is standard input; if empty, all clients in the settings. */
  readonly files: readonly string[];
  /** Undefined: as the settings pin; with files, the public key, and then no settings are read. */
  readonly of: PinKind | undefined;
  readonly digest: Digest;
  readonly format: FingerprintFormat;
}

/** Octets; a certificate is a few kilobytes. */
const inputLimit = 1 << 20;

/** @throws settings, contradiction, certificate, files */
export async function fingerprint(options: FingerprintOptions, sys: Sys): Promise<void> {
  const pins = options.files.length > 0 ? await pinsOfFiles(options, sys) : await pinsOfClients(options, sys);
  for (const piece of renderPins(pins, options.format)) sys.write(piece);
}

async function pinsOfClients(options: FingerprintOptions, sys: Sys): Promise<Iterable<Pin>> {
  const { settings, found } = await reading(options, sys, (one) => readCertifiedHosts(one, sys));
  const clients = found.hosts.filter(({ host: { role }, isRevoked }) => role === 'smtp-client' && !isRevoked);
  const missing = clients.filter(({ certificate }) => certificate === undefined);
  if (missing.length > 0) {
    const added = findNewClients(settings, missing);
    if (missing.length > added.size || missing.length === clients.length) {
      throw notCertifiedError(missing.map(({ host }) => host.hostname));
    }
    const { message, hint } = leftOutWarning(added);
    sys.warn(message, hint);
  }
  return pinsOfHosts(clients, options.of ?? settings.postfix.pin, options.digest);
}

/** Made one after the other, because a fleet has many. */
function* pinsOfHosts(hosts: readonly CertifiedHost[], of: PinKind, digest: Digest): Generator<Pin, undefined> {
  for (const { host, certificate, previous } of hosts) {
    for (const one of [certificate, previous]) {
      if (one !== undefined) yield pinOf(one.info, of, digest, host.hostname);
    }
  }
  return undefined;
}

async function pinsOfFiles({ files, of = 'public-key', digest }: FingerprintOptions, sys: Sys): Promise<Iterable<Pin>> {
  const pinned = await pinnedOfFiles(files, sys);
  return pinned.map((one) => pinOf(one, of, digest));
}

async function pinnedOfFiles(files: readonly string[], sys: Sys): Promise<readonly Pinned[]> {
  const pinned: Pinned[] = [];
  for (const file of files) {
    const from = file === '-' ? 'standard input' : quotePath(file);
    const bytes =
      file === '-'
        ? await sys.readStdin(inputLimit)
        : readFile(resolve(sys.cwd, file), { limit: inputLimit, followLink: true });
    if (bytes === undefined) {
      throw new RelaycertsError('files', `there is no file ${from}`, { hint: 'ls certs/smtp-client' });
    }
    pinned.push(...parsePinned(bytes, { from }));
  }
  return pinned;
}
