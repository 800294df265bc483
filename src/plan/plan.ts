// Decides what `make` has to do: settings and inventory in, steps out. Pure. A certificate that is missing is issued
// for the key or the request that is there; a key is made only where there is none of the three; the CA is made only
// where nothing of it, and nothing that it signed, is left. What contradicts is a problem (ca-problems.ts,
// host-problems.ts), and then there is nothing to do but to say so.

import { quotePath, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import type { KeyType, Role, Settings } from '../settings/settings.js';
import { tableName } from './bundle-names.js';
import { caProblems } from './ca-problems.js';
import { isOfFormerCa } from './ca-rekey.js';
import { cutProblem, hostProblems, requestProblems, revokedKeyProblems } from './host-problems.js';
import type { Custody, HostInventory, Inventory } from './inventory.js';
import { leafDays } from './leaf-days.js';
import { staleFiles } from './stale-files.js';
import { caWarnings, custodyWarnings, hostWarnings, missingPassphrase, strangerWarnings } from './warnings.js';

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
      /** For words: cut to the CA's, as the certificate is. */
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
  const warnings: Problem[] = [...caWarnings(settings, inventory, at), ...strangerWarnings(inventory)];
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
  const validDays = leafDays(settings, inventory.caCertificate?.info, at);
  for (const found of inventory.hosts) {
    const { role, hostname } = found.host;
    if (found.isRevoked) continue;
    if (found.isRekeyCut) problems.push(cutProblem(found));
    problems.push(...revokedKeyProblems(found, inventory));
    problems.push(...requestProblems(found, inventory), ...hostProblems(found, inventory, at));
    warnings.push(...hostWarnings(found, settings, at));
    const { keyType } = settings.certificates;
    if (isOfFormerCa(found, inventory)) {
      certificates.push({ ...certificateStep(found, validDays), event: 'renewed' });
    }
    if (found.certificate !== undefined) continue;
    if (found.key === undefined && found.request === undefined)
      keys.push({ kind: 'key', path: found.keyPath, role, hostname, keyType });
    certificates.push(certificateStep(found, validDays));
  }
  // A line for a revoked host would be its last, and so take the revocation back.
  const standing = inventory.hosts.filter(({ isRevoked }) => !isRevoked);
  for (const found of [inventory.caCertificate, ...standing.map(({ certificate }) => certificate)]) {
    if (found === undefined || inventory.recorded.has(found.info.serial)) continue;
    const name = found.info.dnsNames[0] ?? found.info.commonName ?? found.path;
    records.push({ kind: 'record', path: ledgerPath, name, serial: found.info.serial });
  }
  if (certificates.length > 0) unsealed.push(...passphraseSteps(settings, inventory, custody, problems));
  else if (!custody.isGiven) warnings.push(...custodyWarnings(settings, inventory));
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
    problems.push(missingPassphrase(settings));
    return [];
  }
  const operator: readonly Step[] =
    recipients.length === 0 && inventory.operatorKey === undefined
      ? [{ kind: 'operator-key', path: inventory.operatorKeyPath }]
      : [];
  return [...operator, { kind: 'passphrase', path: file, recipients }];
}

function bundleSteps(inventory: Inventory, bundles: Bundles, certificates: readonly Step[]): readonly Step[] {
  const anew = new Set(certificates.map((step) => ('hostname' in step ? step.hostname : '')));
  const newCa = certificates.some(({ kind }) => kind === 'ca-certificate');
  const newClient = certificates.some((step) => 'role' in step && step.role === 'smtp-client');
  return inventory.hosts.flatMap(({ host: { role, hostname }, bundle, bundleFolder, isRevoked }) => {
    if (isRevoked) return [];
    const wanted = bundles.get(hostname);
    const all = wanted === undefined || newCa || anew.has(hostname);
    const stale = new Set(all ? [] : staleFiles(bundle, wanted));
    const files = all
      ? ['all files']
      : [...wanted.keys()].filter((name) => stale.has(name) || (newClient && name === tableName));
    if (files.length === 0) return [];
    return [{ kind: 'bundle' as const, path: bundleFolder, role, hostname, files }];
  });
}
