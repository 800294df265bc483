// Certificates that are valid but not what the settings would make now. The next ones will be, and a command makes them
// at once. Pure. Names are in reissue.ts, because `make` itself applies them.

import { isKeyOf } from '../certificate/private-key.js';
import { checkCa, checkLeaf } from '../certificate/verify.js';
import type { Hint, Problem } from '../errors.js';
import type { CertificateInfo } from '../certificate/certificate.js';
import { nameTexts } from '../certificate/name-texts.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import type { HostName } from '../names.js';
import type { Settings, Subject } from '../settings/settings.js';
import { caStageOf, signerOf } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import { isKnownRight, type FoundCertificate, type HostInventory, type Inventory } from './inventory.js';
import { staleFiles } from './warnings.js';

/** What differs, and the command that applies it. */
export type Drift = Problem & { readonly hint: Hint };

/**
 * One entry for each setting that is not applied: what differs, where, and the command that applies it. `reissued` are
 * hosts that get another certificate for the same key now.
 */
export function driftOf(settings: Settings, inventory: Inventory, reissued: ReadonlySet<HostName>): readonly Drift[] {
  const { keyType, validDays } = settings.certificates;
  const standing = inventory.hosts.filter((found) => !found.isRevoked && !isKnownRight(found, inventory));
  const drifts = leafDrifts(settings, inventory);
  const kept = standing.filter(({ host }) => !reissued.has(host.hostname));
  const differ = (what: string, option: '--rekey' | '--force', isOther: IsOther) => {
    const others = (option === '--rekey' ? standing : kept).filter(
      (found) => found.certificate && isOther(found.certificate.info, found),
    );
    if (others.length === 0) return [];
    const names = others.slice(0, 5).map(({ host }) => host.hostname);
    const more = others.length > names.length ? `, and ${others.length - names.length} more` : '';
    const have = others.length === 1 ? 'a certificate has' : `${others.length} certificates have`;
    return [{ message: `${what} is not what ${have}`, hint: { run: ['renew', option, ...names], after: more } }];
  };
  return [
    ...caDrift(settings, inventory),
    ...differ(`certificates.keyType (${keyType})`, '--rekey', drifts.keyType),
    ...differ(`certificates.validDays (${validDays})`, '--force', drifts.validDays),
    ...differ('subject', '--force', drifts.subject),
  ];
}

type IsOther = (info: CertificateInfo, found: HostInventory) => boolean;

function leafDrifts(
  settings: Settings,
  inventory: Inventory,
): Readonly<Record<'keyType' | 'validDays' | 'subject', IsOther>> {
  const { keyType, validDays } = settings.certificates;
  return {
    // A host that keeps its own key chooses the type.
    keyType: ({ spki }, { request }) => request === undefined && keyTypeOfSpki(spki) !== keyType,
    validDays: (info) => daysOf(info) !== validDays && !isCut(info, inventory, validDays),
    subject: (info) => !hasSubject(info, settings.subject),
  };
}

/**
 * True if everything a client has is as in the settings: nothing to find, to make or to apply. `wanted`: its bundle.
 */
export function isRight(
  settings: Settings,
  inventory: Inventory,
  found: HostInventory,
  wanted: ReadonlyMap<string, Buffer> | undefined,
  at: Date,
): boolean {
  const { host, certificate, key, request, previous, isRevoked } = found;
  const ca = inventory.caCertificate?.info;
  if (caStageOf(inventory) > 0 || host.role !== 'smtp-client' || ca === undefined || wanted === undefined) return false;
  if (certificate === undefined || key === undefined) return false;
  if (request !== undefined || previous !== undefined || isRevoked) return false;
  const { info } = certificate;
  // For certificates issued by this program: what is known of a client includes the CA's key.
  if (info.authorityKeyIdentifier !== ca.subjectKeyIdentifier) return false;
  if (!isKeyOf(key, info) || checkLeaf(info, ca, host, at).length > 0) return false;
  if (Object.values(leafDrifts(settings, inventory)).some((isOther) => isOther(info, found))) return false;
  return staleFiles(found.bundle, wanted).length === 0;
}

/** The settings ask for another CA name or other domains: the CA works, and a command applies them. */
export function unappliedToCa(ca: Settings['ca'], { info, path }: FoundCertificate): readonly Drift[] {
  return checkCa(info, ca, info.notBefore)
    .filter(({ code }) => code === 'wrong-name' || code === 'wrong-constraints')
    .map((finding) => describeFinding(finding, 'ca', path));
}

/** Not during a rekey: its next stage has its own message. */
function caDrift({ ca }: Settings, { caCertificate, nextCa, formerCa }: Inventory): readonly Drift[] {
  if (caCertificate === undefined || nextCa !== undefined || formerCa !== undefined) return [];
  const [keyType, validDays] = [keyTypeOfSpki(caCertificate.info.spki), daysOf(caCertificate.info)];
  const drifts: Drift[] = [...unappliedToCa(ca, caCertificate)];
  if (keyType !== ca.keyType) {
    const message = `ca.keyType is ${ca.keyType}, but the CA has ${keyType ?? 'another'}`;
    drifts.push({ message, hint: { run: ['renew', '--ca', '--rekey'] } });
  }
  if (validDays !== ca.validDays) {
    const message = `ca.validDays is ${ca.validDays}, but the CA has ${validDays}`;
    drifts.push({ message, hint: { run: ['renew', '--ca'] } });
  }
  return drifts;
}

function daysOf({ notBefore, notAfter }: CertificateInfo): number {
  return Math.ceil((notAfter.getTime() - notBefore.getTime()) / 86_400_000);
}

/** True if the leaf has fewer days because the CA ends. */
function isCut(leaf: CertificateInfo, inventory: Inventory, validDays: number): boolean {
  const signer = signerOf(leaf, inventory);
  return signer !== undefined && daysOf(leaf) < validDays && leaf.notAfter.getTime() === signer.info.notAfter.getTime();
}

/** Their types as in RFC 5280 appendix A.1. */
const attributes: readonly (readonly [type: string, key: keyof Subject])[] = [
  ['2.5.4.6', 'country'],
  ['2.5.4.8', 'state'],
  ['2.5.4.7', 'locality'],
  ['2.5.4.10', 'organization'],
  ['2.5.4.11', 'organizationalUnit'],
];

function hasSubject({ subject: name }: CertificateInfo, subject: Subject): boolean {
  return attributes.every(([type, key]) => {
    const [found = '', ...others] = nameTexts(name, type);
    return others.length === 0 && found === subject[key];
  });
}
