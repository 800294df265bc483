// What is printed when the CA is renewed or gets a new key: what was done, what to install now, and what comes next.
// Pure. plan/ca-rekey.ts explains the three stages of a new key.

import type { CertificateInfo } from '../certificate/certificate.js';
import { commandText, quote } from '../errors.js';
import { hostsIn, type Install } from '../plan/install.js';
import type { Settings } from '../settings/settings.js';
import { installParagraph, renderNowRun } from './now-run.js';

/**
 * A new certificate for the same key; if it `isAwaited`, `make` continues once it is installed. A host whose own
 * certificate `hasExpired` takes no bundle until that is renewed.
 */
export function renderCaRenewal(
  settings: Settings,
  before: CertificateInfo,
  install: readonly Install[],
  { isAwaited, hasExpired, at }: { readonly isAwaited: boolean; readonly hasExpired: boolean; readonly at: Date },
): string {
  const day = before.notAfter.toISOString().slice(0, 10);
  const until = before.notAfter < at ? `because it expired on ${day}` : `before ${day}`;
  const words = hasExpired
    ? 'Then install every host; pins stay as they are:'
    : `Now run, ${until}; pins and certificates of the hosts stay as they are:`;
  const renewal = {
    words: 'Certificates of hosts have expired, too. Now run:',
    run: hasExpired ? [commandText(settings.program, ['renew', '--due'])] : [],
  };
  return renderNowRun(renewal, installParagraph(settings, hostsIn(install), words), {
    words: 'When every host is installed, issue the certificates that wait for it:',
    run: isAwaited ? [commandText(settings.program, ['make'])] : [],
  });
}

export interface CaStage {
  /** The stage that is reached now. */
  readonly stage: 1 | 2 | 3;
  /** The commonNames of the CAs in the hosts' CA file, the oldest first. */
  readonly trusted: readonly string[];
  /** True if the CA that signs is not valid now: no mail flows until another one signs, and deploy refuses it. */
  readonly isInvalid: boolean;
}

/** What a stage did, and what to do now. */
export function renderCaStage(
  settings: Settings,
  { stage, trusted, isInvalid }: CaStage,
  install: readonly Install[],
): string {
  const [first = '', second = ''] = trusted.map((name) => quote(name));
  const waits = isInvalid ? `\n${first} is not valid now: mail waits until stage 2 is installed everywhere.` : '';
  const did = {
    1: `${second} now exists beside ${first}, but signs nothing yet.${waits}`,
    2: `${second} has signed every certificate again, for the same keys.`,
    3: `${first} is the CA; the old one is put away in certs/retired.`,
  }[stage];
  const next = {
    1: isInvalid
      ? 'Now run, for stage 2, in which the new CA signs every certificate:'
      : 'When every host is installed, stage 2 has the new CA sign every certificate:',
    2: 'When every host is installed, stage 3 removes the old CA:',
    3: '',
  }[stage];
  return renderNowRun(
    `A new key for the CA, stage ${stage} of 3:\n${did}`,
    installParagraph(settings, isInvalid ? [] : hostsIn(install)),
    {
      words: next,
      run: stage === 3 ? [] : [commandText(settings.program, ['renew', '--ca', '--rekey'])],
    },
  );
}
