// The ledger by certificate instead of by event: what was issued, and what happened to it. For reports only: no
// decision reads it. Pure.

import type { Inventory, IssuedCertificate } from '../plan/inventory.js';
import { mailPrograms } from '../settings/settings.js';
import { entryOf, type LedgerEntry } from './ledger.js';

/** Every certificate in the ledger, in the order of issue, then those that exist here but not in it. */
export function issuedCertificates(
  entries: readonly LedgerEntry[],
  { caCertificate, hosts }: Pick<Inventory, 'caCertificate' | 'hosts'>,
): readonly IssuedCertificate[] {
  const recorded = new Set(entries.map(({ serial }) => serial));
  const here = [
    { role: 'ca' as const, name: caCertificate?.info.commonName ?? '', certificate: caCertificate },
    ...hosts.map(({ host: { role, hostname }, certificate }) => ({ role, name: hostname, certificate })),
  ].flatMap(({ role, name, certificate }) =>
    certificate === undefined ? [] : [entryOf('issued', role, name, certificate.info, certificate.info.notBefore)],
  );
  const first = new Map<string, LedgerEntry>();
  const lastOfKey = new Map<string, string>();
  const retired = new Map<string, string>();
  const revoked = new Map<string, LedgerEntry>();
  const retiredCas = new Map<string, string>();
  for (const entry of [...entries, ...here.filter(({ serial }) => !recorded.has(serial))]) {
    const { event, role, serial, publicKeySha256, authorityKeyIdentifier = '', time } = entry;
    if (!first.has(serial)) {
      first.set(serial, entry);
      lastOfKey.set(publicKeySha256, serial);
    }
    if (event === 'retired') retired.set(serial, time);
    // A CA signs itself.
    if (event === 'retired' && role === 'ca' && authorityKeyIdentifier !== '')
      retiredCas.set(authorityKeyIdentifier, time);
    // For a key: the holder of the key has every certificate for it.
    if (event === 'revoked' && !revoked.has(publicKeySha256)) revoked.set(publicKeySha256, entry);
  }
  const programs = new Map(entries.map(({ serial, program }) => [serial, program]));
  return [...first.values()].map((entry) => {
    const { serial, role, name, certificateSha256, publicKeySha256, event, time, notBefore, notAfter } = entry;
    // A key is retired with the last certificate for it; the earlier ones were replaced by renewals.
    const ofKey = retired.get(lastOfKey.get(publicKeySha256) ?? serial);
    const withCa = retiredCas.get(entry.authorityKeyIdentifier ?? '');
    const revocation = revoked.get(publicKeySha256);
    const end = new Date(notAfter);
    return {
      serial,
      role,
      name,
      program: mailPrograms.find((one) => one === programs.get(serial)) ?? 'postfix',
      certificateSha256,
      publicKeySha256,
      authorityKeyIdentifier: entry.authorityKeyIdentifier,
      event,
      issuedAt: event === 'retired' || event === 'revoked' ? notBefore : time,
      notAfter: Number.isNaN(end.getTime()) ? undefined : end,
      retiredAt: retired.get(serial) ?? ofKey ?? withCa,
      revokedAt: revocation?.time,
      reason: revocation?.reason,
    };
  });
}
