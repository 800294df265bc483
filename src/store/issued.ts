// The ledger read by certificate instead of by event: what was issued, and what became of it. Pure.

import type { IssuedCertificate } from '../plan/inventory.js';
import type { LedgerEntry } from './ledger.js';

/** Every certificate that the entries know, in the order of their first one. */
export function issuedCertificates(entries: readonly LedgerEntry[]): readonly IssuedCertificate[] {
  const first = new Map<string, LedgerEntry>();
  const lastOfKey = new Map<string, string>();
  const retired = new Map<string, string>();
  const revoked = new Map<string, LedgerEntry>();
  for (const entry of entries) {
    const { event, serial, publicKeySha256, time } = entry;
    if (!first.has(serial)) {
      first.set(serial, entry);
      lastOfKey.set(publicKeySha256, serial);
    }
    if (event === 'retired') retired.set(serial, time);
    // Of a key: who has it has every certificate for it.
    if (event === 'revoked' && !revoked.has(publicKeySha256)) revoked.set(publicKeySha256, entry);
  }
  return [...first.values()].map((entry) => {
    const { serial, role, name, certificateSha256, publicKeySha256, event, time, notBefore, notAfter } = entry;
    // A key is retired with the last certificate for it; those before went with their renewal.
    const ofKey = retired.get(lastOfKey.get(publicKeySha256) ?? serial);
    const revocation = revoked.get(publicKeySha256);
    return {
      serial,
      role,
      name,
      certificateSha256,
      publicKeySha256,
      event,
      issuedAt: event === 'retired' || event === 'revoked' ? notBefore : time,
      notAfter: dateOf(notAfter),
      retiredAt: retired.get(serial) ?? ofKey,
      revokedAt: revocation?.time,
      reason: revocation?.reason,
    };
  });
}

function dateOf(text: string): Date | undefined {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
