// Reads one host's files, or those of all hosts. In a fleet, clients that an earlier look found right and that have not
// changed since are not read.

import { basename } from 'node:path';
import type { CertificateInfo, Signer } from '../certificate/certificate.js';
import { pinOfDigest } from '../certificate/fingerprint.js';
import { readHostKey } from '../certificate/private-key.js';
import { parseRequest } from '../certificate/request.js';
import { quotePath } from '../errors.js';
import { bundleParts } from '../plan/bundle-names.js';
import { trustedPem, type Cas } from '../plan/ca-rekey.js';
import { changeHost, type HostInventory, type Inventory, type Revoked } from '../plan/inventory.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { lookAt, readFile } from '../sys/files.js';
import { statIfThere } from '../sys/missing.js';
import { keepHeapSmall } from '../sys/heap.js';
import { giveTurn } from '../sys/progress.js';
import type { Sys } from '../sys/sys.js';
import { KnownClients, isFleet, stampsOf, type Stamps } from './known-clients.js';
import { KnownHost } from './known-host.js';
import type { HostPaths } from './host-paths.js';
import { layoutOf, type Layout } from './layout.js';
import { AbsentHost } from './placed-host.js';
import {
  collect,
  noFindings,
  parseFoundCertificate,
  readCertificate,
  readPrivate,
  type Findings,
} from './read-file.js';
import { isRevokedHost } from './revoked.js';

/** Octets; a client pinned by its certificate takes about 300 in the table, which lists all clients. */
const tableLimit = 64 << 20;

/** What reading any host needs. */
export interface Around {
  readonly layout: Layout;
  readonly there: Pick<HostPaths, 'has'>;
  readonly revoked: Revoked;
  readonly findings: Findings;
  /** The CAs that may have signed a host's certificate: the former one or the one that signs now. */
  readonly signers: readonly Signer[];
  /** The file in every bundle with the CAs that hosts trust. */
  readonly trusted: Buffer;
}

export function casIn(cas: Cas, known = new KnownClients()): Pick<Around, 'signers' | 'trusted'> {
  const signers = [cas.caCertificate, cas.formerCa?.certificate].flatMap((found) =>
    found ? [asSigner(found.info, found === cas.caCertificate ? known : new KnownClients())] : [],
  );
  return { signers, trusted: Buffer.from(trustedPem(cas)) };
}

function asSigner(info: CertificateInfo, known: KnownClients): Signer {
  return { info, isKnown: (der) => known.isVerified(der) };
}

/** Reads one host's files again, in a state with these CAs and revocations. */
export function readerOf(
  settings: Settings,
  { revoked, ...cas }: Cas & Pick<Inventory, 'revoked'>,
  { uid }: Pick<Sys, 'uid'>,
): (host: HostSettings) => HostInventory {
  return laterReader({ layout: layoutOf(settings), revoked, findings: noFindings(uid), ...casIn(cas) });
}

/** Looks for itself what is there, so that it does not keep the names of a whole fleet. */
function laterReader(around: Omit<Around, 'there'>): (host: HostSettings) => HostInventory {
  const { layout } = around;
  return (host) => {
    const { role, hostname } = host;
    const places = [layout.key, layout.certificate, layout.request, layout.previous];
    const paths = [...places.map((placeOf) => placeOf(role, hostname).path), layout.bundleFolder(hostname)];
    return readHost(host, { ...around, there: new Set(paths.filter((path) => statIfThere(path) !== undefined)) });
  };
}

/** Clients that take so much memory that time is spent on taking less. */
const many = 5000;

/**
 * All hosts; in a fleet, clients that were right and have not changed since are not read. `readOne` reads the others,
 * whose files were as in `stamps` before, if that matters.
 */
export async function readHosts<Read>(
  settings: Settings,
  ca: CertificateInfo | undefined,
  known: KnownClients,
  around: Around,
  readOne: (host: HostSettings, stamps: Stamps | undefined) => Read,
): Promise<readonly (KnownHost | Read)[]> {
  const { there, ...others } = around;
  const { layout, revoked } = others;
  if (settings.smtpClients.length >= many) keepHeapSmall();
  if (ca === undefined || !isFleet(settings)) return hostsOf(settings).map((one) => readOne(one, undefined));
  const under = { layout, ca, read: laterReader(others) };
  const read = (host: HostSettings): KnownHost | Read => {
    const { role, hostname } = host;
    const isPlain =
      role === 'smtp-client' &&
      !host.isInbound &&
      there.has(layout.certificate(role, hostname).path) &&
      !there.has(layout.request(role, hostname).path) &&
      !there.has(layout.previous(role, hostname).path) &&
      !revoked.hosts.has(hostname);
    // Before the files are read, so that a file that changes meanwhile is read again.
    const stamps = isPlain ? stampsOf(layout, host) : undefined;
    if (stamps === undefined || !isPlain) return readOne(host, undefined);
    const found = known.find(host, stamps);
    if (found !== undefined && !revoked.keys.has(pinOfDigest(found.digest('public-key')))) {
      return new KnownHost(host, found, under);
    }
    return readOne(host, stamps);
  };
  const hosts: (KnownHost | Read)[] = [];
  for (const host of hostsOf(settings)) {
    await giveTurn();
    hosts.push(read(host));
  }
  return hosts;
}

export function readHost(host: HostSettings, around: Around): HostInventory {
  const { layout, there, revoked, findings, signers } = around;
  const { role, hostname } = host;
  const keyPath = layout.key(role, hostname).path;
  const certificatePath = layout.certificate(role, hostname).path;
  const requestPath = layout.request(role, hostname).path;
  const previousPath = layout.previous(role, hostname).path;
  const bundleFolder = layout.bundleFolder(hostname);
  const hasFolder = there.has(bundleFolder);
  if (!hasFolder && ![keyPath, certificatePath, requestPath, previousPath].some((path) => there.has(path))) {
    const absent = new AbsentHost(host, layout);
    return isRevokedHost(revoked, hostname, undefined) ? changeHost(absent, { isRevoked: true }) : absent;
  }
  const texts = joinTexts(
    there.has(keyPath) ? readPrivate(keyPath, findings) : undefined,
    there.has(certificatePath) ? collect(findings, certificatePath, () => readFile(certificatePath)) : undefined,
  );
  const certificate = collect(findings, certificatePath, () => {
    const { certificate: text } = texts;
    return text && { path: certificatePath, info: parseFoundCertificate(certificatePath, text, signers) };
  });
  const key = collect(findings, keyPath, () => {
    const spki = certificate?.info.spki;
    const found = texts.key && readHostKey(keyPath, texts.key, spki);
    // If the file holds anything else, OpenSSL has to read it.
    if (found !== undefined && found.spki !== spki) void found.privateKey;
    return found;
  });
  const request = collect(findings, requestPath, () => {
    const csr = there.has(requestPath) ? readFile(requestPath) : undefined;
    return csr && { path: requestPath, info: parseRequest(csr, { from: quotePath(requestPath) }) };
  });
  const bundle = hasFolder ? readBundle(host, around, texts) : new Map<string, Buffer>();
  return {
    host,
    keyPath,
    key,
    requestPath,
    request,
    certificatePath,
    certificate,
    previous: there.has(previousPath) ? readCertificate(previousPath, findings) : undefined,
    isRevoked: isRevokedHost(revoked, hostname, certificate?.info),
    bundleFolder,
    hasBundle:
      bundle.size > 0 || (hasFolder && collect(findings, bundleFolder, () => lookAt(bundleFolder))?.kind === 'folder'),
    bundle,
    rightUnder: undefined,
  };
}

/** The texts of a host's files. */
type Texts = Readonly<Record<'key' | 'certificate' | 'chain', Buffer | undefined>>;

/** A bundle's chain is the other two files joined; holding it that way halves a fleet's memory. */
function joinTexts(key: Buffer | undefined, certificate: Buffer | undefined): Texts {
  if (key === undefined || certificate === undefined) return { key, certificate, chain: undefined };
  const chain = Buffer.allocUnsafeSlow(key.length + certificate.length);
  chain.set(key);
  chain.set(certificate, key.length);
  return { key: chain.subarray(0, key.length), certificate: chain.subarray(key.length), chain };
}

/** Most files of a bundle are copies; equal ones share memory. */
function readBundle(
  host: HostSettings,
  { layout, findings, trusted }: Around,
  { key, certificate, chain }: Texts,
): ReadonlyMap<string, Buffer> {
  const { role, hostname } = host;
  const bundle = new Map<string, Buffer>();
  const places = layout.bundle(hostname);
  const copies = { ca: trusted, certificate, key, chain, table: undefined } as const;
  for (const part of bundleParts(role, 'here')) {
    const { path, mode } = places[part];
    const same = copies[part];
    const limit = part === 'table' ? { limit: tableLimit } : {};
    const bytes =
      mode === 0o600
        ? readPrivate(path, findings, same)
        : collect(findings, path, () => readFile(path, { same, ...limit }));
    if (bytes !== undefined) bundle.set(basename(path), bytes);
  }
  for (const { path } of layout.signingFiles(host)) {
    const bytes = readPrivate(path, findings);
    if (bytes !== undefined) bundle.set(basename(path), bytes);
  }
  return bundle;
}
