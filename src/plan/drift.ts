// Certificates that are right, but not what the settings would make now. The next ones will be, and a command makes them
// at once. Pure. What a certificate must have (its names) is in host-problems.ts.

import type { Command, Problem } from '../errors.js';
import type { CertificateInfo } from '../certificate/certificate.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import type { Settings, Subject } from '../settings/settings.js';
import { signerOf } from './ca-rekey.js';
import type { HostInventory, Inventory } from './inventory.js';

/** What differs, and the command that applies it. */
export type Drift = Problem & { readonly hint: Command };

/** One for each setting that is not applied: what differs, where, and the command that applies it. */
export function driftOf(settings: Settings, inventory: Inventory): readonly Drift[] {
  const { keyType, validDays } = settings.certificates;
  const differ = (what: string, option: string, isOther: (found: HostInventory, info: CertificateInfo) => boolean) =>
    describeHosts(
      what,
      option,
      inventory.hosts.filter(
        (found) => !found.isRevoked && found.certificate !== undefined && isOther(found, found.certificate.info),
      ),
    );
  return [
    ...caDrift(settings, inventory),
    ...differ(
      `certificates.keyType (${keyType})`,
      '--rekey',
      // A host that keeps its own key chooses its type.
      ({ request }, { spki }) => request === undefined && keyTypeOfSpki(spki) !== keyType,
    ),
    ...differ(
      `certificates.validDays (${validDays})`,
      '--force',
      (_, info) => daysOf(info) !== validDays && !isCut(info, inventory, validDays),
    ),
    ...differ('subject', '--force', (_, info) => !hasSubject(info, settings.subject)),
  ];
}

/** Not while it gets a new key: the next stage tells what comes. */
function caDrift({ ca }: Settings, { caCertificate, nextCa, formerCa }: Inventory): readonly Drift[] {
  if (caCertificate === undefined || nextCa !== undefined || formerCa !== undefined) return [];
  const { info } = caCertificate;
  const found = keyTypeOfSpki(info.spki);
  return [
    ...(found === ca.keyType
      ? []
      : [
          {
            message: `ca.keyType is ${ca.keyType}, but the CA has ${found ?? 'another'}`,
            hint: { run: ['renew', '--ca', '--rekey'] as const },
          },
        ]),
    ...(daysOf(info) === ca.validDays
      ? []
      : [
          {
            message: `ca.validDays is ${ca.validDays}, but the CA has ${daysOf(info)}`,
            hint: { run: ['renew', '--ca'] as const },
          },
        ]),
  ];
}

function describeHosts(what: string, option: string, hosts: readonly HostInventory[]): readonly Drift[] {
  if (hosts.length === 0) return [];
  const names = hosts.slice(0, 5).map(({ host: { hostname } }) => hostname);
  const more = hosts.length > names.length ? `, and ${hosts.length - names.length} more` : '';
  const message = `${what} is not what ${hosts.length === 1 ? 'a certificate has' : `${hosts.length} certificates have`}`;
  return [{ message, hint: { run: ['renew', option, ...names], after: more } }];
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
