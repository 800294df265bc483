// The mail programs of a home host other than Postfix, as data: who reads the key, which files to configure, and how
// the program picks them up. How each fails was tested on the real program: all of them wait or fail temporarily (but for
// nullmailer, if a stranger refuses it), and none continues in plain text or without checking the relay's name. `limits`
// lists what a program cannot do, and is printed.

import { bundleNames } from '../plan/bundle-names.js';
import type { HostSettings, MailProgram, Settings, SmtpdServer } from '../settings/settings.js';
import exim from './exim.sh';
import msmtp from './msmtp.sh';
import nodemailer from './nodemailer.sh';
import nullmailer from './nullmailer.sh';
import opensmtpd from './opensmtpd.sh';

/** Our lines in one file of a host: before or after the existing lines, or in their place. */
export interface Edit {
  readonly file: string;
  readonly place: 'first' | 'last' | 'alone';
  readonly lines: readonly string[];
  /**
   * A sed program that changes the other lines. home-program.sh undoes two kinds of change: a line that now begins with
   * `#relaycerts# `, and a name that now ends with `-before-relaycerts`.
   */
  readonly sed?: string;
}

export interface HomeProgram {
  readonly title: string;
  /** One of its commands, and Debian's package, which the script asks for; '' if it is not packaged. */
  readonly command: string;
  readonly package: string;
  /** The oldest supported release; '' for any. */
  readonly oldest: string;
  /** Its service, and what makes it read its files again; '' for a program that is started for each mail. */
  readonly service: string;
  readonly action: 'reload' | 'restart' | '';
  /** What checks its files before the service reads them. */
  readonly check: readonly string[];
  /** The user that runs it, and how that user reads the key: as its owner, or through the group it belongs to. */
  readonly user: string;
  readonly access: 'owner' | 'group';
  /** The relays it uses, in order: some programs know only one. */
  readonly relays: readonly SmtpdServer[];
  readonly edits: readonly Edit[];
  /** Shell functions for home-program.sh. */
  readonly functions: string;
  /** Where to look for a mail that was sent. */
  readonly log: string;
  readonly limits: readonly string[];
}

interface Place {
  readonly relays: Settings['smtpdServers'];
  readonly hostname: string;
  readonly folder: string;
  readonly ca: string;
  /** Key and certificate in one file, which one rename replaces, so that no program can read two that do not match. */
  readonly chain: string;
}

/**
 * The relays, and last an address that no connection can be made to: of a refusal before TLS (5xx to the connection or to
 * HELO, by a stranger in the relay's place), Exim returns the mail only if it has no more hosts to try. Its port is the
 * day: otherwise it would soon have failed for longer than the retry rules allow, and mail that finds no relay in the DNS
 * would be returned at once.
 */
export function eximHosts(relays: readonly SmtpdServer[]): readonly string[] {
  return [...relays.map(({ hostname, port }) => `${hostname}::${port}`), '255.255.255.255::${substr_4_4:$tod_logfile}'];
}

/** The macros of Debian's transport to a smarthost. Without HOSTS_REQUIRE_TLS, Exim would go on in plain text. */
const eximMacros = ({ ca, chain }: Place): readonly string[] => [
  'REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS = *',
  `REMOTE_SMTP_SMARTHOST_TLS_VERIFY_CERTIFICATES = ${ca}`,
  'REMOTE_SMTP_SMARTHOST_TLS_VERIFY_HOSTS = *',
  `REMOTE_SMTP_SMARTHOST_TLS_CERTIFICATE = ${chain}`,
  `REMOTE_SMTP_SMARTHOST_PRIVATEKEY = ${chain}`,
];

const noQueue = (title: string): string =>
  `${title} has no queue: if the relay does not accept the mail, the command fails, and its caller must send again.`;

const programs: Readonly<Record<Exclude<MailProgram, 'postfix'>, (place: Place) => Omit<HomeProgram, 'user'>>> = {
  exim: (place) => ({
    title: 'Exim',
    command: 'exim4',
    package: 'exim4-daemon-light',
    oldest: '4.92',
    service: 'exim4',
    action: 'reload',
    check: ['update-exim4.conf'],
    access: 'group',
    relays: place.relays,
    edits: [
      // A shell reads the file, so the last setting counts. A satellite stays one, without local mail.
      {
        file: '/etc/exim4/update-exim4.conf.conf',
        place: 'last',
        lines: [
          'dc_eximconfig_configtype="${dc_eximconfig_configtype:-smarthost}"',
          `dc_smarthost='${eximHosts(place.relays).join(';')}'`,
        ],
        sed: String.raw`/^[[:blank:]]*dc_eximconfig_configtype=.*satellite/!s/^[[:blank:]]*dc_eximconfig_configtype=/#relaycerts# &/;s/^[[:blank:]]*dc_smarthost=/#relaycerts# &/`,
      },
      // Of these two, the split configuration reads the first, the single file the second.
      { file: '/etc/exim4/conf.d/main/000_relaycerts', place: 'alone', lines: eximMacros(place) },
      {
        file: '/etc/exim4/exim4.conf.localmacros',
        place: 'last',
        lines: eximMacros(place),
        sed: 's/^[[:blank:]]*REMOTE_SMTP_SMARTHOST_/#relaycerts# &/',
      },
    ],
    functions: exim,
    log: 'its log, /var/log/exim4/mainlog, must say CV=yes',
    limits: [
      'Mail that waits for longer than its retry rules allow (4 days in Debian) bounces.',
      'The last host, 255.255.255.255, can never be reached: without it, Exim would bounce the mail if a stranger at the address of the relay refused it permanently. So the log ends with "Network is unreachable" whenever mail waits. An earlier line has the answer of the relay; if there is none, TLS failed, and this says why: exinext ADDRESS',
    ],
  }),
  opensmtpd: ({ relays: [relay], chain, ca }) => ({
    title: 'OpenSMTPD',
    command: 'smtpd',
    package: 'opensmtpd',
    // With OpenSSL 3, version 6.8 cannot present a certificate.
    oldest: '7.0',
    service: 'opensmtpd',
    action: 'restart',
    check: ['smtpd -n'],
    access: 'owner',
    relays: [relay],
    edits: [
      {
        file: '/etc/smtpd.conf',
        place: 'first',
        lines: [
          `pki relaycerts cert "${chain}"`,
          `pki relaycerts key "${chain}"`,
          `ca relaycerts cert "${ca}"`,
          // smtp:// would not verify anything.
          `action "relay" relay host smtp+tls://${relay.hostname}:${relay.port} pki relaycerts ca relaycerts`,
        ],
        sed: String.raw`s/^[[:blank:]]*action[[:blank:]]\{1,\}"\{0,1\}relay"\{0,1\}[[:blank:]]\{1,\}relay/#relaycerts# &/`,
      },
    ],
    functions: opensmtpd,
    log: 'its log must say result="Ok"',
    limits: [
      'Mail that waits for longer than 4 days (queue ttl) bounces.',
      'It needs OpenSMTPD 7: version 6.8 (Debian 12) cannot present a client certificate.',
    ],
  }),
  msmtp: ({ relays: [relay], hostname, chain, ca }) => ({
    title: 'msmtp',
    command: 'msmtp',
    package: 'msmtp',
    oldest: '1.8',
    service: '',
    action: '',
    check: [],
    access: 'owner',
    relays: [relay],
    edits: [
      {
        file: '/etc/msmtprc',
        // Before any "defaults", which apply only to the accounts below them.
        place: 'first',
        lines: [
          'account relaycerts',
          `host ${relay.hostname}`,
          `port ${relay.port}`,
          `domain ${hostname}`,
          'auth off',
          'tls on',
          'tls_starttls on',
          'tls_certcheck on',
          `tls_trust_file ${ca}`,
          `tls_cert_file ${chain}`,
          `tls_key_file ${chain}`,
          'syslog LOG_MAIL',
          'account default : relaycerts',
        ],
        sed: String.raw`/^[[:blank:]]*account[[:blank:]]/{s/$/ /;s/\([[:blank:],:]\)default\([[:blank:],:]\)/\1default-before-relaycerts\2/g;s/ $//;}`,
      },
    ],
    functions: msmtp,
    log: 'the mail log must say "exitcode=EX_OK"',
    limits: [
      noQueue('msmtp'),
      'Only the user that runs it may read the key (programUser in the settings). A file ~/.msmtprc, or an account in msmtprc whose "from" is the sender, takes precedence over this one.',
    ],
  }),
  nullmailer: ({ relays, chain, ca }) => ({
    title: 'nullmailer',
    command: 'nullmailer-send',
    package: 'nullmailer',
    oldest: '2.0',
    service: 'nullmailer',
    action: 'restart',
    check: [],
    access: 'owner',
    relays,
    edits: [
      {
        file: '/etc/nullmailer/remotes',
        // Every other remote would get the mail that ours refuses.
        place: 'alone',
        lines: relays.map(
          ({ hostname, port }) =>
            `${hostname} smtp port=${port} starttls x509certfile=${chain} x509keyfile=${chain} x509cafile=${ca}`,
        ),
      },
    ],
    functions: nullmailer,
    log: 'its log must say "Sent file."',
    limits: [
      'If a stranger at the address of the relay refuses the connection, EHLO or STARTTLS permanently (5xx), nullmailer gives up, which no setting prevents: it sends nothing in plain text, but bounces the mail and moves it away. When the relay is back:\n    mv /var/spool/nullmailer/failed/* /var/spool/nullmailer/queue/ && service nullmailer restart',
      'After each failure nullmailer waits longer, up to a day (maxpause); to try at once: service nullmailer restart. After 7 days (queuelifetime) the mail bounces.',
    ],
  }),
  nodemailer: ({ relays: [relay], folder, chain, ca }) => ({
    title: 'Nodemailer',
    command: '',
    package: '',
    oldest: '',
    service: '',
    action: '',
    check: [],
    access: 'owner',
    relays: [relay],
    edits: [
      {
        file: `${folder}/nodemailer.cjs`,
        place: 'alone',
        lines: [
          `// Options for Nodemailer: createTransport(require('${folder}/nodemailer.cjs')), or the default export of import.`,
          "const { readFileSync } = require('node:fs');",
          `const chain = readFileSync('${chain}');`,
          '',
          'module.exports = {',
          `  host: '${relay.hostname}',`,
          `  port: ${relay.port},`,
          '  secure: false,',
          '  requireTLS: true,',
          '  tls: {',
          `    servername: '${relay.hostname}',`,
          '    rejectUnauthorized: true,',
          "    minVersion: 'TLSv1.2',",
          `    ca: readFileSync('${ca}'),`,
          '    cert: chain,',
          '    key: chain,',
          '  },',
          '};',
        ],
      },
    ],
    functions: nodemailer,
    log: 'sendMail() resolves with the answer 250',
    limits: [
      noQueue('Nodemailer'),
      'Only the user that runs the app may read the key (programUser in the settings). The app reads it when it starts: restart it after each new certificate.',
    ],
  }),
};

/** The program of a home host; undefined for Postfix, which every relay has. */
export function homeProgramOf(
  { domain, postfix, smtpdServers }: Settings,
  host: HostSettings,
): HomeProgram | undefined {
  if (host.role === 'smtpd-server' || host.program === 'postfix') return undefined;
  const folder = postfix.directory;
  const names = bundleNames(domain, host.hostname);
  const [ca, chain] = [`${folder}/${names.ca}`, `${folder}/${names.chain}`];
  const place = { relays: smtpdServers, hostname: host.hostname, folder, ca, chain };
  return { ...programs[host.program](place), user: host.programUser };
}
