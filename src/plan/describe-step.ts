// The steps of a plan in words, for --dry-run and for progress. A step says what will be made and where; plan.ts has
// the reasons.

import { howMany, quote } from '../errors.js';
import type { CertificateStep } from './host-step.js';
import type { HostStep, Step } from './plan.js';

/** What a step makes, without its path. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'operator-key':
      return "the operator key, which opens the CA's passphrase";
    case 'passphrase':
      return `the CA's passphrase, encrypted to ${step.recipients.length === 0 ? 'the operator key' : step.recipients.join(', ')}`;
    case 'reseal':
      return `the CA's passphrase, re-encrypted to ${step.recipients.join(', ')}${step.removed.length === 0 ? '' : ` and no longer to ${step.removed.join(', ')}`}`;
    case 'ca-key':
      return `the CA's key, ${step.keyType}, encrypted`;
    case 'key':
      return `the key of ${step.hostname}, ${step.keyType}`;
    case 'ca-certificate':
      return `the CA's certificate ${quote(step.commonName)}, ${howMany(step.validDays, 'day')}`;
    case 'certificate':
      return `the ${step.role} certificate of ${step.hostname}, ${howMany(step.validDays, 'day')}`;
    case 'dkim-key':
      return `the DKIM key of ${step.domain}, selector ${step.selector}, ${step.keyType}`;
    case 'bundle':
      return `the bundle of ${step.hostname} (${step.files.join(', ')})`;
  }
}

/** What hosts get, one line each; above `most`, only their number. */
export function describeHosts(steps: readonly HostStep[], most = 4): readonly string[] {
  const withKey = new Set(steps.flatMap((step) => (step.kind === 'key' ? [step.hostname] : [])));
  const certificates = steps.filter((step) => step.kind === 'certificate');
  const isSame = ({ event, hostname }: CertificateStep): boolean => event === 'renewed' && !withKey.has(hostname);
  if (certificates.length <= most) {
    return certificates.map((step) => {
      const what = withKey.has(step.hostname) ? 'key and certificate' : 'certificate';
      return `the ${what} of ${step.hostname}, ${howMany(step.validDays, 'day')}${isSame(step) ? ', for the same key' : ''}`;
    });
  }
  const days = howMany(certificates[0]?.validDays ?? 0, 'day');
  const keys =
    withKey.size === 0 ? '' : withKey.size === certificates.length ? 'keys and ' : `${withKey.size} keys and `;
  const same = certificates.every(isSame) ? ', for the same keys' : '';
  return [`the ${keys}certificates of ${certificates.length} hosts, ${days}${same}`];
}
