// What is wrong with a certificate, in words, and how to fix it. The checks themselves, which return findings as data,
// are in certificate/verify.ts.

import type { CaFlaw } from '../certificate/ca-flaws.js';
import type { CertificateFinding } from '../certificate/verify.js';
import { quote, quotePath, type Hint, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import { shellWord } from '../shell-word.js';

/** One finding about the certificate of the CA or of a host, at `path`; `renewCa`: the command that renews the CA. */
export function describeFinding(
  finding: CertificateFinding,
  of: 'ca' | HostName,
  path: string,
  renewCa: readonly [string, ...string[]] = ['renew', '--ca'],
): Problem & { readonly hint: Hint } {
  const before = 'restore it from a backup, or make a correct one for the same key:';
  const again: Hint =
    of === 'ca'
      ? { run: renewCa, before, after: ', then install every host' }
      : { run: ['make'], before: `${before} ${setAside(path)}` };
  const { code, expected, found } = finding;
  const message = `the certificate ${quotePath(path)}`;
  const say = (what: string, hint: Hint = again) => ({ message: `${message} ${what}`, hint });
  switch (code) {
    case 'wrong-name':
      return say(
        `is for ${quote(found)}, but the settings ask for ${quote(expected)}`,
        of === 'ca' ? { run: ['renew', '--ca', '--rekey'] } : again,
      );
    case 'wrong-issuer':
      return say(
        of === 'ca'
          ? 'is not signed with its own key'
          : `is not signed by this CA ${quote(expected)}, but by another CA (${quote(found)})`,
      );
    case 'wrong-purpose':
      return say(
        found === expected
          ? 'has no key usage, or not the one for its purpose'
          : `is for another purpose: its extended key usage is ${found === '' ? 'missing' : quote(found)}, not ${quote(expected)}`,
      );
    case 'wrong-constraints':
      return say(`permits the domains ${quote(found)}, but ca.permittedDomains in the settings is ${quote(expected)}`, {
        run: renewCa,
        after: ', then install every host',
      });
    case 'outside-constraints':
      return say(`has to name ${quote(found)}, which its CA does not permit (${quote(expected)})`);
    case 'expired':
      return say(`expired on ${expected}`, { run: of === 'ca' ? renewCa : ['renew', of] });
    case 'not-yet-valid':
      return say(`is not valid before ${expected}, and it is ${found} now`, {
        run: of === 'ca' ? renewCa : ['renew', of, '--force'],
        before: "set this machine's clock: timedatectl set-ntp true; if it is right, and was ahead when this was made:",
      });
    case 'outlives-ca':
      return say(`is valid until ${found}, longer than its CA (${expected})`);
    case 'weak-signature':
      return say(`is signed with ${found}, which mail servers refuse`);
    case 'names-ca-serial':
      return say("names the serial number of its CA's certificate, so it would not verify after a renewal of the CA");
    case 'is-ca':
      return say('is a CA of its own, which no host may have');
    case 'not-ca':
      return say('is not the certificate of a CA');
  }
}

/** What a CA lacks, in words that follow "has". */
export function describeFlaw({ code, found }: CaFlaw): string {
  switch (code) {
    case 'no-key-usage':
      return 'no keyUsage';
    case 'no-path-length':
      return 'no path length';
    case 'not-critical':
      return `non-critical ${found}`;
    case 'no-key-identifier':
      return 'no subjectKeyIdentifier';
    case 'weak-signature':
      return `a signature with ${found}`;
  }
}

/** The start of a command that makes room for another file. */
export function setAside(path: string): string {
  return `mv ${shellWord(path)} ${shellWord(`${path}.old`)} &&`;
}
