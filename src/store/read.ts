// Reads the state beside the settings into an Inventory. Nothing is written and nothing is judged here; a file that
// cannot be read is a problem in the inventory.

import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CertificateInfo, Signer } from '../certificate/certificate.js';
import { readHostKey } from '../certificate/private-key.js';
import { parseRequest } from '../certificate/request.js';
import { quotePath, type Problem } from '../errors.js';
import { findHostName } from '../names.js';
import { bundleParts } from '../plan/bundle-names.js';
import { trustedCas, type Cas } from '../plan/ca-rekey.js';
import type { CertifiedHost, FoundCa, HostInventory, Inventory, Revoked } from '../plan/inventory.js';
import { hostsOf, roles, type HostSettings, type Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { listFolder, lookAt, readFileNow, statFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { layoutOf, operatorKeyPlace, type Layout, type Place } from './layout.js';
import { rootsProblem } from './ownership.js';
import {
  collect,
  parseFoundCertificate,
  problemsOf,
  readCertificate,
  readPrivate,
  readWholeCertificate,
  type Findings,
} from './read-file.js';
import { isRevokedHost, readRevoked } from './revoked.js';
import { findStrangers } from './strangers.js';
import { certificateDigest, readVerified, writeVerified } from './verified.js';

/** Octets; a client that is pinned by its certificate has about 300 in the table, which lists all clients. */
const tableLimit = 64 << 20;

type Onlooker = Pick<Sys, 'configHome' | 'uid'>;
type Custody = Pick<Inventory, 'caKey' | 'passphraseFile' | 'passphrasePath' | 'operatorKey' | 'operatorKeyPath'>;

const noFindings = (uid: number): Findings => ({ uid, problems: [], open: [], foreign: [], denied: [] });

/** The state of everything that the settings ask for. @throws files - what cannot be looked at at all */
export async function readInventory(settings: Settings, sys: Onlooker): Promise<Inventory> {
  const layout = layoutOf(settings);
  const findings = noFindings(sys.uid);
  findings.problems.push(...(await findOtherCa(settings, layout)));
  const custody = await readCustodyFiles(settings, sys, findings);
  const caCertificate = readCertificate(layout.caCertificate.path, findings);
  const revoked = await readRevoked(layout);
  const ledger = await statFile(layout.ledger.path);
  const strangers = await findStrangers(settings, layout);
  const ca = readOtherCas(layout, findings);
  const verified = readVerified(caCertificate?.info, sys);
  const there = await listHostPaths(layout);
  const cas = casIn({ caCertificate, ...ca }, verified);
  const around: Around = { layout, there, revoked, findings, ...cas };
  const hosts = hostsOf(settings).map((one) => readHost(one, around));
  await writeVerified(
    caCertificate?.info,
    hosts.map(({ certificate }) => certificate?.info),
    verified,
    sys,
  );
  return {
    caKeyPath: layout.caKey.path,
    ...custody,
    caCertificatePath: layout.caCertificate.path,
    caCertificate,
    ...ca,
    hosts,
    revoked,
    hasLedger: ledger !== undefined && ledger.size > 0,
    problems: await problemsOf(findings, [layout.certsFolder, layout.hostsFolder], () => rootsProblem(settings, sys)),
    strangers,
  };
}

/** The files of custody only. @throws files */
export async function readCustody(settings: Settings, sys: Onlooker): Promise<Custody & Pick<Inventory, 'problems'>> {
  const findings = noFindings(sys.uid);
  const custody = await readCustodyFiles(settings, sys, findings);
  const problems = await problemsOf(findings, [layoutOf(settings).caFolder], () => rootsProblem(settings, sys));
  return { ...custody, problems };
}

async function readCustodyFiles(settings: Settings, { configHome }: Onlooker, findings: Findings): Promise<Custody> {
  const operatorKeyPath = operatorKeyPlace(configHome).path;
  const { file } = settings.passphrase;
  const caKey = readPrivate(layoutOf(settings).caKey.path, findings);
  const passphraseFile = collect(findings, file, () => readFileNow(file, { followLink: true }));
  const operatorKey = readPrivate(operatorKeyPath, findings);
  const passphrasePath = await realpath(file).catch(() => file);
  return { caKey, passphraseFile, passphrasePath, operatorKey, operatorKeyPath };
}

/** One host's files and the CAs, for what is about that host only. @throws files */
export async function readHostFiles(settings: Settings, one: HostSettings, sys: Onlooker) {
  const layout = layoutOf(settings);
  const findings = noFindings(sys.uid);
  const revoked = await readRevoked(layout);
  const caCertificate = readCertificate(layout.caCertificate.path, findings);
  const cas: Cas = { caCertificate, ...readOtherCas(layout, findings) };
  const files = readHost(one, { layout, there: await listHostPaths(layout), revoked, findings, ...casIn(cas) });
  const folders = [layout.certsFolder, layout.hostsFolder];
  const problems = await problemsOf(findings, folders, () => rootsProblem(settings, sys));
  return { files, cas, revoked, problems };
}

/** The certificates of all hosts, in the settings' order, for what needs no keys. @throws certificate, files */
export async function readCertifiedHosts(settings: Settings) {
  const layout = layoutOf(settings);
  const revoked = await readRevoked(layout);
  const there = await listHostPaths(layout);
  // Only certificates that are signed by the CA are read without OpenSSL; a damaged CA is another command's to tell.
  const ca = collect(noFindings(-1), layout.caCertificate.path, () => readWholeCertificate(layout.caCertificate.path));
  const signers = ca === undefined ? [] : [signerOf(ca.info, new Set())];
  const hosts = hostsOf(settings).map((host): CertifiedHost => {
    const { role, hostname } = host;
    const certificate = readWholeCertificate(layout.certificate(role, hostname).path, signers);
    const { path } = layout.previous(role, hostname);
    return {
      host,
      certificate,
      previous: there.has(path) ? readWholeCertificate(path, signers) : undefined,
      isRevoked: isRevokedHost(revoked, hostname, certificate?.info),
      keyPlace: there.has(layout.request(role, hostname).path) ? 'host' : 'here',
    };
  });
  return { hosts, revoked, authority: ca };
}

/** The CA of the next stage of a rekey, and the one before. */
function readOtherCas(layout: Layout, findings: Findings): Pick<Inventory, 'nextCa' | 'formerCa'> {
  const read = (key: Place, certificate: Place): FoundCa | undefined => {
    const found = readCertificate(certificate.path, findings);
    return found && { keyPath: key.path, key: readPrivate(key.path, findings), certificate: found };
  };
  return {
    nextCa: read(layout.nextCaKey, layout.nextCaCertificate),
    formerCa: read(layout.formerCaKey, layout.formerCaCertificate),
  };
}

/** The paths of hosts' files and bundles, so that three listings answer for what is not there. */
async function listHostPaths(layout: Layout): Promise<ReadonlySet<string>> {
  const there = new Set<string>();
  for (const folder of [...roles.map(layout.roleFolder), layout.hostsFolder]) {
    for (const name of await listFolder(folder)) there.add(`${folder}/${name}`);
  }
  return there;
}

/** What all hosts are read with. */
interface Around {
  readonly layout: Layout;
  readonly there: ReadonlySet<string>;
  readonly revoked: Revoked;
  readonly findings: Findings;
  /** The CAs that a host's certificate may be signed by: the former one or the one that signs now. */
  readonly signers: readonly Signer[];
  /** The file of every bundle with the CAs that hosts trust. */
  readonly trusted: Buffer;
}

function casIn(cas: Cas, verified: ReadonlySet<string> = new Set()): Pick<Around, 'signers' | 'trusted'> {
  const signers = [cas.caCertificate, cas.formerCa?.certificate].flatMap((found) =>
    found ? [signerOf(found.info, found === cas.caCertificate ? verified : new Set())] : [],
  );
  return { signers, trusted: Buffer.concat(trustedCas(cas).map(({ info }) => Buffer.from(info.pem))) };
}

function signerOf(info: CertificateInfo, verified: ReadonlySet<string>): Signer {
  return { info, isKnown: (der) => verified.size > 0 && verified.has(certificateDigest(der)) };
}

function readHost(host: HostSettings, around: Around): HostInventory {
  const { layout, there, revoked, findings, signers } = around;
  const { role, hostname } = host;
  const keyPath = layout.key(role, hostname).path;
  const certificatePath = layout.certificate(role, hostname).path;
  const requestPath = layout.request(role, hostname).path;
  const previousPath = layout.previous(role, hostname).path;
  const bundleFolder = layout.bundleFolder(hostname);
  const hasFolder = there.has(bundleFolder);
  const texts = joinTexts(
    there.has(keyPath) ? readPrivate(keyPath, findings) : undefined,
    there.has(certificatePath) ? collect(findings, certificatePath, () => readFileNow(certificatePath)) : undefined,
  );
  const certificate = collect(findings, certificatePath, () => {
    const { certificate: text } = texts;
    return text && { path: certificatePath, info: parseFoundCertificate(certificatePath, text, signers) };
  });
  const key = collect(findings, keyPath, () => {
    const spki = certificate?.info.spki;
    const found = texts.key && readHostKey(keyPath, texts.key, spki);
    // Whatever else the file holds, OpenSSL has to read it.
    if (found !== undefined && found.spki !== spki) void found.privateKey;
    return found;
  });
  const request = collect(findings, requestPath, () => {
    const csr = there.has(requestPath) ? readFileNow(requestPath) : undefined;
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
  };
}

/** The texts of a host's files. */
type Texts = Readonly<Record<'key' | 'certificate' | 'chain', Buffer | undefined>>;

/** The chain of a bundle is the two others in one; held in that way, a fleet takes half the memory. */
function joinTexts(key: Buffer | undefined, certificate: Buffer | undefined): Texts {
  if (key === undefined || certificate === undefined) return { key, certificate, chain: undefined };
  const chain = Buffer.allocUnsafeSlow(key.length + certificate.length);
  chain.set(key);
  chain.set(certificate, key.length);
  return { key: chain.subarray(0, key.length), certificate: chain.subarray(key.length), chain };
}

/** Most files of a bundle are copies; what is the same is held once. */
function readBundle(
  { role, hostname }: HostSettings,
  { layout, findings, trusted }: Around,
  { key, certificate, chain }: Texts,
): ReadonlyMap<string, Buffer> {
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
        : collect(findings, path, () => readFileNow(path, { same, ...limit }));
    if (bytes !== undefined) bundle.set(basename(path), bytes);
  }
  return bundle;
}

/** Two domains in one folder would share hosts/ and the ledger. */
export async function findOtherCa(
  { file, folder, domain }: Settings,
  { caFolder }: Layout,
): Promise<readonly Problem[]> {
  const names = await listFolder(caFolder);
  const found = names.find((name) => {
    const other = /^(.+)-ca\.crt\.pem$/u.exec(name)?.[1] ?? domain;
    return other !== domain && findHostName(other) !== undefined && names.includes(`${other}-ca.key.pem`);
  });
  if (found === undefined) return [];
  const [own, there] = [join(folder, domain), quotePath(join(caFolder, found))];
  return [
    {
      message: `the settings ${quotePath(file)} are for ${domain}, but this folder has the CA of another domain: ${there}`,
      hint: `mkdir ${shellWord(own)} && mv ${shellWord(file)} ${shellWord(join(own, 'settings.json'))}`,
    },
  ];
}
