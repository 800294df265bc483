// The states of a certificate, and what it is judged by. Pure. The judgement is in status.ts, ca-status.ts and
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

/** What has a row in `status`. */
export const statusRoles = ['smtpd-server', 'smtp-client', 'ca', 'passphrase'] as const;

/** A state with its reason and cure; if it is ok, what should be done in time. */
export type Verdict = readonly [state: State, why?: Problem | undefined];

/** What a certificate is judged by. */
export interface Basis {
  readonly settings: Settings;
  readonly inventory: Inventory;
  /** Of the inventory. */
  readonly relays: readonly HostInventory[];
  readonly issued: IssuedIndex;
  /** Whether a host has what it should have; undefined if it should have nothing. */
  readonly installation: (found: HostInventory) => Installation | undefined;
  readonly at: Date;
  readonly warnDays: number;
}

/** An issued certificate, in the form that `status` uses. */
export interface IssuedIndex {
  /** When; undefined if the ledger does not have it. */
  readonly issuedAt: (serial: string) => Date | undefined;
  /** The last certificate of a revoked host. */
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
