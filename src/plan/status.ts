// The state of every certificate: a pure judgement of what was read, the most urgent first. It prints nothing:
// render/status.ts has the output of `status`. ca-status.ts and host-status.ts judge the CA and a host.

import { basename } from 'node:path';
import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import type { Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { judgeCa } from './ca-status.js';
import { judgeHost } from './host-status.js';
import type { Installation } from './installed.js';
import { isKnownRight, type HostInventory, type IssuedCertificate, type Opening } from './inventory.js';
import { daysFromEnd } from './leaf-days.js';
import { states, type Basis, type State, type statusRoles } from './states.js';

export interface CertificateStatus {
  /** The FQDN; the CA's commonName for the CA, and the file's name for the passphrase. */
  readonly name: string;
  readonly role: (typeof statusRoles)[number];
  readonly state: State;
  /** Whole days until it expires; after that, minus the whole days since; undefined without a certificate. */
  readonly daysLeft: number | undefined;
  readonly expires: Date | undefined;
  readonly serial: string | undefined;
  /** SHA-256 of what the settings pin. */
  readonly pin: string | undefined;
  /** Why it is not ok, and the cure; if it is ok, what should be done in time. */
  readonly why: Problem | undefined;
  /** For a host that should have something installed. */
  readonly installation: Installation | undefined;
}

interface Chosen {
  readonly hosts: readonly HostInventory[];
  readonly hasCa: boolean;
  readonly opening: Opening | undefined;
}

/** The status of the selected certificates; a certificate is due `warnDays` before it expires. */
export function statusOf(basis: Basis, { hosts, hasCa, opening }: Chosen): readonly CertificateStatus[] {
  const rows = [
    ...(hasCa ? [caStatus(basis)] : []),
    ...passphraseStatus(basis.settings, opening),
    ...hosts.map((found) => hostStatus(basis, found)),
  ];
  const inOrder = new Map(rows.map(({ name }) => [name, orderOf(name)]));
  const order = ({ name }: CertificateStatus) => inOrder.get(name) ?? name;
  return rows.toSorted(
    (a, b) =>
      states.indexOf(a.state) - states.indexOf(b.state) ||
      (a.daysLeft ?? Infinity) - (b.daysLeft ?? Infinity) ||
      // Not in a locale's order, whose rules take longer to load than everything else here.
      Number(order(a) > order(b)) - Number(order(a) < order(b)),
  );
}

/** A text to sort a name by: shop2 comes before shop10. */
function orderOf(name: string): string {
  return name.replaceAll(/\d+/gu, (digits) => digits.padStart(20, '0'));
}

/** True if it needs attention: everything but ok and revoked. */
export function needsCare({ state }: Pick<CertificateStatus, 'state'>): boolean {
  return states.indexOf(state) < states.indexOf('revoked');
}

function passphraseStatus({ passphrase }: Settings, opening: Opening | undefined): readonly CertificateStatus[] {
  if (opening === undefined) return [];
  const row = { name: basename(passphrase.file), role: 'passphrase', ...noFacts, installation: undefined } as const;
  switch (opening.kind) {
    case 'opened':
      return [{ ...row, state: 'ok', why: undefined }];
    case 'unasked': {
      const hint = { run: ['status', '--open'], before: 'to prove it:' };
      return [{ ...row, state: 'ok', why: { message: `opens with ${opening.asksFor}`, hint } }];
    }
    case 'missing':
    case 'unopenable':
      return [{ ...row, state: opening.kind, why: opening.problem }];
  }
}

function caStatus(basis: Basis): CertificateStatus {
  const info = basis.inventory.caCertificate?.info;
  const [state, why] = judgeCa(basis);
  const name = info?.commonName ?? basis.settings.ca.commonName;
  return { name, role: 'ca', ...factsOf(info, basis), state, why, installation: undefined };
}

function hostStatus(basis: Basis, found: HostInventory): CertificateStatus {
  if (isKnownRight(found, basis.inventory)) return new KnownStatus(basis, found);
  const { hostname, role } = found.host;
  const facts = found.isRevoked ? revokedFacts(basis, found) : factsOf(found.certificate?.info, basis);
  const [state, why] = judgeHost(basis, found);
  return { name: hostname, role, ...facts, state, why, installation: basis.installation(found) };
}

/** A client that is known to be right. A fleet has ten thousand of these: what few rows show is found when asked for. */
class KnownStatus implements CertificateStatus {
  readonly state: State;
  readonly daysLeft: number | undefined;
  readonly #basis: Basis;
  readonly #found: HostInventory;

  constructor(basis: Basis, found: HostInventory) {
    this.#basis = basis;
    this.#found = found;
    [this.state] = judgeHost(basis, found);
    this.daysLeft = this.#facts.daysLeft;
  }

  get name(): string {
    return this.#found.host.hostname;
  }

  get role(): CertificateStatus['role'] {
    return this.#found.host.role;
  }

  get expires(): Date | undefined {
    return this.#facts.expires;
  }

  get serial(): string | undefined {
    return this.#facts.serial;
  }

  get pin(): string | undefined {
    return this.#facts.pin;
  }

  get why(): Problem | undefined {
    return judgeHost(this.#basis, this.#found)[1];
  }

  get installation(): Installation | undefined {
    return this.#basis.installation(this.#found);
  }

  get #facts(): Facts {
    return factsOf(this.#found.certificate?.info, this.#basis);
  }
}

type Facts = Pick<CertificateStatus, 'daysLeft' | 'expires' | 'serial' | 'pin'>;

const noFacts: Facts = { daysLeft: undefined, expires: undefined, serial: undefined, pin: undefined };

function factsOf(info: CertificateInfo | undefined, { settings: { postfix }, at }: Basis): Facts {
  if (info === undefined) return noFacts;
  return {
    daysLeft: daysFromEnd(info, at),
    expires: info.notAfter,
    serial: info.serial,
    get pin() {
      return fingerprintOf(info, postfix.pin, 'sha256');
    },
  };
}

/** For the last revoked certificate; how many days it had left no longer matters. */
function revokedFacts({ settings: { postfix }, issued }: Basis, { host }: HostInventory): Facts {
  const last = issued.lastRevoked(host.role, host.hostname);
  if (last === undefined) return noFacts;
  const pin = postfix.pin === 'certificate' ? last.certificateSha256 : last.publicKeySha256;
  return { daysLeft: undefined, expires: last.notAfter, serial: last.serial, pin };
}

export type IssuedState = 'valid' | 'expired' | 'retired' | 'revoked';

/** What happened to a certificate. One that was renewed for the same key stays valid. */
export function issuedState({ revokedAt, retiredAt, notAfter }: IssuedCertificate, at: Date): IssuedState {
  if (revokedAt !== undefined) return 'revoked';
  if (notAfter !== undefined && notAfter < at) return 'expired';
  return retiredAt === undefined ? 'valid' : 'retired';
}
