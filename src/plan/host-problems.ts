// What is wrong with one host: its key, its request and its certificate against each other and against the CA. Pure.
// Anything that a new certificate for the same key fixes needs no decision and is not a contradiction: expiry is in
// warnings.ts, other names in reissue.ts.

import { hash } from 'node:crypto';
import { spkiFingerprint } from '../certificate/fingerprint.js';
import { isKeyOf } from '../certificate/private-key.js';
import { encodeSpki } from '../certificate/public-key.js';
import { checkLeaf } from '../certificate/verify.js';
import { quotePath, type Problem } from '../errors.js';
import type { HostSettings } from '../settings/settings.js';
import { shellWord, shellWords } from '../shell-word.js';
import { signerOf } from './ca-rekey.js';
import { describeFinding, setAside } from './findings.js';
import { isKnownRight, type HostInventory, type Inventory } from './inventory.js';
import { isCuredByMake } from './reissue.js';

/** What is wrong with a host's certificate; empty if it has none. */
export function hostProblems(found: HostInventory, inventory: Inventory, at: Date): readonly Problem[] {
  const { certificate, key, request, host } = found;
  if (certificate === undefined) return [];
  const { path, info } = certificate;
  const quoted = quotePath(path);
  const problems: Problem[] = [];
  const tell = (message: string, before: string) => problems.push({ message, hint: { run: ['make'], before } });
  if (request !== undefined) {
    if (!request.info.spki.equals(encodeSpki(info.publicKey))) {
      const message = `the certificate ${quoted} is not for the key of the request ${quotePath(request.path)}`;
      tell(message, `to issue one for the request: ${setAside(path)}`);
    }
  } else if (key === undefined) {
    const message = `the certificate ${quoted} is there, but its key ${quotePath(found.keyPath)} is missing`;
    tell(message, `restore the key from a backup, or make both again: rm ${shellWord(path)} &&`);
  } else if (!isKeyOf(key, info)) {
    const message = `the key ${quotePath(key.path)} does not belong to the certificate ${quoted}`;
    tell(message, `restore the right key, or issue a certificate for this one: ${setAside(path)}`);
  }
  const signer = signerOf(info, inventory);
  if (signer === undefined) return problems;
  const findings = checkLeaf(info, signer.info, host, at)
    // What a new certificate fixes is not a contradiction: `renew` or `make` issues it, after `renew --ca` if
    // necessary.
    .filter(({ code }) => code !== 'expired' && code !== 'not-yet-valid' && code !== 'outside-constraints')
    .filter((finding) => !isCuredByMake(finding, info, host));
  return [...problems, ...findings.map((finding) => describeFinding(finding, host.hostname, path))];
}

/**
 * What is wrong with a host's request, which means that the key is at the host. One key, one host: two hosts with the
 * same pin could not be told apart.
 */
export function requestProblems(found: HostInventory, inventory: Inventory): readonly Problem[] {
  const { request, key, keyPath, host } = found;
  if (request === undefined) return [];
  const problems: Problem[] = [];
  if (key !== undefined) {
    const message = `the request ${quotePath(request.path)} says that ${host.hostname} keeps its own key, but its key ${quotePath(keyPath)} is here too`;
    problems.push({ message, hint: `keep one: rm ${shellWord(keyPath)}, or rm ${shellWord(request.path)}` });
  }
  const owner = ownerOf(request.info.spki, host, inventory);
  if (owner !== undefined) {
    problems.push({
      message: `the key of the request ${quotePath(request.path)} is ${owner}'s: every host needs its own key`,
      hint: {
        run: ['show', host.hostname, '--section', 'request'],
        before: `remove the key on ${host.hostname}, and make a new one:`,
        after: `; if the request is stored here already: rm ${shellWord(request.path)}`,
      },
    });
  }
  return problems;
}

/** Which other host has this public key (DER); undefined if none has. */
function ownerOf(spki: Buffer, self: HostSettings, inventory: Inventory): string | undefined {
  const { caCertificate, hosts } = inventory;
  if (caCertificate?.info.spki.equals(spki) === true) return 'the CA';
  const digest = hash('sha256', spki, 'buffer');
  const other = hosts.find((found) => {
    if (found.host.hostname === self.hostname) return false;
    const { certificate, request } = found;
    if (certificate?.info.digest('public-key').equals(digest) === true) return true;
    // For a client whose files are known to be right, the certificate is enough.
    if (isKnownRight(found, inventory)) return false;
    return request?.info.spki.equals(spki) === true || found.key?.spki.equals(spki) === true;
  });
  return other?.host.hostname;
}

/** A revoked key has come back, from a backup: a certificate made for it would be listed. */
export function revokedKeyProblems(found: HostInventory, { revoked }: Inventory): readonly Problem[] {
  if (revoked.keys.size === 0) return [];
  const { host, key, request, certificate, previous } = found;
  const isRevoked = (spki: Buffer | undefined): boolean =>
    spki !== undefined && revoked.keys.has(spkiFingerprint(spki));
  if ([key?.spki, request?.info.spki, certificate?.info.spki].some(isRevoked)) {
    const paths = [key, request, certificate, previous].flatMap((one) => (one === undefined ? [] : [one.path]));
    const message = `the key of ${host.hostname} was revoked, and is here again: ${paths.map(quotePath).join(', ')}`;
    return [{ message, hint: `rm ${shellWords(paths)}, then the same command again, for a new key` }];
  }
  if (previous === undefined || !isRevoked(previous.info.spki)) return [];
  const message = `the certificate ${quotePath(previous.path)} is for a key that was revoked`;
  return [{ message, hint: `rm ${shellWord(previous.path)}, then the same command again` }];
}
