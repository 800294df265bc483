// Which hosts are taken over with the CA: those that a certificate of this CA names, each with its key, or with its
// request if the key is elsewhere. A host has one certificate; older ones only go into the ledger.

import { dirname, relative } from 'node:path';
import { clientAuth, serverAuth } from '../certificate/profile.js';
import { judgePublicKey, type RequestInfo } from '../certificate/request.js';
import { quote } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import type { Role } from '../settings/settings.js';
import { isSigned, type ChosenCa, type OpenKey } from './choose-ca.js';
import { indexSerial, type RevokedLine } from './index-txt.js';
import type { Held, Material } from './material.js';

/** What there is of one host. */
export interface HostMaterial {
  readonly hostname: HostName;
  readonly altNames: readonly HostName[];
  /** By the purpose of its certificate, or by the folder it is in; undefined if neither says. */
  readonly role: Role | undefined;
  readonly certificate: Held;
  /** The CA signed it itself. */
  readonly isDirect: boolean;
  readonly key: OpenKey | undefined;
  readonly request: { readonly path: string; readonly info: RequestInfo } | undefined;
  /** Why it has neither; '' if it has one. */
  readonly noKey: string;
}

interface RevokedMaterial {
  readonly hostname: HostName;
  readonly held: Held;
  readonly line: RevokedLine;
}

/** A certificate, or a line about one, that is not taken over. */
export interface LeftOut {
  /** Quoted. */
  readonly name: string;
  readonly path: string;
  readonly why: string;
}

export interface FoundHosts {
  readonly hosts: readonly HostMaterial[];
  readonly revoked: readonly RevokedMaterial[];
  readonly leftOut: readonly LeftOut[];
  /** Older certificates of the hosts, for the ledger. */
  readonly older: readonly { readonly hostname: HostName; readonly held: Held }[];
}

/** The hosts in the material; `opened`: every key that could be opened; `folder`: what was scanned, if anything. */
export function findHostMaterial(
  material: Material,
  ca: ChosenCa,
  opened: readonly OpenKey[],
  folder: string | undefined,
  at: Date,
): FoundHosts {
  const { info: root } = ca.held;
  const lines = revocationsOf(material);
  const middles = material.certificates.filter(
    (one) => one.info.isCa && one.info !== root && !lines.has(one) && isSigned(one.info, root),
  );
  // A CA that signs the same key again has to revoke the old certificate first (ca(1), unique_subject).
  const isReplaced = ({ info }: Held, { reason }: RevokedLine): boolean =>
    reason === 'superseded' &&
    material.certificates.some((one) => !lines.has(one) && one.info.spki.equals(info.spki) && isSigned(one.info, root));
  const revoked: RevokedMaterial[] = [];
  const leftOut: LeftOut[] = [];
  const older: { hostname: HostName; held: Held }[] = [];
  const byName = new Map<HostName, Held[]>();
  for (const held of material.certificates) {
    const { info, paths } = held;
    if (info.spki.equals(root.spki)) continue;
    const name = quote(info.commonName ?? info.dnsNames[0] ?? info.x509.subject);
    const leave = (why: string): void => void leftOut.push({ name, path: paths[0] ?? '', why });
    const isDirect = isSigned(info, root);
    const hostname = hostNameOf(held);
    const line = lines.get(held);
    if (info.isCa) leave('is a CA of its own: hosts trust the root directly');
    else if (!isDirect && !middles.some((middle) => isSigned(info, middle.info))) leave('is signed by another CA');
    else if (hostname === undefined) leave('names no host');
    else if (line !== undefined && isReplaced(held, line)) older.push({ hostname, held });
    else if (line !== undefined) revoked.push({ hostname, held, line });
    else byName.set(hostname, [...(byName.get(hostname) ?? []), held]);
  }
  const known = new Set([...lines.values()].map(({ serial }) => serial));
  for (const { serial, subject } of material.revoked) {
    if (known.has(serial)) continue;
    known.add(serial);
    const why = `is revoked (serial ${serial}), and its certificate is not here`;
    leftOut.push({ name: quote(subject === '' ? serial : subject), path: '', why });
  }
  const taken = new Map<string, HostName>();
  // Also of a certificate that names no host.
  const gone = [...lines].filter(([held, line]) => !isReplaced(held, line));
  const revokedKeys = new Set(gone.map(([{ info }]) => info.spki.toString('hex')));
  const hosts: HostMaterial[] = [];
  for (const [hostname, all] of byName) {
    const sorted = all.toSorted((a, b) => b.info.notBefore.getTime() - a.info.notBefore.getTime());
    const judged = sorted.map((held) => ({ held, ...keyFor(held, material, opened) }));
    const best = judged.find(({ key, request }) => key ?? request) ?? judged[0];
    if (best === undefined) continue;
    const { held } = best;
    const spki = held.info.spki.toString('hex');
    const owner = taken.get(spki);
    const noKey = owner === undefined ? best.noKey : `it has the same key as ${owner}, and every host needs its own`;
    const leave = (why: string): void => void leftOut.push({ name: quote(hostname), path: held.paths[0] ?? '', why });
    const others = judged.filter((one) => one !== best);
    older.push(...others.map((one) => ({ hostname, held: one.held })));
    if (revokedKeys.has(spki)) {
      leave(`stays revoked, because its key was revoked: make --again ${hostname} gives it another`);
      older.push({ hostname, held });
      continue;
    }
    if (noKey !== '' && held.info.notAfter < at) {
      leave(`expired, and ${noKey}`);
      continue;
    }
    taken.set(spki, hostname);
    hosts.push({
      hostname,
      altNames: altNamesOf(held, hostname),
      role: roleOf(held, best.key, folder),
      certificate: held,
      isDirect: isSigned(held.info, root),
      key: noKey === '' ? best.key : undefined,
      request: noKey === '' && best.key === undefined ? best.request : undefined,
      noKey,
    });
  }
  return { hosts, revoked, leftOut, older };
}

/**
 * The line that revokes a certificate. An index.txt does not say which CA it is of, and two CAs may give the same serial
 * number: then the subject tells; if it does not, all of them are revoked.
 */
function revocationsOf({ certificates, revoked }: Material): ReadonlyMap<Held, RevokedLine> {
  const bySerial = new Map<string, Held[]>();
  for (const held of certificates) {
    const serial = indexSerial(held.info);
    bySerial.set(serial, [...(bySerial.get(serial) ?? []), held]);
  }
  const found = new Map<Held, RevokedLine>();
  for (const line of revoked) {
    const { serial, subject, issuer } = line;
    const same = bySerial.get(serial)?.filter(({ info }) => issuer?.equals(info.issuer) ?? true) ?? [];
    const named = same.filter(({ info }) => `${subject}/`.includes(`/CN=${info.commonName ?? ''}/`));
    // A CRL may be read before the index that it was made from, which has the reason.
    const all = named.length > 0 ? named : same;
    for (const held of all) if ((found.get(held)?.reason ?? '') === '') found.set(held, line);
  }
  return found;
}

/** Its commonName, or the first of its names that is a host name. */
function hostNameOf({ info }: Held): HostName | undefined {
  const names = [info.commonName, ...info.dnsNames];
  return names.map((name) => findHostName(name)).find((name) => name !== undefined);
}

function altNamesOf({ info }: Held, hostname: HostName): readonly HostName[] {
  const names = info.dnsNames.flatMap((name) => findHostName(name) ?? []);
  return [...new Set(names)].filter((name) => name !== hostname);
}

function keyFor(
  { info }: Held,
  { requests, keys }: Material,
  opened: readonly OpenKey[],
): Pick<HostMaterial, 'key' | 'request' | 'noKey'> {
  const key = opened.find(({ spki }) => spki.equals(info.spki));
  const request = requests.find((one) => one.info.spki.equals(info.spki));
  const judged = judgePublicKey(info.spki);
  const isLocked = keys.some(({ isEncrypted }) => isEncrypted);
  const none = isLocked ? 'its key is not here, or encrypted with another passphrase' : 'its key is not here';
  if ('flaw' in judged) return { key: undefined, request: undefined, noKey: `its key ${judged.flaw}` };
  return { key, request, noKey: key === undefined && request === undefined ? none : '' };
}

function roleOf({ info, paths }: Held, key: OpenKey | undefined, folder: string | undefined): Role | undefined {
  const isServer = info.extendedKeyUsage.includes(serverAuth);
  if (isServer !== info.extendedKeyUsage.includes(clientAuth)) return isServer ? 'smtpd-server' : 'smtp-client';
  if (folder === undefined) return undefined;
  const files = [...paths, ...(key === undefined ? [] : [key.path])];
  const names = files.flatMap((path) => dirname(relative(folder, path)).split('/'));
  const [server, client] = [/server|relay/iu, /client/iu].map((word) => names.some((name) => word.test(name)));
  if (server === client) return undefined;
  return server === true ? 'smtpd-server' : 'smtp-client';
}
