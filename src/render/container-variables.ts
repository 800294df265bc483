// The images that are configured by variables: servercontainers/mail-gateway and boky/postfix. A value has no `$`, quote
// or backslash, because Docker and Compose read the same line differently.

import { parseAbsolutePath } from '../names.js';
import { bundleNames, tableName } from '../plan/bundle-names.js';
import { begins, chainIn, ends, parametersOf, repliesIn, type Image, type Job } from './container-image.js';
import { inContainer } from './container-parameters.js';
import type { Parameter } from './postfix.js';

const wholeHome =
  'All smtp clients in the container use these settings, so mail sent elsewhere over another transport waits.';
const wholeRelay = [
  'The whole container is the relay: it accepts no mail from the Internet.',
  'A client without TLS gets a permanent answer (530). In a container, soft_bounce would also keep mail that the destination refuses.',
  'Filters, DKIM and limits that depend on load are those of the image; smtpdServers[].overrides takes precedence.',
];

/** The same for both images that read variables. */
const renew = 'docker compose up -d --force-recreate';
const place = 'Copy the folder to the machine that runs the container, keeping modes (rsync -a). In it:';

/** The relayhosts are a variable of both images. */
function variables(parameters: readonly Parameter[], nameOf: (name: string) => string): readonly string[] {
  return parameters.map(({ name, value }) =>
    name === 'relayhost' ? `RELAYHOST=${value.replaceAll(', ', ',')}` : `${nameOf(name)}=${value}`,
  );
}

interface Service {
  readonly name: string;
  readonly image: string;
  readonly inside: number;
  readonly volumes: readonly string[];
  readonly more?: readonly string[];
}

/** The queue is kept when the container is made again. */
function composeLines(job: Job, { name, image, inside, volumes, more = [] }: Service): readonly string[] {
  const { host } = job;
  return [
    begins(job),
    'services:',
    `  ${name}:`,
    `    image: ${image}`,
    `    hostname: ${host.hostname}`,
    '    restart: unless-stopped',
    `    env_file: ${name}.env`,
    ...(host.role === 'smtpd-server' ? ['    ports:', `      - "${host.port}:${inside}"`] : []),
    '    volumes:',
    ...[...volumes, 'queue:/var/spool/postfix'].map((volume) => `      - ${volume}`),
    ...more,
    'volumes:',
    '  queue:',
  ];
}

const tls = '/etc/postfix/tls';
const trust = '/etc/postfix/trust';
/** Set by the files that the image finds; and it has no names with capitals. */
const fromFiles = /[A-Z]|_(?:cert|key|eccert|eckey|dcert|dkey|chain)_files?$/u;

export const mailGateway: Image = {
  use: ({ host }) => ({
    image: 'servercontainers/mail-gateway',
    place,
    start: renew,
    limits: [
      'Variables and pins are read when the container is created: after each export, create it again.',
      'Leave POSTFIX_SSL_IN_CERT_FINGERPRINTS unset: it appends to the table, so revoked pins would come back.',
      ...(host.role === 'smtpd-server'
        ? wholeRelay
        : [
            wholeHome,
            'Only the container itself may send; AUTO_TRUST_NETWORKS=1 in mail-gateway.env allows all its networks.',
          ]),
      ends,
    ],
  }),
  material: ({ settings, host }) => {
    const { ca, certificate, key } = bundleNames(settings.domain, host.hostname);
    return host.role === 'smtp-client'
      ? [
          // Named rootCA.crt, it would let every client of this CA send through home.
          ['trust/ca.crt', ca],
          ['tls/client.crt', certificate],
          ['tls/client.key', key],
        ]
      : [
          ['tls/rootCA.crt', ca],
          ['tls/bundle.crt', certificate],
          ['tls/cert.key', key],
          [`tls/${tableName}`, tableName],
        ];
  },
  configuration: ({ settings, host }) => {
    const job = { settings: inContainer(settings, parseAbsolutePath(tls)), host };
    const isHome = host.role === 'smtp-client';
    const parameters = parametersOf(job)
      .filter(({ name }) => !fromFiles.test(name))
      .map((one) => (one.name === 'smtp_tls_trust_anchor_file' ? { ...one, value: `${trust}/ca.crt` } : one));
    const env = [
      begins(job),
      `MAIL_FQDN=${host.hostname}`,
      'DISABLE_AMAVIS=1',
      `POSTFIX_SSL_${isHome ? 'OUT_SECURITY_LEVEL=secure' : 'IN_SECURITY_LEVEL=encrypt'}`,
      ...variables(parameters, (name) => `POSTFIX_RAW_CONFIG_${name.toUpperCase()}`),
    ];
    const compose = composeLines(job, {
      name: 'mail-gateway',
      image: 'servercontainers/mail-gateway',
      inside: 25,
      volumes: [
        `./tls:${tls}:ro`,
        // Read by smtp(8), which is not root and may be chrooted.
        ...(isHome ? [`./trust:${trust}:ro`, `./trust:/var/spool/postfix${trust}:ro`] : []),
      ],
      // The image's own wants files that only a relay has.
      more: ['    healthcheck:', '      test: ["CMD", "postfix", "status"]'],
    });
    return [['mail-gateway.env', env], ['compose.yaml', compose], ...repliesIn('tls', job)];
  },
};

export const boky: Image = {
  use: ({ host }) => ({
    image: 'boky/postfix',
    place,
    start: renew,
    limits: [
      ...(host.role === 'smtpd-server'
        ? wholeRelay
        : [wholeHome, 'The image lets all private networks send, from the domains in ALLOWED_SENDER_DOMAINS.']),
      ends,
    ],
  }),
  material: chainIn('relaycerts'),
  configuration: ({ settings, host }) => {
    const { directory } = settings.postfix;
    const job = { settings: inContainer(settings, directory), host };
    const table = `texthash:${directory}/${tableName}`;
    // The image takes "texthash:" for "hash:" and makes another table of the file, unless the name ends with a brace.
    const parameters = parametersOf(job).map(({ name, value }) => ({
      name,
      value: value.replaceAll(table, `pipemap:{${table}}`),
    }));
    const senders = host.role === 'smtp-client' ? host.senders.map((sender) => sender.replace(/^.*@/u, '')) : [];
    const own =
      host.role === 'smtp-client'
        ? [`ALLOWED_SENDER_DOMAINS=${[...new Set(senders.length === 0 ? [settings.domain] : senders)].join(' ')}`]
        : // Docker's own addresses are no better than others. Without a domain, the image does not permit all relaying.
          ['ALLOW_EMPTY_SENDER_DOMAINS=true', 'POSTFIX_mynetworks=127.0.0.0/8'];
    const env = [
      begins(job),
      `POSTFIX_myhostname=${host.hostname}`,
      ...own,
      ...variables(parameters, (name) => `POSTFIX_${name}`),
      // An empty variable means the default, which is not empty here; without a lifetime there are no tickets either.
    ].filter((line) => line !== 'POSTFIX_tls_session_ticket_cipher=');
    const compose = composeLines(job, {
      name: 'boky',
      image: 'boky/postfix',
      inside: 587,
      volumes: [`./relaycerts:${directory}:ro`],
    });
    return [['boky.env', env], ['compose.yaml', compose], ...repliesIn('relaycerts', job)];
  },
};
