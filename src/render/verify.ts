// The steps that show that a host works: TLS both ways, and the permission to relay. No mail is sent, because the
// conversation ends after RCPT.

import { bundleNames, tableName } from '../plan/bundle-names.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { homeProgramOf } from './home-programs.js';
import type { Pin } from './pin.js';
import { continued, onHost, step, type Block, type Step } from './step.js';

/** How to verify that a host works. */
export function verifyStep(settings: Settings, host: HostSettings, pins: readonly Pin[]): Step {
  const parts = host.role === 'smtp-client' ? homeParts(settings, host) : relayParts(settings, host, pins);
  return step('verify', 'Check that it works', parts);
}

function homeParts(settings: Settings, client: SmtpClient): Step['parts'] {
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, client.hostname);
  const program = homeProgramOf(settings, client);
  // A program's user may read only what the program reads.
  const pair = program === undefined ? [names.key, names.certificate] : [names.chain, names.chain];
  const [ca, key, certificate] = [names.ca, ...pair].map((name) => `${directory}/${name}`);
  const mailbox = `postmaster@${settings.domain}`;
  const asUser = program === undefined || program.user === 'root' ? '' : `su -s /bin/sh ${program.user} -c `;
  const openssl = (words: readonly string[]): readonly string[] =>
    asUser === '' ? continued(words).map((line) => `  ${line}`) : [`  ${asUser}${shellWord(words.join(' '))}`];
  const parts = (program?.relays ?? settings.smtpdServers).flatMap(({ hostname, port }): (string | Block)[] => [
    ...(program === undefined
      ? fingerParts(`[${hostname}]:${port}`, hostname, `-F ${ca} -k ${certificate} -K ${key}`)
      : []),
    `The relay must answer "250 2.1.5 Ok" to RCPT, on the next to last line; no mail is sent:`,
    onHost([
      `{ sleep 2; echo 'EHLO ${client.hostname}'; sleep 1; echo 'MAIL FROM:<${mailbox}>'; sleep 1; echo 'RCPT TO:<${mailbox}>'; sleep 1; echo QUIT; } |`,
      ...openssl([
        `openssl s_client -quiet -crlf -starttls smtp -connect ${hostname}:${port} -servername ${hostname}`,
        `-CAfile ${ca} -cert ${certificate} -key ${key}`,
        `-verify_hostname ${hostname} -verify_return_error`,
      ]),
    ]),
  ]);
  const sent =
    program === undefined
      ? 'The mail log here must say "Verified TLS connection established"'
      : `With ${program.title}, ${program.log}`;
  return [
    ...parts,
    // Not a block: blocks may be run as they are, and this sends a mail.
    `Then send a message to an address of yours elsewhere:\n    echo test | sendmail -f ${mailbox} you@example.net`,
    `${sent}, and the relay's log "Trusted TLS connection established". For other mail servers to accept mail from the relay, the SPF record of ${settings.domain} needs ${settings.smtpdServers.map(({ hostname }) => `a:${hostname}`).join(' ')}.`,
  ];
}

function fingerParts(nextHop: string, hostname: string, files: string): Step['parts'] {
  return [
    `This prints the name and the SHA-256 fingerprints of the relay's certificate, the answers to EHLO, and "Verified TLS connection established to ${hostname}". That line must be there; the exit status is 0 either way.`,
    onHost(continued(['posttls-finger -c -l secure -o dnssec_probe= -d sha256', files, shellWord(nextHop), hostname])),
  ];
}

function relayParts(settings: Settings, server: SmtpdServer, pins: readonly Pin[]): Step['parts'] {
  const table = `${settings.postfix.tableType}:${settings.postfix.directory}/${tableName}`;
  const [pin] = pins;
  const listens: Step['parts'] = [
    `A moment after the reload, this must print LISTEN. Open the port in the firewall, and in the provider's:`,
    onHost([`ss -ltn ${shellWord(`sport = :${server.port}`)}`]),
  ];
  if (pin === undefined) return listens;
  return [
    ...listens,
    `The table must answer with the client's name, ${pin.hostname}:`,
    onHost([`postmap -q ${shellWord(pin.fingerprint)} ${shellWord(table)}`]),
    `Test the rest from a client:\n    ${settings.program} show ${pin.hostname} --section verify`,
  ];
}
