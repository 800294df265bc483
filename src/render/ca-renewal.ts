// What is printed when the CA is renewed or gets a new key: what was done, what to install where now, how to see that it
// works, and what comes next. Pure.

import type { CertificateInfo } from '../certificate/certificate.js';
import { bundleNames } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { installLines, rootCommand } from './commands.js';

/** A new certificate for the same key. `hosts` are those with something to install; if it `isAwaited`, make goes on. */
export function renderCaRenewal(
  settings: Settings,
  before: CertificateInfo,
  now: CertificateInfo,
  hosts: readonly HostSettings[],
  isAwaited: boolean,
): string {
  return `The CA has a certificate until ${dayOf(now)}; the one before ends on ${dayOf(before)}. Both have the same key and name, so
every certificate that it signed verifies against either: pins and certificates of the hosts stay as they are.

Install before ${dayOf(before)}, one host after the other, in any order:
${hosts.map((host) => installOne(settings, host)).join('')}${
    isAwaited ? `\nWhen every host is installed, make issues what waits for this:\n  ${settings.program} make\n` : ''
  }`;
}

export interface CaStage {
  /** The one that is reached now. */
  readonly stage: 1 | 2 | 3;
  /** The commonNames of the CAs in the hosts' CA file, the old one first. */
  readonly trusted: readonly string[];
  /** Those with something to install. */
  readonly hosts: readonly HostSettings[];
  /** True where the CA that signs has expired: no mail flows until another one signs. */
  readonly hasExpired: boolean;
}

/** The plan as it stands after a stage. */
export function renderCaStage(settings: Settings, { stage, trusted, hosts, hasExpired }: CaStage): string {
  const [first = '', second = ''] = trusted;
  const again = `${settings.program} renew --ca --rekey`;
  const isPinned = settings.postfix.pin === 'certificate';
  const words = {
    1: {
      did: `a new CA "${second}" is there beside "${first}", and signs nothing yet.
Every host's CA file now holds both, so that it accepts certificates of either.${hasExpired ? `\n"${first}" has expired: mail waits in the queue until stage 2 is installed everywhere.` : ''}`,
      order: 'in any order',
      see: 'The last command of each must print 2',
      next: `When every host is installed, stage 2 has the new CA sign every certificate again:\n  ${again}\n`,
    },
    2: {
      did: `"${second}" has signed a new certificate for every host, for the same key.
Every host's CA file still holds both CAs, so that hosts with an old and a new certificate accept each other.`,
      order: isPinned ? 'the relays first, for the table with the old and the new pins' : 'in any order',
      see: `The last command of each must name ${second}`,
      next: `When every host is installed, stage 3 takes the old CA out:\n  ${again}\n`,
    },
    3: {
      did: `the old CA is out of every host's CA file; "${first}" is the CA.
The old one's certificate and its key, still encrypted, are in certs/retired/.`,
      order: 'in any order',
      see: 'The last command of each must print 1',
      next: 'When every host is installed, no host trusts the old CA.\n',
    },
  }[stage];
  const install = hosts.map((host) => {
    const { ca, certificate } = bundleNames(settings.domain, host.hostname);
    const { directory } = settings.postfix;
    const look =
      stage === 2 ? `openssl x509 -noout -issuer -in ${directory}/${certificate}` : `grep -c BEGIN ${directory}/${ca}`;
    return installOne(settings, host, rootCommand(host.ssh, look));
  });
  // Of those that are revoked nothing is shown.
  const client = hosts.find(({ role }) => role === 'smtp-client')?.hostname;
  const where = client === undefined ? '' : ` (${settings.program} show ${client} --section verify)`;
  return `A new key for the CA, stage ${stage} of 3: ${words.did}

Install now, one host after the other, ${words.order}:
${install.join('')}
${words.see}${hasExpired ? '' : `, and mail flows as before${where}`}.

${words.next}`;
}

/** `see` is what shows there that it is installed. */
function installOne({ program }: Settings, host: HostSettings, ...see: readonly string[]): string {
  return `\n${[...installLines(program, host), ...see].map((line) => `  ${line}\n`).join('')}`;
}

function dayOf({ notAfter }: CertificateInfo): string {
  return notAfter.toISOString().slice(0, 10);
}
