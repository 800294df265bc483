// What was found wrong with a certificate, in words, with how to fix it. The checks themselves, which give findings as
// data, are in certificate/verify.ts.

import type { CertificateFinding } from '../certificate/verify.js';
import { quote, quotePath, type Hint, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import { shellWord } from '../shell-word.js';

/** One finding about the certificate of the CA or of a host, at `path`; `renewCa`: the words that renew the CA. */
export function describeFinding(
  finding: CertificateFinding,
  of: 'ca' | HostName,
  path: string,
  renewCa: readonly [string, ...string[]] = ['renew', '--ca'],
): Problem {
  const aside: Hint =
    of === 'ca'
      ? { run: ['clean'], before: 'put the settings back as they were; to start over with another CA:' }
      : { run: ['make'], before: `to issue a correct one for the same key: ${setAside(path)}` };
  const rekey: Hint = {
    run: ['renew', '--ca', '--rekey'],
    before: 'put the settings back as they were; for a CA with a new key, as they are now:',
  };
  const anew = of === 'ca' ? rekey : aside;
  const { code, expected, found } = finding;
  const message = `the certificate ${quotePath(path)}`;
  const say = (what: string, hint: Hint = aside): Problem => ({ message: `${message} ${what}`, hint });
  switch (code) {
    case 'wrong-name':
      return say(`is for ${quote(found)}, and the settings ask for ${quote(expected)}`, anew);
    case 'wrong-issuer':
      return say(
        of === 'ca'
          ? 'is not signed with its own key'
          : `is not signed by this CA ${quote(expected)}, but by another CA (${quote(found)})`,
      );
    case 'wrong-purpose':
      return say(`is for another purpose: extended key usage ${quote(found)}, needed ${quote(expected)}`);
    case 'wrong-constraints': {
      const asked = `ca.permittedDomains in the settings is ${quote(expected)}`;
      return say(`permits the domains ${quote(found)}, and ${asked}`, anew);
    }
    case 'outside-constraints':
      return say(`names ${quote(found)}, which its CA does not permit (${quote(expected)})`, {
        run: ['clean'],
        before: 'give the host a name within ca.permittedDomains; to start over with another CA:',
      });
    case 'expired':
      return say(`expired on ${expected}`, { run: of === 'ca' ? renewCa : ['renew', of] });
    case 'not-yet-valid':
      return say(`is valid from ${expected} on, and it is ${found} now`, {
        run: of === 'ca' ? renewCa : ['renew', of, '--force'],
        before: "set this machine's clock: timedatectl set-ntp true; if it is right, and was ahead when this was made:",
      });
    case 'outlives-ca':
      return say(`is valid until ${found}, longer than its CA (${expected})`);
    case 'is-ca':
      return say('is a CA of its own, which no host may have');
    case 'not-ca':
      return say('is not the certificate of a CA', 'restore it from a backup');
  }
}

/** The start of a command that makes room for another file. */
export function setAside(path: string): string {
  return `mv ${shellWord(path)} ${shellWord(`${path}.old`)} &&`;
}
