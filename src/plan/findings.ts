// What was found wrong with a certificate, in words, with what mends it.

import type { CertificateFinding } from '../certificate/verify.js';
import { quote, quotePath, type Problem } from '../errors.js';
import { shellWord } from '../shell-word.js';

/** One finding about the CA's certificate or a leaf, at `path`. */
export function describeFinding(finding: CertificateFinding, kind: 'ca' | 'leaf', path: string): Problem {
  const aside =
    kind === 'ca'
      ? 'put the settings back as they were; to begin anew with another CA: relaycerts clean'
      : `to have a right one issued for the same key, move it away and run make: mv ${shellWord(path)} ${shellWord(`${path}.old`)}`;
  const clock = "look at this machine's clock: date -u";
  const { code, expected, found } = finding;
  const say = (what: string, hint: string = aside): Problem => ({
    message: `the certificate ${quotePath(path)} ${what}`,
    hint,
  });
  switch (code) {
    case 'wrong-name':
      return say(`is for ${quote(found)}, and the settings ask for ${quote(expected)}`);
    case 'wrong-issuer':
      return say(
        kind === 'ca'
          ? 'is not signed with its own key'
          : `is not signed by this CA ${quote(expected)}, but by another CA (${quote(found)})`,
      );
    case 'wrong-purpose':
      return say(`is for another purpose: extended key usage ${quote(found)}, needed ${quote(expected)}`);
    case 'wrong-constraints':
      return say(`permits the domains ${quote(found)}, and ca.permittedDomains in the settings is ${quote(expected)}`);
    case 'outside-constraints':
      return say(
        `names ${quote(found)}, outside of what its CA permits (${quote(expected)})`,
        'give the host a name within ca.permittedDomains; to begin anew with another CA: relaycerts clean',
      );
    case 'expired':
      return say(`expired on ${expected}`, kind === 'ca' ? 'relaycerts renew --ca' : aside);
    case 'not-yet-valid':
      return say(`is valid from ${expected} on, and it is ${found} now`, clock);
    case 'outlives-ca':
      return say(`is valid until ${found}, longer than its CA (${expected})`);
    case 'is-ca':
      return say('is a CA of its own, which no host may have');
    case 'not-ca':
      return say('is not the certificate of a CA', 'bring it back from a backup');
  }
}
