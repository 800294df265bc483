// Which certificates a CA's signature was verified on, so that a fleet's need not be verified again by every command: the
// SHA-256 of each, a line in base64, in a file of this user, named by the CA's key. It follows from the
// certificates, and whoever removes it loses a second. A certificate that differs in one bit is not in it.

import { hash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CertificateInfo } from '../certificate/certificate.js';
import { readFileNow, replaceFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';

/** For fewer certificates, verifying takes no longer than reading this. */
const fewest = 500;
/** Octets. */
const limit = 32 << 20;

type Onlooker = Pick<Sys, 'configHome' | 'uid'>;

/** Digests that are known to be of certificates with this CA's signature; empty if nothing is known. */
export function readVerified(ca: CertificateInfo | undefined, { configHome, uid }: Onlooker): ReadonlySet<string> {
  if (ca === undefined) return new Set();
  const bytes = quietly(() => {
    // Nobody else may have written it.
    let isOwn = false;
    const see = ({ uid: owner, mode }: { uid: number; mode: number }): void => {
      isOwn = owner === uid && (mode & 0o077) === 0;
    };
    const found = readFileNow(fileOf(ca, configHome), { limit, see });
    return isOwn ? found : undefined;
  });
  return new Set(bytes?.toString('latin1').split('\n'));
}

/** Notes the certificates of a fleet that this CA signed. Fails in silence: without it, only time is lost. */
export async function writeVerified(
  ca: CertificateInfo | undefined,
  certificates: readonly (CertificateInfo | undefined)[],
  known: ReadonlySet<string>,
  { configHome }: Onlooker,
): Promise<void> {
  if (ca === undefined || certificates.length < fewest) return;
  const digests = certificates.flatMap((info) => (info?.isSignedBy(ca) === true ? [certificateDigest(info.der)] : []));
  if (digests.length < fewest || digests.every((digest) => known.has(digest))) return;
  const path = fileOf(ca, configHome);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(() => undefined);
  await replaceFile(path, digests.join('\n'), 0o600).catch(() => undefined);
}

/** The SHA-256 of a certificate. */
export function certificateDigest(der: Buffer): string {
  return hash('sha256', der, 'base64');
}

function fileOf({ spki }: CertificateInfo, configHome: string): string {
  return `${configHome}/relaycerts/${hash('sha256', spki).slice(0, 32)}.verified`;
}

function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
