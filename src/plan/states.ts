// The states that a certificate may be in, and what it is judged by. Pure. The judgement is in status.ts, ca-status.ts and
// host-status.ts.

import type { Problem } from '../errors.js';
import type { Role, Settings } from '../settings/settings.js';
import type { Installation } from './installed.js';
import type { HostInventory, Inventory, IssuedCertificate } from './inventory.js';

/** From the most urgent to the least. */
export const states = [
  'expired',
  'not-yet-valid',
  'mismatched',
  'missing',
  'unopenable',
  'due',
  'not-installed',
  'pending',
  'revoked',
  'ok',
] as const;
export type State = (typeof states)[number];

/** What has a row. */
export const statusRoles = ['smtpd-server', 'smtp-client', 'ca', 'passphrase'] as const;

/** A state, and why it is that, with what cures it; of what is ok, what should be done in time. */
export type Verdict = readonly [state: State, why?: Problem | undefined];

/** What a certificate is judged by. */
export interface Basis {
  readonly settings: Settings;
  readonly inventory: Inventory;
  /** Of the inventory. */
  readonly relays: readonly HostInventory[];
  readonly issued: IssuedIndex;
  /** Whether a host has what it ought to have; undefined if it ought to have nothing. */
  readonly installation: (found: HostInventory) => Installation | undefined;
  readonly at: Date;
  readonly warnDays: number;
}

/** What was issued, by what `status` asks for. */
export interface IssuedIndex {
  /** When; undefined if the ledger does not say it. */
  readonly issuedAt: (serial: string) => Date | undefined;
  /** The last certificate of a host that was revoked. */
  readonly lastRevoked: (role: Role, hostname: string) => IssuedCertificate | undefined;
}

export function indexIssued(issued: readonly IssuedCertificate[]): IssuedIndex {
  const bySerial = new Map(issued.map((one) => [one.serial, one]));
  const revoked = new Map(
    issued.filter(({ revokedAt }) => revokedAt !== undefined).map((one) => [`${one.role} ${one.name}`, one]),
  );
  return {
    issuedAt: (serial) => {
      const at = new Date(bySerial.get(serial)?.issuedAt ?? '');
      return Number.isNaN(at.getTime()) ? undefined : at;
    },
    lastRevoked: (role, hostname) => revoked.get(`${role} ${hostname}`),
  };
}
