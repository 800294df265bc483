// A client that is unchanged since an earlier look found it right (known-clients.ts): dates, serial and digests are
// known, and its files are read only if something else is asked for. A fleet has ten thousand of these, so they hold as
// little as possible.

import type { KeyObject, X509Certificate } from 'node:crypto';
import type { CertificateInfo } from '../certificate/certificate.js';
import type { PinKind } from '../certificate/pin-kinds.js';
import type { HostKey } from '../certificate/private-key.js';
import type { KeyUsageBit } from '../certificate/profile.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { parseSerial, type Serial } from '../names.js';
import type { KeyPlace } from '../plan/bundle-names.js';
import type { CertifiedHost, FoundCertificate, HostInventory } from '../plan/inventory.js';
import type { SmtpClient } from '../settings/settings.js';
import { KnownClient } from './known-clients.js';
import type { Layout } from './layout.js';
import { PlacedHost } from './placed-host.js';

/** What all known clients share. */
export interface KnownUnder {
  readonly layout: Layout;
  readonly ca: CertificateInfo;
  /** Reads all files of a client, without using what is known. */
  readonly read: (host: SmtpClient) => HostInventory;
}

export class KnownHost extends PlacedHost<SmtpClient> implements HostInventory, CertifiedHost {
  readonly #records: Buffer;
  readonly #start: number;
  readonly #under: KnownUnder;
  #files: HostInventory | undefined;

  /** `known`: its record, which is read again each time. */
  constructor(host: SmtpClient, { bytes, start }: KnownClient, under: KnownUnder) {
    super(host);
    this.#records = bytes;
    this.#start = start;
    this.#under = under;
  }

  get known(): KnownClient {
    return new KnownClient(this.#records, this.#start);
  }

  protected get layout(): Layout {
    return this.#under.layout;
  }

  get rightUnder(): CertificateInfo {
    return this.#under.ca;
  }

  get hasBundle(): boolean {
    return true;
  }

  get keyPlace(): KeyPlace {
    return 'here';
  }

  get certificate(): FoundCertificate {
    const { certificatePath: path, known } = this;
    return {
      path,
      info: new KnownCertificate(known, this.#under.ca, () => this.#read().certificate?.info, path),
    };
  }

  get key(): HostKey | undefined {
    return this.#read().key;
  }

  get bundle(): ReadonlyMap<string, Buffer> {
    return this.#read().bundle;
  }

  #read(): HostInventory {
    this.#files ??= this.#under.read(this.host);
    return this.#files;
  }
}

class KnownCertificate implements CertificateInfo {
  readonly #known: KnownClient;
  readonly #ca: CertificateInfo;
  readonly #read: () => CertificateInfo | undefined;
  readonly #path: string;

  constructor(known: KnownClient, ca: CertificateInfo, read: () => CertificateInfo | undefined, path: string) {
    this.#known = known;
    this.#ca = ca;
    this.#read = read;
    this.#path = path;
  }

  get notBefore(): Date {
    return this.#known.notBefore;
  }

  get notAfter(): Date {
    return this.#known.notAfter;
  }

  get serial(): Serial {
    return parseSerial(this.#known.serial);
  }

  digest(of: PinKind): Buffer {
    return this.#known.digest(of);
  }

  isSignedBy(ca: CertificateInfo): boolean {
    return ca === this.#ca || this.#whole().isSignedBy(ca);
  }

  get pem(): string {
    return this.#whole().pem;
  }

  get der(): Buffer {
    return this.#whole().der;
  }

  get x509(): X509Certificate {
    return this.#whole().x509;
  }

  get commonName(): string | undefined {
    return this.#whole().commonName;
  }

  get dnsNames(): readonly string[] {
    return this.#whole().dnsNames;
  }

  get otherNameCount(): number {
    return this.#whole().otherNameCount;
  }

  get isCa(): boolean {
    return this.#whole().isCa;
  }

  get keyUsage(): readonly KeyUsageBit[] | undefined {
    return this.#whole().keyUsage;
  }

  get extendedKeyUsage(): readonly string[] {
    return this.#whole().extendedKeyUsage;
  }

  get permittedDomains(): readonly string[] | undefined {
    return this.#whole().permittedDomains;
  }

  get subject(): Buffer {
    return this.#whole().subject;
  }

  get issuer(): Buffer {
    return this.#whole().issuer;
  }

  get subjectKeyIdentifier(): string | undefined {
    return this.#whole().subjectKeyIdentifier;
  }

  get authorityKeyIdentifier(): string | undefined {
    return this.#ca.subjectKeyIdentifier;
  }

  // Known clients have no findings.
  get namesCaSerial(): boolean {
    return false;
  }

  get signatureAlgorithm(): string {
    return this.#whole().signatureAlgorithm;
  }

  get spki(): Buffer {
    return this.#whole().spki;
  }

  get publicKey(): KeyObject {
    return this.#whole().publicKey;
  }

  #whole(): CertificateInfo {
    const found = this.#read();
    if (found !== undefined) return found;
    throw new RelaycertsError('files', `${quotePath(this.#path)} disappeared while it was being read`, {
      hint: 'run the same command again',
    });
  }
}
