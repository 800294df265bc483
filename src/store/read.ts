// Reads the state beside the settings into an Inventory. Nothing is written and nothing is judged here; a file that
// cannot be read is a problem in the inventory.

import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parsePrivateKey } from '../certificate/private-key.js';
import { parseRequest } from '../certificate/request.js';
import { quotePath, type Problem } from '../errors.js';
import { findHostName } from '../names.js';
import { bundleParts, tableName } from '../plan/bundle-names.js';
import type { Cas } from '../plan/ca-rekey.js';
import type { CertifiedHost, FoundCa, HostInventory, Inventory, Revoked, Stranger } from '../plan/inventory.js';
import { hostsOf, roles, type HostSettings, type Role, type Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { inGroups } from '../sys/all-ended.js';
import { listFolder, readFile, statFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { layoutOf, operatorKeyPlace, type Layout, type Place } from './layout.js';
import { collect, problemsOf, readCertificate, readPrivate, readWholeCertificate, type Findings } from './read-file.js';
import { rootsProblem } from './ownership.js';
import { isRevokedHost, readRevoked } from './revoked.js';

/** How many hosts' files are read at the same time. */
const readersAtOnce = 32;
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
  const [custody, caCertificate, revoked, ledger, strangers] = await Promise.all([
    readCustodyFiles(settings, sys, findings),
    readCertificate(layout.caCertificate.path, findings),
    readRevoked(layout),
    statFile(layout.ledger.path),
    findStrangers(settings, layout),
  ]);
  const ca = await readOtherCas(layout, findings);
  const few = await listFew(layout);
  const hosts = await inGroups(hostsOf(settings), readersAtOnce, (one) =>
    readHost(one, layout, few, revoked, findings),
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
  const [caKey, passphraseFile, operatorKey, passphrasePath] = await Promise.all([
    readPrivate(layoutOf(settings).caKey.path, findings),
    collect(findings, file, () => readFile(file, { followLink: true })),
    readPrivate(operatorKeyPath, findings),
    realpath(file).catch(() => file),
  ]);
  return { caKey, passphraseFile, passphrasePath, operatorKey, operatorKeyPath };
}

/** One host's files and the CAs, for what is about that host only. @throws files */
export async function readHostFiles(settings: Settings, one: HostSettings, sys: Onlooker) {
  const layout = layoutOf(settings);
  const findings = noFindings(sys.uid);
  const revoked = await readRevoked(layout);
  const files = await readHost(one, layout, await listFew(layout), revoked, findings);
  const caCertificate = await readCertificate(layout.caCertificate.path, findings);
  const cas: Cas = { caCertificate, ...(await readOtherCas(layout, findings)) };
  const folders = [layout.certsFolder, layout.hostsFolder];
  const problems = await problemsOf(findings, folders, () => rootsProblem(settings, sys));
  return { files, cas, revoked, problems };
}

/** The certificates of all hosts, in the settings' order, for what needs no keys. @throws certificate, files */
export async function readCertifiedHosts(settings: Settings) {
  const layout = layoutOf(settings);
  const revoked = await readRevoked(layout);
  const few = await listFew(layout);
  const hosts = await inGroups(hostsOf(settings), readersAtOnce, async (host): Promise<CertifiedHost> => {
    const { role, hostname } = host;
    const certificate = await readWholeCertificate(layout.certificate(role, hostname).path);
    const { path } = layout.previous(role, hostname);
    return {
      host,
      certificate,
      previous: few.has(path) ? await readWholeCertificate(path) : undefined,
      isRevoked: isRevokedHost(revoked, hostname, certificate?.info),
      keyPlace: few.has(layout.request(role, hostname).path) ? 'host' : 'here',
    };
  });
  return { hosts, revoked };
}

/** The CA of the next stage of a rekey, and the one before. */
async function readOtherCas(layout: Layout, findings: Findings): Promise<Pick<Inventory, 'nextCa' | 'formerCa'>> {
  const read = async (key: Place, certificate: Place): Promise<FoundCa | undefined> => {
    const found = await readCertificate(certificate.path, findings);
    return found && { keyPath: key.path, key: await readPrivate(key.path, findings), certificate: found };
  };
  return {
    nextCa: await read(layout.nextCaKey, layout.nextCaCertificate),
    formerCa: await read(layout.formerCaKey, layout.formerCaCertificate),
  };
}

/** The paths of files that few hosts have, so that two listings answer for all. */
async function listFew(layout: Layout): Promise<ReadonlySet<string>> {
  const few = new Set<string>();
  for (const folder of roles.map(layout.roleFolder)) {
    for (const name of await listFolder(folder))
      if (/\.(?:csr|old\.crt)\.pem$/u.test(name)) few.add(join(folder, name));
  }
  return few;
}

async function readHost(
  host: HostSettings,
  layout: Layout,
  few: ReadonlySet<string>,
  revoked: Revoked,
  findings: Findings,
): Promise<HostInventory> {
  const { role, hostname } = host;
  const keyPath = layout.key(role, hostname).path;
  const certificatePath = layout.certificate(role, hostname).path;
  const requestPath = layout.request(role, hostname).path;
  const previousPath = layout.previous(role, hostname).path;
  const bundleFolder = layout.bundleFolder(hostname);
  const bundle = new Map<string, Buffer>();
  const places = layout.bundle(hostname);
  const [pem, certificate] = await Promise.all([
    readPrivate(keyPath, findings),
    readCertificate(certificatePath, findings),
    ...bundleParts(role, 'here').map(async (part) => {
      const { path, mode } = places[part];
      const limit = part === 'table' ? { limit: tableLimit } : {};
      const bytes = await (mode === 0o600
        ? readPrivate(path, findings)
        : collect(findings, path, () => readFile(path, limit)));
      if (bytes !== undefined) bundle.set(basename(path), bytes);
    }),
  ]);
  const key = await collect(findings, keyPath, () => {
    return pem && { path: keyPath, pem, privateKey: parsePrivateKey(pem, { from: quotePath(keyPath) }) };
  });
  const request = await collect(findings, requestPath, async () => {
    const csr = few.has(requestPath) ? await readFile(requestPath) : undefined;
    return csr && { path: requestPath, info: parseRequest(csr, { from: quotePath(requestPath) }) };
  });
  return {
    host,
    keyPath,
    key,
    requestPath,
    request,
    certificatePath,
    certificate,
    previous: few.has(previousPath) ? await readCertificate(previousPath, findings) : undefined,
    isRevoked: isRevokedHost(revoked, hostname, certificate?.info),
    bundleFolder,
    hasBundle: (await collect(findings, bundleFolder, () => statFile(bundleFolder)))?.kind === 'folder',
    bundle,
  };
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

/** What is left of hosts that the settings no longer name, or name in the other role. Other files are not ours to name. */
async function findStrangers(settings: Settings, layout: Layout): Promise<readonly Stranger[]> {
  const known = new Map<string, Role>(hostsOf(settings).map(({ hostname, role }) => [hostname, role]));
  const left = new Map<string, Stranger>();
  const note = (name: string, role: Role, path: string): void => {
    const hostname = findHostName(name);
    const nowRole = known.get(name);
    if (hostname === undefined || nowRole === role) return;
    const before = left.get(`${role} ${name}`)?.paths ?? [];
    left.set(`${role} ${name}`, { hostname, role, nowRole, paths: [...before, path] });
  };
  for (const name of (await listFolder(layout.hostsFolder)).toSorted()) {
    const folder = join(layout.hostsFolder, name);
    const has = async (file: string): Promise<boolean> =>
      (await statFile(join(folder, file)).catch(() => undefined)) !== undefined;
    // Any folder may have a name like a host; a bundle holds its host's certificate.
    if (known.get(name) === 'smtpd-server' || !(await has(`${name}.crt.pem`))) continue;
    const hasTable = await has(tableName);
    if (known.has(name)) {
      if (hasTable) note(name, 'smtpd-server', join(folder, tableName));
    } else {
      note(name, hasTable ? 'smtpd-server' : 'smtp-client', folder);
    }
  }
  for (const role of roles) {
    const folder = layout.roleFolder(role);
    for (const file of (await listFolder(folder)).toSorted()) {
      note(/^(.+?)(?:\.old)?\.(?:key|crt|csr)\.pem$/u.exec(file)?.[1] ?? '', role, join(folder, file));
    }
  }
  return [...left.values()];
}
