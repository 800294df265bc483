// The state: the contents of the files beside the settings. A plan is made from it, and a change goes from one such
// value to another (store/state-change.ts). Types only; store/read.ts fills them.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { HostKey } from '../certificate/private-key.js';
import type { RequestInfo } from '../certificate/request.js';
import type { Problem } from '../errors.js';
import type { HostName } from '../names.js';
import type { KeyPlace } from './bundle-names.js';
import type { FoundDkimKey } from './dkim.js';
import type { Secret } from '../secret.js';
import type { HostSettings, MailProgram, Role } from '../settings/settings.js';

/** The contents of certs/revoked/ (store/revoked.ts). */
export interface Revoked {
  /** By host, the serials in its files' names. */
  readonly hosts: ReadonlyMap<HostName, readonly string[]>;
  /** Hosts with a request there: they made their own key. */
  readonly ownKey: ReadonlySet<HostName>;
  /** SHA-256 of the public keys. */
  readonly keys: ReadonlySet<string>;
}

interface Found<Info> {
  readonly path: string;
  readonly info: Info;
}

export type FoundCertificate = Found<CertificateInfo>;

/** A CA other than the one that signs. */
export interface FoundCa {
  readonly keyPath: string;
  /** The encrypted key's PEM. */
  readonly key: Buffer | undefined;
  readonly certificate: FoundCertificate;
}

/** A class only so that TypeScript refuses to spread it, which would lose what is read on demand: use changeHost. */
export declare abstract class HostInventory {
  abstract get host(): HostSettings;
  abstract get keyPath(): string;
  abstract get key(): HostKey | undefined;
  /** The request of a host that keeps its key. */
  abstract get requestPath(): string;
  abstract get request(): Found<RequestInfo> | undefined;
  abstract get certificatePath(): string;
  abstract get certificate(): FoundCertificate | undefined;
  /** The certificate before a rekey, until it is retired: its pin stays listed. */
  abstract get previous(): FoundCertificate | undefined;
  /** True if its files are in certs/revoked/ and it has no certificate for another key. */
  abstract get isRevoked(): boolean;
  abstract get bundleFolder(): string;
  /** True if that folder exists, with any contents. */
  abstract get hasBundle(): boolean;
  /** The bundle's files by name; missing ones are absent. */
  abstract get bundle(): ReadonlyMap<string, Buffer>;
  /**
   * The CA under which all files of this client were found right; they have not changed since. They are read only on
   * demand, which takes time: ask `isKnownRight` first. Undefined: nothing is known.
   */
  abstract get rightUnder(): CertificateInfo | undefined;
}

/** True if this client's files have no findings and nothing has to be made for it. */
export function isKnownRight(
  { rightUnder }: Pick<HostInventory, 'rightUnder'>,
  { caCertificate, nextCa, formerCa }: Pick<Inventory, 'caCertificate' | 'nextCa' | 'formerCa'>,
): boolean {
  if (rightUnder === undefined || nextCa !== undefined || formerCa !== undefined) return false;
  return rightUnder === caCertificate?.info;
}

/**
 * The host with some fields changed. Not by spreading, because a field that is read on demand is not an own property.
 */
export function changeHost(found: HostInventory, change: Partial<HostInventory>): HostInventory {
  const { host, keyPath, key, requestPath, request, certificatePath, certificate, previous } = found;
  const { isRevoked, bundleFolder, hasBundle, bundle } = found;
  const files = { keyPath, key, requestPath, request, certificatePath, certificate, previous };
  return { host, ...files, isRevoked, bundleFolder, hasBundle, bundle, rightUnder: undefined, ...change };
}

/** A host's certificates without keys. */
export interface CertifiedHost extends Pick<HostInventory, 'host' | 'certificate' | 'previous' | 'isRevoked'> {
  readonly keyPlace: KeyPlace;
}

/** The keys that the passphrase file is encrypted to, compared with the recipients in the settings. */
export type RecipientChange =
  | { readonly kind: 'same' }
  /** The file hides its recipients (`gpg --hidden-recipient`). */
  | { readonly kind: 'hidden' }
  /** `removed`: those that can open it but are no longer recipients; key IDs, or `a password`. */
  | { readonly kind: 'changed'; readonly removed: readonly string[] };

/** What is known about the passphrase apart from its file's bytes. */
export interface Custody {
  readonly recipients: RecipientChange;
  /** The passphrase itself was given with --passphrase-fd. */
  readonly isGiven: boolean;
}

/** The result of opening the passphrase, and the CA's key with it. */
export type Opening =
  /** `isWeak`: somebody with the CA's key could guess the passphrase. */
  | { readonly kind: 'opened'; readonly isWeak: boolean }
  /** What can open it is here but asks; nobody was asked. */
  | { readonly kind: 'unasked'; readonly asksFor: string }
  | { readonly kind: 'missing' | 'unopenable'; readonly problem: Problem };

/** What is left of a host that the settings no longer name, or no longer in this role. */
export interface Stranger {
  readonly hostname: HostName;
  readonly role: Role;
  /** Its role in the settings; undefined if they do not name it. */
  readonly nowRole: Role | undefined;
  /** Absolute paths: the bundle's folder, keys, certificates and requests. */
  readonly paths: readonly string[];
}

/** All events of one certificate in the ledger, combined; texts as written there, fingerprints SHA-256. */
export interface IssuedCertificate {
  readonly serial: string;
  readonly role: 'ca' | Role;
  /** The host's FQDN; the CA's commonName for the CA. */
  readonly name: string;
  /** The program that hands over its mail, if the ledger has it. */
  readonly program: MailProgram;
  readonly certificateSha256: string;
  readonly publicKeySha256: string;
  /** The key of the CA that signed it, if the ledger has it. */
  readonly authorityKeyIdentifier: string | undefined;
  /** The event of its first line. */
  readonly event: 'issued' | 'renewed' | 'rekeyed' | 'retired' | 'revoked';
  /** Its notBefore if the ledger was lost. */
  readonly issuedAt: string;
  /** Undefined if the ledger has no date. */
  readonly notAfter: Date | undefined;
  /** Also true if the CA that signed it was retired. */
  readonly retiredAt: string | undefined;
  /** Also true if another certificate for the same key was revoked. */
  readonly revokedAt: string | undefined;
  /** When it was revoked. */
  readonly reason: string | undefined;
}

export interface Inventory {
  readonly caKeyPath: string;
  /** The encrypted key's PEM. */
  readonly caKey: Buffer | undefined;
  readonly caCertificatePath: string;
  readonly caCertificate: FoundCertificate | undefined;
  /** Between the first and the second stage of a CA rekey: the next CA. */
  readonly nextCa: FoundCa | undefined;
  /** Between the second and the third stage: the previous CA. Every host trusts it and the one that signs. */
  readonly formerCa: FoundCa | undefined;
  /** The passphrase file's path; if the settings name a link, the path it points to. */
  readonly passphrasePath: string;
  readonly passphraseFile: Buffer | undefined;
  readonly operatorKeyPath: string;
  readonly operatorKey: Buffer | undefined;
  readonly hosts: readonly HostInventory[];
  /** The keys in certs/dkim/, and that folder. */
  readonly dkim: readonly FoundDkimKey[];
  readonly dkimFolder: string;
  /** Spamhaus' key from relayPort25.dqsKeyFile. */
  readonly dqsKey: Secret | undefined;
  /** The contents of certs/revoked/. */
  readonly revoked: Revoked;
  /** The ledger exists, so there was a CA. */
  readonly hasLedger: boolean;
  /** Files that cannot be what their names say, or that others can access. */
  readonly problems: readonly Problem[];
  readonly strangers: readonly Stranger[];
}
