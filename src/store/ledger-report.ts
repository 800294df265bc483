// The ledger by certificate instead of by event: what was issued, and what happened to it. For reports only: no
// decision reads it. Pure.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { Inventory, IssuedCertificate } from '../plan/inventory.js';
import { mailPrograms, type MailProgram } from '../settings/settings.js';
import { entryOf, type LedgerEntry } from './ledger.js';

/** Every certificate in the ledger, in the order of issue, then those that exist here but not in it. */
export function issuedCertificates(
  entries: readonly LedgerEntry[],
  { caCertificate, hosts }: Pick<Inventory, 'caCertificate' | 'hosts'>,
): readonly IssuedCertificate[] {
  const first = new Map<string, LedgerEntry>();
  const fates: Fates = {
    lastOfKey: new Map(),
    programs: new Map(),
    retired: new Map(),
    retiredCas: new Map(),
    revoked: new Map(),
  };
  const take = (entry: LedgerEntry): void => {
    const { event, role, serial, publicKeySha256, authorityKeyIdentifier = '', program, time } = entry;
    if (!first.has(serial)) {
      first.set(serial, entry);
      fates.lastOfKey.set(publicKeySha256, serial);
    }
    if (program !== undefined || fates.programs.has(serial)) fates.programs.set(serial, program);
    if (event === 'retired') fates.retired.set(serial, time);
    // A CA signs itself.
    if (event === 'retired' && role === 'ca' && authorityKeyIdentifier !== '')
      fates.retiredCas.set(authorityKeyIdentifier, time);
    // For a key: the holder of the key has every certificate for it.
    if (event === 'revoked' && !fates.revoked.has(publicKeySha256)) fates.revoked.set(publicKeySha256, entry);
  };
  for (const entry of entries) take(entry);
  const takeHere = (role: LedgerEntry['role'], name: string, info: CertificateInfo | undefined): void => {
    if (info !== undefined && !first.has(info.serial)) take(entryOf('issued', role, name, info, info.notBefore));
  };
  takeHere('ca', caCertificate?.info.commonName ?? '', caCertificate?.info);
  for (const { host, certificate } of hosts) takeHere(host.role, host.hostname, certificate?.info);
  return Array.from(first.values(), (entry) => new Issued(entry, fates));
}

/** What happened to all certificates. */
interface Fates {
  /** By the public key's fingerprint, the last serial. */
  readonly lastOfKey: Map<string, string>;
  /** By serial, unless it is Postfix. */
  readonly programs: Map<string, string | undefined>;
  /** By serial, when. */
  readonly retired: Map<string, string>;
  /** By key identifier, when. */
  readonly retiredCas: Map<string, string>;
  /** By the public key's fingerprint, the revocation. */
  readonly revoked: Map<string, LedgerEntry>;
}

/** A fleet has a hundred thousand of these, so they are what the ledger says, read together. */
class Issued implements IssuedCertificate {
  readonly #entry: LedgerEntry;
  readonly #fates: Fates;

  /** `entry`: the first of this certificate. */
  constructor(entry: LedgerEntry, fates: Fates) {
    this.#entry = entry;
    this.#fates = fates;
  }

  get serial(): string {
    return this.#entry.serial;
  }

  get role(): IssuedCertificate['role'] {
    return this.#entry.role;
  }

  get name(): string {
    return this.#entry.name;
  }

  get program(): MailProgram {
    return mailPrograms.find((one) => one === this.#fates.programs.get(this.serial)) ?? 'postfix';
  }

  get certificateSha256(): string {
    return this.#entry.certificateSha256;
  }

  get publicKeySha256(): string {
    return this.#entry.publicKeySha256;
  }

  get authorityKeyIdentifier(): string | undefined {
    return this.#entry.authorityKeyIdentifier;
  }

  get event(): IssuedCertificate['event'] {
    return this.#entry.event;
  }

  get issuedAt(): string {
    const { event, time, notBefore } = this.#entry;
    return event === 'retired' || event === 'revoked' ? notBefore : time;
  }

  get notAfter(): Date | undefined {
    const end = new Date(this.#entry.notAfter);
    return Number.isNaN(end.getTime()) ? undefined : end;
  }

  get retiredAt(): string | undefined {
    const { retired, retiredCas, lastOfKey } = this.#fates;
    // A key is retired with the last certificate for it; the earlier ones were replaced by renewals.
    const ofKey = retired.get(lastOfKey.get(this.publicKeySha256) ?? this.serial);
    return retired.get(this.serial) ?? ofKey ?? retiredCas.get(this.authorityKeyIdentifier ?? '');
  }

  get revokedAt(): string | undefined {
    return this.#fates.revoked.get(this.publicKeySha256)?.time;
  }

  get reason(): string | undefined {
    return this.#fates.revoked.get(this.publicKeySha256)?.reason;
  }
}
