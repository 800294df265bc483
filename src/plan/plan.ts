// Decides what `make` has to do: settings and inventory in, steps out. Pure. A certificate that is missing, or not as
// in the settings (reissue.ts), is issued for the existing key or request; a key is made only if none of the three
// exist; the CA is made only if nothing of it, and nothing signed by it, is left. A contradiction is a problem
// (ca-problems.ts, host-problems.ts), and then the plan only reports it.

import type { CertificateFindingCode } from '../certificate/verify.js';
import { inboundFiles } from './inbound.js';
import { tunnelFiles } from './tunnel.js';
import { quotePath, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import type { Dkim, KeyType, Settings } from '../settings/settings.js';
import { bundleFiles, bundleNames, keyPlaceOf } from './bundle-names.js';
import { caProblems } from './ca-problems.js';
import { hostProblems, requestProblems, revokedKeyProblems } from './host-problems.js';
import { BundleStep, CertificateStep, KeyStep } from './host-step.js';
import { isKnownRight, type Custody, type Inventory } from './inventory.js';
import { dkimFiles, dkimKeyFile, ed25519Warnings, keyTypeWarnings, newDkimKeys } from './dkim.js';
import { leafDays } from './leaf-days.js';
import { heldBack, isForMake, type Held } from './reissue.js';
import {
  caWarnings,
  hostWarnings,
  idleTunnelWarnings,
  missingPassphrase,
  staleFiles,
  strangerWarnings,
  tableWarnings,
} from './warnings.js';

/** One thing to make, at `path`. The steps of a plan are in the order in which they are carried out. */
export type Step = KeyStep | CertificateStep | BundleStep | StepForAll;

/** What is not for one host. */
type StepForAll = { readonly path: string } & (
  | { readonly kind: 'operator-key' }
  | { readonly kind: 'passphrase'; readonly recipients: readonly string[] }
  /** Encrypts the existing passphrase again; `removed` as in RecipientChange. */
  | { readonly kind: 'reseal'; readonly recipients: readonly string[]; readonly removed: readonly string[] }
  | { readonly kind: 'ca-key'; readonly keyType: KeyType }
  | { readonly kind: 'ca-certificate'; readonly commonName: string; readonly validDays: number }
  /** The key with which a domain's mail is signed from now on. */
  | {
      readonly kind: 'dkim-key';
      readonly domain: HostName;
      readonly selector: string;
      readonly keyType: Dkim['keyType'];
    }
);

export type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>;
/** What a host gets. */
export type HostStep = KeyStep | CertificateStep;

export function isHostStep(step: Step): step is HostStep {
  return step.kind === 'key' || step.kind === 'certificate';
}

export interface Plan {
  readonly steps: readonly Step[];
  /** Contradictions; if there are any, `steps` must not be carried out. */
  readonly problems: readonly Problem[];
  /** Hosts that get nothing now, because something else must come first; all others proceed. */
  readonly held: readonly Held[];
  /** What a person should look at, though it does not stop the work. */
  readonly warnings: readonly Problem[];
}

/**
 * The bundles as they should be, by host and file name; only for hosts that have a key and a certificate. Bundles known
 * to be right may be missing.
 */
export type Bundles = ReadonlyMap<HostName, ReadonlyMap<string, Buffer>>;

/**
 * Contradictions: about the CA, except those in `fixes`, and about every host. Files that could not be read look as if
 * they were missing, so then nothing else is reported.
 */
export function contradictionsOf(
  settings: Settings,
  inventory: Inventory,
  at: Date,
  fixes: readonly CertificateFindingCode[] = [],
): readonly Problem[] {
  if (inventory.problems.length > 0) return inventory.problems;
  const standing = inventory.hosts.filter((found) => !found.isRevoked && !isKnownRight(found, inventory));
  const hosts = standing.flatMap((found) => [
    ...revokedKeyProblems(found, inventory),
    ...requestProblems(found, inventory),
    ...hostProblems(found, inventory, at),
  ]);
  return [...caProblems(settings, inventory, at, fixes), ...hosts];
}

/** The plan that makes everything the settings ask for. */
export function planMake(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles,
  at: Date,
  custody: Custody = { recipients: { kind: 'same' }, isGiven: false },
): Plan {
  // A file that could not be read would be taken for a missing one.
  if (inventory.problems.length > 0) return { steps: [], problems: inventory.problems, held: [], warnings: [] };
  const problems = [...contradictionsOf(settings, inventory, at)];
  // Those of each host come last, because a fleet's are cut off (sys/warn-some.ts).
  const warnings = [
    ...caWarnings(settings, inventory, at),
    ...tableWarnings(settings),
    ...idleTunnelWarnings(settings),
  ];
  const ofHosts = [...strangerWarnings(settings, inventory)];
  const unsealed = [...resealSteps(settings, inventory, custody, { problems, warnings })];
  const keys: Step[] = [];
  const certificates: Step[] = [];
  const held: Held[] = [];

  if (inventory.caKey === undefined) {
    keys.push({ kind: 'ca-key', path: inventory.caKeyPath, keyType: settings.ca.keyType });
  }
  if (inventory.caCertificate === undefined) {
    const { commonName, validDays } = settings.ca;
    certificates.push({ kind: 'ca-certificate', path: inventory.caCertificatePath, commonName, validDays });
  }
  const validDays = leafDays(settings, inventory.caCertificate?.info, at);
  for (const found of inventory.hosts) {
    if (found.isRevoked) continue;
    ofHosts.push(...hostWarnings(found, inventory, settings, at));
    if (isKnownRight(found, inventory) || !isForMake(found, inventory)) continue;
    const hold = heldBack(settings, inventory, found);
    if (hold !== undefined) {
      held.push(hold);
      continue;
    }
    const isNew = found.certificate === undefined;
    if (isNew && found.key === undefined && found.request === undefined) {
      keys.push(new KeyStep(found, settings.certificates.keyType));
    }
    certificates.push(new CertificateStep(found, isNew ? 'issued' : 'renewed', validDays));
  }
  if (certificates.length > 0) unsealed.push(...passphraseSteps(settings, inventory, custody, problems));
  const signing = dkimSteps(settings, inventory, at);
  warnings.push(
    ...keyTypeWarnings(settings, inventory.dkim),
    ...ed25519Warnings([...signing.map(({ keyType }) => ({ keyType, state: 'active' as const })), ...inventory.dkim]),
  );
  const made = bundleSteps(settings, inventory, bundles, { certificates, signing });
  const steps = [...unsealed, ...keys, ...signing, ...certificates, ...made];
  return { steps, problems, held, warnings: [...warnings, ...ofHosts] };
}

/** Only a file that opens this project's CA is encrypted again: any other may belong to another project. */
function resealSteps(
  settings: Settings,
  { caKey }: Inventory,
  custody: Custody,
  { problems, warnings }: { readonly problems: Problem[]; readonly warnings: Problem[] },
): readonly Step[] {
  const { file, recipients } = settings.passphrase;
  if (custody.recipients.kind === 'changed') {
    if (caKey === undefined) {
      const message = `the passphrase file ${quotePath(file)} is there before this CA, so another project may need it, and it is not encrypted to passphrase.recipients`;
      problems.push({
        message,
        hint: 'name another passphrase.file in the settings, or leave passphrase.recipients out',
      });
    }
    return [{ kind: 'reseal', path: file, recipients, removed: custody.recipients.removed }];
  }
  if (custody.recipients.kind === 'hidden') {
    const message = `the passphrase file ${quotePath(file)} hides its recipients, so it stays as it is whatever passphrase.recipients says`;
    const before = 'for a new passphrase, encrypted to the recipients in the settings:';
    warnings.push({ message, hint: { run: ['passphrase', 'change'], before } });
  }
  return [];
}

function passphraseSteps(settings: Settings, inventory: Inventory, { isGiven }: Custody, problems: Problem[]): Step[] {
  const { file, recipients } = settings.passphrase;
  if (inventory.passphraseFile !== undefined) return [];
  if (inventory.caKey !== undefined) {
    // Not recreated: a user who keeps the passphrase elsewhere does not want a second copy.
    if (!isGiven) problems.push(missingPassphrase(settings));
    return [];
  }
  const passphrase: Step = { kind: 'passphrase', path: file, recipients };
  if (recipients.length > 0 || inventory.operatorKey !== undefined) return [passphrase];
  return [{ kind: 'operator-key', path: inventory.operatorKeyPath }, passphrase];
}

/** A domain's first key signs at once: until its record is seen, receivers take the mail as not signed. */
function dkimSteps(settings: Settings, { dkim, dkimFolder }: Inventory, at: Date): readonly StepOf<'dkim-key'>[] {
  return newDkimKeys(settings, dkim, at).map(({ domain, selector, keyType }) => {
    const path = `${dkimFolder}/${dkimKeyFile({ domain, selector })}`;
    return { kind: 'dkim-key', path, domain, selector, keyType };
  });
}

/** The files of each bundle that will change. */
function bundleSteps(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles,
  { certificates, signing }: { readonly certificates: readonly Step[]; readonly signing: readonly Step[] },
): readonly Step[] {
  const { domain, postfix } = settings;
  const reissued = new Set(certificates.map((step) => ('hostname' in step ? step.hostname : '')));
  const newCa = certificates.some(({ kind }) => kind === 'ca-certificate');
  // A renewal keeps the key's pin, so the table stays the same.
  const hasNewPin = (step: Step): boolean =>
    step.kind === 'certificate' &&
    step.role === 'smtp-client' &&
    (step.event === 'issued' || postfix.pin === 'certificate');
  const newPin = certificates.some(hasNewPin);
  const newRelayPin = certificates.some(
    (step) => step.kind === 'certificate' && step.role === 'smtpd-server' && step.event === 'issued',
  );
  return inventory.hosts.flatMap((found) => {
    if (found.isRevoked || isKnownRight(found, inventory)) return [];
    const { host, bundle, request } = found;
    const { hostname } = host;
    const wanted = bundles.get(hostname);
    // Otherwise it is a held host without a certificate.
    if (wanted === undefined) return newCa || reissued.has(hostname) ? [new BundleStep(found, settings)] : [];
    const names = bundleNames(domain, hostname);
    const changed = new Set([
      ...(newCa ? [names.ca] : []),
      ...(reissued.has(hostname) ? [names.certificate, names.chain] : []),
      ...(newPin ? [names.table] : []),
      ...(newRelayPin ? inboundFiles(host) : []),
      ...(newPin ? tunnelFiles(settings, host) : []),
      ...staleFiles(bundle, wanted),
      ...(signing.length > 0 ? dkimFiles(settings, host) : []),
    ]);
    const files = bundleFiles(settings, host, keyPlaceOf(request)).filter((name) => changed.has(name));
    return files.length === 0 ? [] : [new BundleStep(found, settings, files)];
  });
}
