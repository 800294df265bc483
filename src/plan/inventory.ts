// The state: what the files beside the settings say. A plan is made from it, and a change is from one such value to
// another (store/state-change.ts). Only types; store/read.ts fills them.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { HostKey } from '../certificate/private-key.js';
import type { RequestInfo } from '../certificate/request.js';
import type { Problem } from '../errors.js';
import type { HostName } from '../names.js';
import type { KeyPlace } from './bundle-names.js';
import type { HostSettings, MailProgram, Role } from '../settings/settings.js';

/** What certs/revoked/ holds (store/revoked.ts). */
export interface Revoked {
  /** Host -> the serials in the names of its files. */
  readonly hosts: ReadonlyMap<HostName, readonly string[]>;
  /** Hosts whose request is there: they made their own key. */
  readonly ownKey: ReadonlySet<HostName>;
  /** SHA-256 of the public keys. */
  readonly keys: ReadonlySet<string>;
}

interface Found<Info> {
  readonly path: string;
  readonly info: Info;
}

export type FoundCertificate = Found<CertificateInfo>;

/** A CA beside the one that signs. */
export interface FoundCa {
  readonly keyPath: string;
  /** The encrypted key's PEM. */
  readonly key: Buffer | undefined;
  readonly certificate: FoundCertificate;
}

export interface HostInventory {
  readonly host: HostSettings;
  readonly keyPath: string;
  readonly key: HostKey | undefined;
  /** The request of a host that keeps its own key. */
  readonly requestPath: string;
  readonly request: Found<RequestInfo> | undefined;
  readonly certificatePath: string;
  readonly certificate: FoundCertificate | undefined;
  /** The one before a rekey, until it is retired: its pin stays listed. */
  readonly previous: FoundCertificate | undefined;
  /** Its files are in certs/revoked/, and it has no certificate of another key. */
  readonly isRevoked: boolean;
  readonly bundleFolder: string;
  /** True where that folder is there, whatever is in it. */
  readonly hasBundle: boolean;
  /** The bundle's files by name; a missing one is absent. */
  readonly bundle: ReadonlyMap<string, Buffer>;
  /**
   * The CA under which all files of this client were judged right, and they are the same since. They are then read only if
   * they are asked for, which takes the time: ask `isKnownRight` first. Undefined: nothing is known.
   */
  readonly rightUnder: CertificateInfo | undefined;
}

/** True if there is nothing to find in the files of this client, and nothing to make for it. */
export function isKnownRight(
  { rightUnder }: Pick<HostInventory, 'rightUnder'>,
  { caCertificate, nextCa, formerCa }: Pick<Inventory, 'caCertificate' | 'nextCa' | 'formerCa'>,
): boolean {
  if (rightUnder === undefined || nextCa !== undefined || formerCa !== undefined) return false;
  return rightUnder === caCertificate?.info;
}

/** The host with something else about it. Not by spreading: what is read only if it is asked for is no own property. */
export function changeHost(found: HostInventory, change: Partial<HostInventory>): HostInventory {
  const { host, keyPath, key, requestPath, request, certificatePath, certificate, previous } = found;
  const { isRevoked, bundleFolder, hasBundle, bundle } = found;
  const files = { keyPath, key, requestPath, request, certificatePath, certificate, previous };
  return { host, ...files, isRevoked, bundleFolder, hasBundle, bundle, rightUnder: undefined, ...change };
}

/** A host's certificates and no keys. */
export interface CertifiedHost extends Pick<HostInventory, 'host' | 'certificate' | 'previous' | 'isRevoked'> {
  readonly keyPlace: KeyPlace;
}

/** The keys that the passphrase file is encrypted to, against the recipients in the settings. */
export type RecipientChange =
  | { readonly kind: 'same' }
  /** It hides whom it is encrypted to (`gpg --hidden-recipient`). */
  | { readonly kind: 'hidden' }
  /** `removed`: who can open it and is no recipient any more; key IDs, or `a password`. */
  | { readonly kind: 'changed'; readonly removed: readonly string[] };

/** What is known about the passphrase beyond its file's bytes. */
export interface Custody {
  readonly recipients: RecipientChange;
  /** The passphrase itself was given, by --passphrase-fd. */
  readonly isGiven: boolean;
}

/** What came of opening the passphrase, and the CA's key with it. */
export type Opening =
  /** `isWeak`: somebody who has the CA's key could guess it. */
  | { readonly kind: 'opened'; readonly isWeak: boolean }
  /** Something that can open it is here, and asks; nobody was asked. */
  | { readonly kind: 'unasked'; readonly asksFor: string }
  | { readonly kind: 'missing' | 'unopenable'; readonly problem: Problem };

/** What is left of a host that the settings no longer name, or no longer in this role. */
export interface Stranger {
  readonly hostname: HostName;
  readonly role: Role;
  /** Its role in the settings; undefined if they do not name it. */
  readonly nowRole: Role | undefined;
  /** Absolute; the bundle's folder, keys, certificates and requests. */
  readonly paths: readonly string[];
}

/** What the ledger says of one certificate, all its events together; texts as they stand there, fingerprints SHA-256. */
export interface IssuedCertificate {
  readonly serial: string;
  readonly role: 'ca' | Role;
  /** The host's FQDN; the CA's commonName for the CA. */
  readonly name: string;
  /** What hands its mail to the relay, where the ledger says so. */
  readonly program: MailProgram;
  readonly certificateSha256: string;
  readonly publicKeySha256: string;
  /** The key of the CA that signed it, where the ledger says so. */
  readonly authorityKeyIdentifier: string | undefined;
  /** What its first line says it was made by. */
  readonly event: 'issued' | 'renewed' | 'rekeyed' | 'retired' | 'revoked';
  /** Its notBefore where the ledger was lost. */
  readonly issuedAt: string;
  /** Undefined where the ledger has no date there. */
  readonly notAfter: Date | undefined;
  /** Also with the CA that signed it. */
  readonly retiredAt: string | undefined;
  /** Also where another certificate for the same key was revoked. */
  readonly revokedAt: string | undefined;
  /** Of the revocation. */
  readonly reason: string | undefined;
}

export interface Inventory {
  readonly caKeyPath: string;
  /** The encrypted key's PEM. */
  readonly caKey: Buffer | undefined;
  readonly caCertificatePath: string;
  readonly caCertificate: FoundCertificate | undefined;
  /** Between the first and the second stage of the CA's rekey: the CA to come. */
  readonly nextCa: FoundCa | undefined;
  /** Between the second and the third: the CA before. Every host trusts it, and the one that signs. */
  readonly formerCa: FoundCa | undefined;
  /** Where the passphrase file is; if the settings name a link, what the link names. */
  readonly passphrasePath: string;
  readonly passphraseFile: Buffer | undefined;
  readonly operatorKeyPath: string;
  readonly operatorKey: Buffer | undefined;
  readonly hosts: readonly HostInventory[];
  /** What is in certs/revoked/. */
  readonly revoked: Revoked;
  /** There is a ledger, so there was a CA. */
  readonly hasLedger: boolean;
  /** Files that are there and cannot be what their name says, or are open to others. */
  readonly problems: readonly Problem[];
  readonly strangers: readonly Stranger[];
}
