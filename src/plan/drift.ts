// Where certificates that are there, and right, are not what the settings would make by now: the next ones will be, and a
// command makes them at once. Pure. What a certificate must have (its names) is host-problems.ts's.

import type { CertificateInfo } from '../certificate/certificate.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import type { Settings, Subject } from '../settings/settings.js';
import { signerOf } from './ca-rekey.js';
import type { HostInventory, Inventory } from './inventory.js';

/** A line for each setting that is not applied: what differs, where, and the command that applies it. */
export function describeDrift(settings: Settings, inventory: Inventory): readonly string[] {
  const { keyType, validDays } = settings.certificates;
  const differ = (what: string, command: string, isOther: (found: HostInventory, info: CertificateInfo) => boolean) =>
    describeHosts(
      what,
      command,
      inventory.hosts.filter(
        (found) => !found.isRevoked && found.certificate !== undefined && isOther(found, found.certificate.info),
      ),
    );
  return [
    ...caDrift(settings, inventory),
    ...differ(
      `certificates.keyType (${keyType})`,
      'relaycerts renew --rekey',
      // A host that keeps its own key chooses its type.
      ({ request }, { spki }) => request === undefined && keyTypeOfSpki(spki) !== keyType,
    ),
    ...differ(
      `certificates.validDays (${validDays})`,
      'relaycerts renew --force',
      (_, info) => daysOf(info) !== validDays && !isCut(info, inventory, validDays),
    ),
    ...differ('subject', 'relaycerts renew --force', (_, info) => !hasSubject(info, settings.subject)),
  ];
}

/** Not while it gets a new key: the next stage tells what comes. */
function caDrift({ ca }: Settings, { caCertificate, nextCa, formerCa }: Inventory): readonly string[] {
  if (caCertificate === undefined || nextCa !== undefined || formerCa !== undefined) return [];
  const { info } = caCertificate;
  const found = keyTypeOfSpki(info.spki);
  return [
    ...(found === ca.keyType
      ? []
      : [`ca.keyType (${ca.keyType}) is not that of the CA (${found ?? 'another'}): relaycerts renew --ca --rekey`]),
    ...(daysOf(info) === ca.validDays
      ? []
      : [`ca.validDays (${ca.validDays}) is not that of the CA (${daysOf(info)}): relaycerts renew --ca`]),
  ];
}

function describeHosts(what: string, command: string, hosts: readonly HostInventory[]): readonly string[] {
  if (hosts.length === 0) return [];
  const names = hosts.slice(0, 5).map(({ host: { hostname } }) => hostname);
  const more = hosts.length > names.length ? `, and for ${hosts.length - names.length} more` : '';
  return [`${what} is not that of certificates that are there: ${command} ${names.join(' ')}${more}`];
}

function daysOf({ notBefore, notAfter }: CertificateInfo): number {
  return Math.ceil((notAfter.getTime() - notBefore.getTime()) / 86_400_000);
}

/** True where the CA's end is why the leaf has fewer days. */
function isCut(leaf: CertificateInfo, inventory: Inventory, validDays: number): boolean {
  const signer = signerOf(leaf, inventory);
  return signer !== undefined && daysOf(leaf) < validDays && leaf.notAfter.getTime() === signer.info.notAfter.getTime();
}

const attributes: readonly (readonly [attribute: string, key: keyof Subject])[] = [
  ['C', 'country'],
  ['ST', 'state'],
  ['L', 'locality'],
  ['O', 'organization'],
  ['OU', 'organizationalUnit'],
];

function hasSubject({ x509 }: CertificateInfo, subject: Subject): boolean {
  const found = new Map<string, unknown>(Object.entries(x509.toLegacyObject().subject));
  return attributes.every(([attribute, key]) => (found.get(attribute) ?? '') === subject[key]);
}
