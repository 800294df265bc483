// Reads the state beside the settings into an Inventory. Nothing is written or judged here; a file that cannot be read
// is a problem in the inventory.

import { join } from 'node:path';
import { quotePath, type Problem } from '../errors.js';
import { findHostName } from '../names.js';
import type { Cas } from '../plan/ca-rekey.js';
import type { CertifiedHost, FoundCa, HostInventory, Inventory } from '../plan/inventory.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { listFolder, lookAt, readFile } from '../sys/files.js';
import { followLinks } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';
import { readDkimKeys } from './dkim-keys.js';
import { readDqsKey } from './dqs-key.js';
import { listHostPaths } from './host-paths.js';
import { readKnown, type Stamps } from './known-clients.js';
import { layoutOf, operatorKeyPlace, type Layout, type Place } from './layout.js';
import { rootsProblem } from './ownership.js';
import {
  collect,
  countOf,
  noFindings,
  problemsOf,
  readCertificate,
  readPrivate,
  readWholeCertificate,
  type Findings,
} from './read-file.js';
import { casIn, readHost, readHosts, type Around } from './read-host.js';
import { isRevokedHost, readRevoked } from './revoked.js';
import { findStrangers } from './strangers.js';

type Onlooker = Pick<Sys, 'configHome' | 'uid'>;
type Custody = Pick<Inventory, 'caKey' | 'passphraseFile' | 'passphrasePath' | 'operatorKey' | 'operatorKeyPath'>;

/**
 * Puts something smaller in place of a client that was read, whose files were as in `stamps` before; `before`: the state
 * without hosts.
 */
type Settle = (before: Inventory) => (found: HostInventory, stamps: Stamps) => HostInventory;

/** The state of everything the settings ask for. @throws files - what cannot be looked at at all */
export async function readInventory(
  settings: Settings,
  sys: Onlooker,
  settleIn: Settle = () => (found) => found,
): Promise<Inventory> {
  const layout = layoutOf(settings);
  const findings = noFindings(sys.uid);
  findings.problems.push(...(await findOtherCa(settings, layout)));
  const custody = readCustodyFiles(settings, sys, findings);
  const caCertificate = readCertificate(layout.caCertificate.path, findings);
  const revoked = await readRevoked(layout);
  const ledger = lookAt(layout.ledger.path);
  const there = await listHostPaths(layout);
  const strangers = findStrangers(settings, layout, there);
  const ca = readOtherCas(layout, findings);
  const before: Inventory = {
    caKeyPath: layout.caKey.path,
    ...custody,
    caCertificatePath: layout.caCertificate.path,
    caCertificate,
    ...ca,
    hosts: [],
    dkim: [],
    dkimFolder: layout.dkimFolder,
    dqsKey: undefined,
    revoked,
    hasLedger: ledger !== undefined && ledger.size > 0,
    problems: [],
    strangers,
  };
  const known = readKnown(settings, caCertificate?.info, sys);
  const around: Around = { layout, there, revoked, findings, ...casIn({ caCertificate, ...ca }, known) };
  const settle = settleIn(before);
  const hosts = await readHosts(settings, caCertificate?.info, known, around, (host, stamps) => {
    const count = countOf(findings);
    const found = readHost(host, around);
    return stamps === undefined || countOf(findings) > count ? found : settle(found, stamps);
  });
  return {
    ...before,
    hosts,
    dkim: readDkimKeys(layout, findings),
    dqsKey: readDqsKey(settings, findings),
    problems: await problemsOf(findings, [layout.certsFolder, layout.hostsFolder], () => rootsProblem(settings, sys)),
  };
}

/** Only the files of custody. @throws files */
export async function readCustody(settings: Settings, sys: Onlooker): Promise<Custody & Pick<Inventory, 'problems'>> {
  const findings = noFindings(sys.uid);
  const custody = readCustodyFiles(settings, sys, findings);
  const problems = await problemsOf(findings, [layoutOf(settings).caFolder], () => rootsProblem(settings, sys));
  return { ...custody, problems };
}

function readCustodyFiles(settings: Settings, { configHome }: Onlooker, findings: Findings): Custody {
  const operatorKeyPath = operatorKeyPlace(configHome).path;
  const { file } = settings.passphrase;
  const caKey = readPrivate(layoutOf(settings).caKey.path, findings);
  const passphraseFile = collect(findings, file, () => readFile(file, { followLink: true }));
  const operatorKey = readPrivate(operatorKeyPath, findings);
  const passphrasePath = followLinks(file);
  return { caKey, passphraseFile, passphrasePath, operatorKey, operatorKeyPath };
}

/** One host's files and the CAs, for a command about that host only. @throws files */
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

/** The certificates of all hosts, in the settings' order, for commands that need no keys. @throws certificate, files */
export async function readCertifiedHosts(settings: Settings, sys: Onlooker) {
  const layout = layoutOf(settings);
  const revoked = await readRevoked(layout);
  const there = await listHostPaths(layout);
  // Only certificates signed by the CA are read without OpenSSL; other commands report a damaged CA.
  const findings = noFindings(-1);
  const ca = collect(findings, layout.caCertificate.path, () => readWholeCertificate(layout.caCertificate.path));
  const known = readKnown(settings, ca?.info, sys);
  const cas = casIn({ caCertificate: ca, nextCa: undefined, formerCa: undefined }, known);
  const around: Around = { layout, there, revoked, findings, ...cas };
  const hosts = await readHosts(settings, ca?.info, known, around, (host): CertifiedHost => {
    const { role, hostname } = host;
    const certificate = readWholeCertificate(layout.certificate(role, hostname).path, cas.signers);
    const { path } = layout.previous(role, hostname);
    return {
      host,
      certificate,
      previous: there.has(path) ? readWholeCertificate(path, cas.signers) : undefined,
      isRevoked: isRevokedHost(revoked, hostname, certificate?.info),
      keyPlace: there.has(layout.request(role, hostname).path) ? 'host' : 'here',
    };
  });
  return { hosts, revoked, authority: ca };
}

/** Only the DKIM keys, and what is wrong with their files. */
export function readDkim(settings: Settings, { uid }: Onlooker): Pick<Inventory, 'dkim' | 'problems'> {
  const findings = noFindings(uid);
  return { dkim: readDkimKeys(layoutOf(settings), findings), problems: findings.problems };
}

/** The CA of the next stage of a rekey, and the previous one. */
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
