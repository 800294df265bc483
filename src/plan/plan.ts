// Decides what `make` has to do: settings and inventory in, steps out. Pure. A certificate that is missing is issued
// for the key or the request that is there; a key is made only where there is none of the three; the CA is made only where nothing of it, and
// nothing that it signed, is left. What contradicts is a problem, and then there is nothing to do but to say so.

import { dirname, join } from 'node:path';
import { checkCa, checkLeaf } from '../certificate/verify.js';
import { encodeSpki, samePublicKey } from '../certificate/public-key.js';
import { quote, quotePath, type Problem } from '../errors.js';
import { shellWord } from '../shell-word.js';
import type { HostName } from '../names.js';
import { bundleNames } from './bundle-names.js';
import { isOfFormerCa, signerOf } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import type { HostSettings, KeyType, Role, Settings } from '../settings/settings.js';
import type { Custody, HostInventory, Inventory } from './inventory.js';

/** One thing to make. In a plan they stand in the order in which they are carried out. */
export type Step =
  | { readonly kind: 'operator-key'; readonly path: string }
  | { readonly kind: 'passphrase'; readonly path: string; readonly recipients: readonly string[] }
  /** The passphrase that is there, encrypted anew; `removed` as in RecipientChange. */
  | {
      readonly kind: 'reseal';
      readonly path: string;
      readonly recipients: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly kind: 'ca-key'; readonly path: string; readonly keyType: KeyType }
  | {
      readonly kind: 'key';
      readonly path: string;
      readonly role: Role;
      readonly hostname: HostName;
      readonly keyType: KeyType;
    }
  | { readonly kind: 'ca-certificate'; readonly path: string; readonly commonName: string; readonly validDays: number }
  | {
      readonly kind: 'certificate';
      /** What the ledger will say: the first one, or a new one for the same key. */
      readonly event: 'issued' | 'renewed';
      readonly path: string;
      readonly role: Role;
      readonly hostname: HostName;
      readonly validDays: number;
    }
  | { readonly kind: 'record'; readonly path: string; readonly name: string; readonly serial: string }
  | {
      readonly kind: 'bundle';
      readonly path: string;
      readonly role: Role;
      readonly hostname: HostName;
      readonly files: readonly string[];
    };

export interface Plan {
  readonly steps: readonly Step[];
  /** What contradicts; where there is one, `steps` must not be carried out. */
  readonly problems: readonly Problem[];
  /** What a person should look at, and nothing that stops the work. */
  readonly warnings: readonly Problem[];
}

/** The bundles as they should be, by host and file name; only those hosts whose key and certificate are there. */
export type Bundles = ReadonlyMap<HostName, ReadonlyMap<string, Buffer>>;

/** The plan that brings everything that the settings ask for into being. */
export function planMake(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles,
  ledgerPath: string,
  at: Date,
  custody: Custody = { recipients: { kind: 'same' }, isGiven: false },
): Plan {
  // A file that could not be read would only look like a missing one.
  if (inventory.problems.length > 0) return { steps: [], problems: inventory.problems, warnings: [] };
  const problems = [...caProblems(settings, inventory, at)];
  const warnings: Problem[] = strangerWarnings(inventory);
  const unsealed: Step[] = [...resealSteps(settings, custody, warnings)];
  const keys: Step[] = [];
  const certificates: Step[] = [];
  const records: Step[] = [];

  if (inventory.caKey === undefined) {
    keys.push({ kind: 'ca-key', path: inventory.caKeyPath, keyType: settings.ca.keyType });
  }
  if (inventory.caCertificate === undefined) {
    const { commonName, validDays } = settings.ca;
    certificates.push({ kind: 'ca-certificate', path: inventory.caCertificatePath, commonName, validDays });
  }
  for (const found of inventory.hosts) {
    const { role, hostname } = found.host;
    if (found.isRevoked) continue;
    if (found.isRekeyCut) problems.push(cutProblem(found));
    problems.push(...requestProblems(found, inventory), ...hostProblems(found, inventory, at));
    warnings.push(...hostWarnings(found, settings, at));
    const { keyType, validDays } = settings.certificates;
    if (isOfFormerCa(found, inventory)) {
      certificates.push({ ...certificateStep(found, validDays), event: 'renewed' });
    }
    if (found.certificate !== undefined) continue;
    if (found.key === undefined && found.request === undefined)
      keys.push({ kind: 'key', path: found.keyPath, role, hostname, keyType });
    certificates.push(certificateStep(found, validDays));
  }
  for (const found of [inventory.caCertificate, ...inventory.hosts.map(({ certificate }) => certificate)]) {
    if (found === undefined || inventory.recorded.has(found.info.serial)) continue;
    const name = found.info.dnsNames[0] ?? found.info.commonName ?? found.path;
    records.push({ kind: 'record', path: ledgerPath, name, serial: found.info.serial });
  }
  if (certificates.length > 0) unsealed.push(...passphraseSteps(settings, inventory, custody, problems));
  return {
    steps: [...unsealed, ...keys, ...records, ...certificates, ...bundleSteps(inventory, bundles, certificates)],
    problems,
    warnings,
  };
}

function certificateStep(
  { host: { role, hostname }, certificatePath }: HostInventory,
  validDays: number,
): Extract<Step, { readonly kind: 'certificate' }> {
  return { kind: 'certificate', event: 'issued', path: certificatePath, role, hostname, validDays };
}

function resealSteps(settings: Settings, custody: Custody, warnings: Problem[]): readonly Step[] {
  const { file, recipients } = settings.passphrase;
  if (custody.recipients.kind === 'changed') {
    return [{ kind: 'reseal', path: file, recipients, removed: custody.recipients.removed }];
  }
  if (custody.recipients.kind === 'hidden') {
    warnings.push({
      message: `the passphrase file ${quotePath(file)} hides its recipients, so it stays as it is whatever passphrase.recipients says`,
      hint: 'for a new passphrase, encrypted to the recipients in the settings: relaycerts passphrase change',
    });
  }
  return [];
}

function passphraseSteps(
  settings: Settings,
  inventory: Inventory,
  { isGiven }: Custody,
  problems: Problem[],
): readonly Step[] {
  const { file, recipients } = settings.passphrase;
  if (inventory.passphraseFile !== undefined) return [];
  if (inventory.caKey !== undefined) {
    // Not made anew: whoever keeps the passphrase elsewhere wants no second copy of it.
    if (isGiven) return [];
    problems.push({
      message: `the passphrase file ${quotePath(file)} is missing, and without it the CA's key stays closed`,
      hint: 'bring it back from a backup, name its place as passphrase.file in the settings, or give the passphrase with --passphrase-fd N',
    });
    return [];
  }
  const operator: readonly Step[] =
    recipients.length === 0 && inventory.operatorKey === undefined
      ? [{ kind: 'operator-key', path: inventory.operatorKeyPath }]
      : [];
  return [...operator, { kind: 'passphrase', path: file, recipients }];
}

function caProblems(settings: Settings, inventory: Inventory, at: Date): readonly Problem[] {
  const { caKey, caKeyPath, caCertificate, caCertificatePath } = inventory;
  const leaf = inventory.hosts.find(({ certificate }) => certificate !== undefined)?.certificate;
  if (caCertificate === undefined) {
    if (leaf === undefined) return caKey === undefined ? traceProblems(inventory) : [];
    const file = caKey === undefined ? 'key and certificate are' : 'certificate is';
    return [
      {
        message: `the CA's ${file} missing, but ${quotePath(leaf.path)} was signed by it`,
        hint: `bring ${quotePath(caKey === undefined ? caKeyPath : caCertificatePath)} back from a backup; to begin anew with another CA: relaycerts clean`,
      },
    ];
  }
  const missingKey: readonly Problem[] =
    caKey === undefined
      ? [
          {
            message: `the CA's certificate ${quotePath(caCertificate.path)} is there, but its key ${quotePath(caKeyPath)} is missing`,
            hint: 'bring the key back from a backup; to begin anew with another CA: relaycerts clean',
          },
        ]
      : [];
  return [
    ...missingKey,
    ...checkCa(caCertificate.info, settings.ca, at).map((finding) =>
      describeFinding(finding, 'ca', caCertificate.path),
    ),
    ...caRekeyProblems(settings, inventory, at),
  ];
}

/** That the CA expired: the one problem that renewing the CA mends. */
export function expiredCaProblem({ ca }: Settings, { caCertificate }: Inventory, at: Date): Problem | undefined {
  if (caCertificate === undefined) return undefined;
  const expired = checkCa(caCertificate.info, ca, at).find(({ code }) => code === 'expired');
  return expired && describeFinding(expired, 'ca', caCertificate.path);
}

function caRekeyProblems(settings: Settings, { nextCa, isCaCut }: Inventory, at: Date): readonly Problem[] {
  if (isCaCut) return [{ message: 'the rekey of the CA was cut off', hint: 'relaycerts make: it finishes it' }];
  if (nextCa === undefined) return [];
  const { key, keyPath, certificate } = nextCa;
  const giveUp = `to give the new CA up: rm -f ${shellWord(keyPath)} ${shellWord(certificate.path)}, relaycerts make, and install every host`;
  const missing = `the new CA's certificate ${quotePath(certificate.path)} is there, but its key ${quotePath(keyPath)} is missing`;
  const findings = checkCa(certificate.info, settings.ca, at).map((one) =>
    describeFinding(one, 'ca', certificate.path),
  );
  return [...(key === undefined ? [missing] : []), ...findings.map(({ message }) => message)].map((message) => ({
    message,
    hint: `bring it back from a backup; ${giveUp}`,
  }));
}

// A CA that was there once is never made again by itself: what hosts carry would stop to fit, all at once.
function traceProblems({ caRecorded, caKeyPath, hosts }: Inventory): readonly Problem[] {
  const bundle = hosts.find((found) => found.bundle.size > 0);
  const trace = caRecorded ? 'the ledger names one' : bundle && `${quotePath(bundle.bundleFolder)} was made with one`;
  if (trace === undefined) return [];
  return [
    {
      message: `the CA's key and certificate are missing, but ${trace}`,
      hint: `bring ${quotePath(dirname(caKeyPath))} back from a backup; to begin anew with another CA: relaycerts clean`,
    },
  ];
}

// A request says that the key is at the host. One key, one host: two with the same pin could not be told apart.
function requestProblems({ request, key, keyPath, host }: HostInventory, inventory: Inventory): readonly Problem[] {
  if (request === undefined) return [];
  const problems: Problem[] = [];
  if (key !== undefined) {
    problems.push({
      message: `the request ${quotePath(request.path)} says that ${host.hostname} keeps its own key, but its key ${quotePath(keyPath)} is here too`,
      hint: `keep one: rm ${shellWord(keyPath)}, or rm ${shellWord(request.path)}`,
    });
  }
  const owner = ownerOf(request.info.spki, host, inventory);
  if (owner !== undefined) {
    problems.push({
      message: `the key of the request ${quotePath(request.path)} is ${owner}'s: every host has a key of its own`,
      hint: `remove the key on ${host.hostname}, and make a new one: relaycerts show ${host.hostname} --section request; where it is stored here already: rm ${shellWord(request.path)}`,
    });
  }
  return problems;
}

/** Who, other than the host, has this public key (DER); undefined where nobody does. */
function ownerOf(spki: Buffer, self: HostSettings, { caCertificate, hosts }: Inventory): string | undefined {
  if (caCertificate?.info.spki.equals(spki) === true) return 'the CA';
  const other = hosts.find(
    ({ host, key, request, certificate }) =>
      host.hostname !== self.hostname &&
      (certificate?.info.spki.equals(spki) === true ||
        request?.info.spki.equals(spki) === true ||
        (key !== undefined && encodeSpki(key.privateKey).equals(spki))),
  );
  return other?.host.hostname;
}

function cutProblem({ host: { hostname } }: HostInventory): Problem {
  return { message: `the rekey of ${hostname} was cut off`, hint: 'relaycerts make: it finishes it' };
}

function hostProblems(found: HostInventory, inventory: Inventory, at: Date): readonly Problem[] {
  const { certificate, key, request, host } = found;
  if (certificate === undefined) return [];
  const problems: Problem[] = [];
  if (request !== undefined) {
    if (!request.info.spki.equals(encodeSpki(certificate.info.publicKey))) {
      problems.push({
        message: `the certificate ${quotePath(certificate.path)} is not for the key of the request ${quotePath(request.path)}`,
        hint: `move the certificate away so that make issues one for the request: mv ${shellWord(certificate.path)} ${shellWord(`${certificate.path}.old`)}`,
      });
    }
  } else if (key === undefined) {
    problems.push({
      message: `the certificate ${quotePath(certificate.path)} is there, but its key ${quotePath(found.keyPath)} is missing`,
      hint: `bring the key back from a backup, or remove the certificate so that make makes both anew: rm ${shellWord(certificate.path)}`,
    });
  } else if (!samePublicKey(key.privateKey, certificate.info.publicKey)) {
    problems.push({
      message: `the key ${quotePath(key.path)} does not belong to the certificate ${quotePath(certificate.path)}`,
      hint: `bring the right key back, or move the certificate away so that make issues one for this key: mv ${shellWord(certificate.path)} ${shellWord(`${certificate.path}.old`)}`,
    });
  }
  const signer = signerOf(certificate.info, inventory);
  if (signer === undefined) return problems;
  const altNames = host.role === 'smtpd-server' ? host.altNames : [];
  const expected = { role: host.role, hostname: host.hostname, altNames };
  const findings = checkLeaf(certificate.info, signer.info, expected, at);
  return [
    ...problems,
    ...findings
      .filter(({ code }) => code !== 'expired')
      .map((finding) => describeFinding(finding, 'leaf', certificate.path)),
  ];
}

function hostWarnings(found: HostInventory, settings: Settings, at: Date): readonly Problem[] {
  return [...leftoverWarnings(found, settings), ...expiryWarnings(found, settings, at)];
}

function leftoverWarnings(
  { request, host, bundle, bundleFolder }: HostInventory,
  settings: Settings,
): readonly Problem[] {
  if (request === undefined) return [];
  const names = bundleNames(settings.domain, host.hostname);
  const left = [names.key, names.chain].filter((name) => bundle.has(name)).map((name) => join(bundleFolder, name));
  if (left.length === 0) return [];
  return [
    {
      message: `${host.hostname} keeps its own key, but an older key of it lies in its bundle: ${left.map(quotePath).join(', ')}`,
      hint: `rm ${left.map(shellWord).join(' ')}`,
    },
  ];
}

function expiryWarnings({ certificate, host }: HostInventory, settings: Settings, at: Date): readonly Problem[] {
  if (certificate === undefined) return [];
  const { notAfter } = certificate.info;
  const daysLeft = Math.floor((notAfter.getTime() - at.getTime()) / 86_400_000);
  if (daysLeft >= settings.certificates.renewBeforeDays) return [];
  const day = notAfter.toISOString().slice(0, 10);
  return [
    {
      message: `the certificate of ${host.hostname} ${daysLeft < 0 ? `expired on ${day}` : `expires on ${day}, in ${daysLeft} days`}`,
      hint: `relaycerts renew ${host.hostname}, then install it there`,
    },
  ];
}

function strangerWarnings({ strangers, damagedLedgerLines }: Inventory): Problem[] {
  const warnings: Problem[] = strangers.map(({ hostname, paths }) => ({
    message: `the settings no longer name ${hostname}, and its pin stands in no table; named again, it would get the same key, for it is still here`,
    hint: `where the host is gone for good, or its key may be lost: rm -r ${paths.map((path) => shellWord(path)).join(' ')}`,
  }));
  if (damagedLedgerLines > 0) {
    warnings.push({ message: `the ledger has ${damagedLedgerLines} lines that are no entry, as a crash leaves them` });
  }
  return warnings;
}

function bundleSteps(inventory: Inventory, bundles: Bundles, certificates: readonly Step[]): readonly Step[] {
  const anew = new Set(certificates.map((step) => ('hostname' in step ? step.hostname : '')));
  const newCa = certificates.some(({ kind }) => kind === 'ca-certificate');
  const newClient = certificates.some((step) => 'role' in step && step.role === 'smtp-client');
  return inventory.hosts.flatMap(({ host: { role, hostname }, bundle, bundleFolder, isRevoked }) => {
    if (isRevoked) return [];
    const wanted = bundles.get(hostname);
    const all = wanted === undefined || newCa || anew.has(hostname);
    const files = all
      ? ['all files']
      : [...wanted].flatMap(([name, bytes]) => {
          const changes = name === 'relay_clientcerts' && newClient;
          return changes || bundle.get(name)?.equals(bytes) !== true ? [name] : [];
        });
    if (files.length === 0) return [];
    return [{ kind: 'bundle' as const, path: bundleFolder, role, hostname, files }];
  });
}

/** A step in words, for --dry-run and for progress. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'operator-key':
      return `the operator key, an OpenPGP key that opens the passphrase: ${step.path}`;
    case 'passphrase':
      return `the CA's passphrase, encrypted to ${step.recipients.length === 0 ? 'the operator key' : step.recipients.join(', ')}: ${step.path}`;
    case 'reseal':
      return `the CA's passphrase, encrypted anew to ${step.recipients.join(', ')}${step.removed.length === 0 ? '' : ` and no longer to ${step.removed.join(', ')}`}: ${step.path}`;
    case 'ca-key':
      return `the CA's key, ${step.keyType}, encrypted: ${step.path}`;
    case 'key':
      return `the key of ${step.hostname}, ${step.keyType}: ${step.path}`;
    case 'ca-certificate':
      return `the CA's certificate ${quote(step.commonName)}, ${step.validDays} days: ${step.path}`;
    case 'certificate':
      return `the ${step.role} certificate of ${step.hostname}, ${step.validDays} days: ${step.path}`;
    case 'record':
      return `the ledger's line for ${step.name}, serial ${step.serial}: ${step.path}`;
    case 'bundle':
      return `the bundle of ${step.hostname} (${step.files.join(', ')}): ${step.path}`;
  }
}
