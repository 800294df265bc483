// The steps of a plan in words, for --dry-run and for progress. A step says what will be made and where; why it is made is
// in plan.ts.

import { quote } from '../errors.js';
import type { Step } from './plan.js';

/** A step in words, for --dry-run and for progress. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'operator-key':
      return `the operator key, an OpenPGP key that opens the passphrase: ${step.path}`;
    case 'passphrase':
      return `the CA's passphrase, encrypted to ${step.recipients.length === 0 ? 'the operator key' : step.recipients.join(', ')}: ${step.path}`;
    case 'reseal':
      return `the CA's passphrase, re-encrypted to ${step.recipients.join(', ')}${step.removed.length === 0 ? '' : ` and no longer to ${step.removed.join(', ')}`}: ${step.path}`;
    case 'ca-key':
      return `the CA's key, ${step.keyType}, encrypted: ${step.path}`;
    case 'key':
      return `the key of ${step.hostname}, ${step.keyType}: ${step.path}`;
    case 'ca-certificate':
      return `the CA's certificate ${quote(step.commonName)}, ${step.validDays} days: ${step.path}`;
    case 'certificate':
      return `the ${step.role} certificate of ${step.hostname}, ${step.validDays} days: ${step.path}`;
    case 'bundle':
      return `the bundle of ${step.hostname} (${step.files.join(', ')}): ${step.path}`;
  }
}
