// What make would do with these settings, in words. It looks at the settings alone: what is there already is not known.

import type { Settings } from '../settings/settings.js';

/** Two sentences for the end of the wizard. */
export function describeMake(settings: Settings): string {
  const { ca, certificates, smtpdServers, smtpClients, passphrase } = settings;
  const hosts = [count(smtpdServers.length, 'relay'), count(smtpClients.length, 'mail server')].join(' and ');
  const openers = passphrase.recipients.length === 0 ? 'the operator key' : passphrase.recipients.join(', ');
  return [
    `make brings what is missing of: a private CA (${ca.keyType}, ${count(ca.validDays, 'day')}), certificates for`,
    `${hosts} (${certificates.keyType}, ${count(certificates.validDays, 'day')}), and the CA's passphrase in`,
    `${passphrase.file}, for ${openers}.`,
    'Then it prints what to run on each host; no host is touched.',
  ].join(' ');
}

function count(number: number, what: string): string {
  return `${String(number)} ${what}${number === 1 ? '' : 's'}`;
}
