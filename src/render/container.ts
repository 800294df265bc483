// What a host's container needs, for each image: the files of its folder, the command that starts it with them, and what
// that image cannot do. The images' ways were read in their own start scripts; docs/containers.md has them. A variable's
// value has no `$`, quote or backslash, because Docker and Compose read the same line differently.

import { parseAbsolutePath } from '../names.js';
import { bundleNames, tableName } from '../plan/bundle-names.js';
import type { Container, HostSettings, Settings } from '../settings/settings.js';
import { configurationOf } from './configuration.js';
import { homeInMain, inContainer, relayInMain } from './container-parameters.js';
import { mainCfLine, setParameters, setServices } from './postconf-lines.js';
import type { Parameter } from './postfix.js';

export interface ContainerFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly bytes: Buffer;
  /** Material is ours alone; configuration may be edited. */
  readonly kind: 'secret' | 'material' | 'configuration';
}

/** How an image is used, without any file's contents. */
export interface ContainerUse {
  /** As Docker names it. */
  readonly image: string;
  /** What is done with the folder, and the command that starts the container with it, there. */
  readonly place: string;
  readonly start: string;
  readonly limits: readonly string[];
}

interface Job {
  readonly settings: Settings;
  readonly host: HostSettings;
}

interface Image {
  readonly use: (job: Job) => ContainerUse;
  /** The host's bundle, under the names that the image looks for. */
  readonly material: (job: Job) => readonly (readonly [path: string, name: string])[];
  readonly configuration: (job: Job) => readonly (readonly [path: string, lines: readonly string[]])[];
}

const begins = ({ host }: Job): string =>
  `# relaycerts: ${host.hostname}. Edit this copy as you like: an edited file is not overwritten.`;

const common = 'check and deploy do not look into containers: status knows only what was exported, and when.';
const wholeHome =
  'Every smtp client in the container gets these settings, so mail that goes elsewhere by another transport waits.';
const wholeRelay = [
  'The whole container is the relay: it takes no mail from the world.',
  'A client without TLS gets a permanent answer (530). In a container, soft_bounce would also hold back what the world refuses.',
  'Filters, DKIM and limits that depend on load are those of the image; smtpdServers[].overrides goes before them.',
];

/** The same for both images that read variables. */
const renew = 'docker compose up -d --force-recreate';
const alone = (edit: string): string =>
  `Copy the folder to the machine that runs the container, keeping modes (rsync -a).${edit} In it:`;

function parametersOf({ settings, host }: Job): readonly Parameter[] {
  return host.role === 'smtp-client' ? homeInMain(settings, host) : relayInMain(settings, host);
}

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

const mailGateway: Image = {
  use: ({ host }) => ({
    image: 'servercontainers/mail-gateway',
    place: alone(''),
    start: renew,
    limits: [
      'Variables and pins are read when the container is made: after each export, make it again.',
      'Leave POSTFIX_SSL_IN_CERT_FINGERPRINTS unset: it appends to the table, so revoked pins would come back.',
      ...(host.role === 'smtpd-server'
        ? wholeRelay
        : [
            wholeHome,
            'Only the container itself may send; AUTO_TRUST_NETWORKS=1 in mail-gateway.env lets all its networks.',
          ]),
      common,
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
        // Read by smtp(8), which may be chrooted.
        ...(isHome ? [`./trust:${trust}:ro`, `./trust:/var/spool/postfix${trust}:ro`] : []),
      ],
      // The image's own wants files that only a relay has.
      more: ['    healthcheck:', '      test: ["CMD", "postfix", "status"]'],
    });
    return [
      ['mail-gateway.env', env],
      ['compose.yaml', compose],
    ];
  },
};

/** The CA, the chain, and a relay's table, under the names of the bundle. */
const chainIn =
  (folder: string): Image['material'] =>
  ({ settings, host }) => {
    const { ca, chain } = bundleNames(settings.domain, host.hostname);
    const names = [ca, chain, ...(host.role === 'smtpd-server' ? [tableName] : [])];
    return names.map((name) => [`${folder}/${name}`, name]);
  };

const boky: Image = {
  use: ({ host }) => ({
    image: 'boky/postfix',
    place: alone(''),
    start: renew,
    limits: [
      ...(host.role === 'smtpd-server'
        ? wholeRelay
        : [wholeHome, 'The image lets all private networks send, from the domains in ALLOWED_SENDER_DOMAINS.']),
      common,
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
    return [
      ['boky.env', env],
      ['compose.yaml', compose],
    ];
  },
};

const dockerMailserver: Image = {
  use: ({ host }) => ({
    image: 'mailserver/docker-mailserver',
    place:
      'Copy relaycerts and compose.override.yaml beside its compose.yaml, keeping modes (rsync -a), and user-patches.sh ' +
      'into the folder that the container has as /tmp/docker-mailserver; if you have them already, add these lines. There:',
    start: 'docker compose up -d --force-recreate mailserver',
    limits: [
      ...(host.role === 'smtpd-server'
        ? []
        : ['DEFAULT_RELAY_HOST and RELAY_HOST must stay unset: the image would use them in place of the relay.']),
      'user-patches.sh sets everything again at each start, and nothing takes it back but a new container without it.',
      common,
    ],
  }),
  material: chainIn('relaycerts'),
  configuration: ({ settings, host }) => {
    const { directory } = settings.postfix;
    const job = { settings: inContainer(settings, directory), host };
    const { main, services } = configurationOf(job.settings, host);
    const patches = [
      '#!/bin/sh',
      begins(job),
      'set -eu',
      ...setServices(services),
      ...(main.length === 0 ? [] : setParameters('postconf -e', main, mainCfLine)),
    ];
    const compose = [
      begins(job),
      'services:',
      '  mailserver:',
      ...(host.role === 'smtpd-server' ? ['    ports:', `      - "${host.port}:${host.port}"`] : []),
      '    volumes:',
      `      - ./relaycerts:${directory}:ro`,
    ];
    return [
      ['user-patches.sh', patches],
      ['compose.override.yaml', compose],
    ];
  },
};

const mailcow: Image = {
  use: () => ({
    image: 'mailcow/postfix',
    place:
      'Copy data/conf/postfix/relaycerts to the same place in the folder of mailcow, keeping modes (rsync -a), and add the ' +
      'lines of extra.cf to the extra.cf there. There:',
    start: 'docker compose restart postfix-mailcow',
    limits: [
      'Sender-dependent transports and transport maps of its UI come first. They get these settings too, so mail that they send elsewhere waits.',
      'If no name of several relays is in the DNS, mail is returned and does not wait.',
      'mailcow cannot be a relay: extra.cf cannot add a service.',
      common,
    ],
  }),
  material: chainIn('data/conf/postfix/relaycerts'),
  configuration: ({ settings, host }) => {
    const job = { settings: inContainer(settings, parseAbsolutePath('/opt/postfix/conf/relaycerts')), host };
    const parameters = parametersOf(job)
      // It would also turn what mailcow refuses from the world into temporary answers.
      .filter(({ name }) => name !== 'soft_bounce')
      // An exclamation mark before SSLv2 makes the image accept TLS 1.0 and weak keys everywhere.
      .map((one) => (one.name.endsWith('_protocols') ? { ...one, value: '>=TLSv1.2' } : one));
    return [['data/conf/postfix/extra.cf', [begins(job), ...parameters.map(mainCfLine)]]];
  },
};

const images: Readonly<Record<Container, Image>> = {
  'mail-gateway': mailGateway,
  boky,
  'docker-mailserver': dockerMailserver,
  mailcow,
};

/** How the image of a host is used; undefined for a host that is not a container. */
export function containerUse(settings: Settings, host: HostSettings): ContainerUse | undefined {
  return host.container === undefined ? undefined : images[host.container].use({ settings, host });
}

/** The files that are not keys, certificates and pins; none for a host that is not a container. */
export function containerConfiguration(settings: Settings, host: HostSettings): readonly ContainerFile[] {
  if (host.container === undefined) return [];
  return images[host.container].configuration({ settings, host }).map(([path, lines]) => ({
    path,
    bytes: Buffer.from(`${lines.join('\n')}\n`),
    kind: 'configuration',
  }));
}

/** All files of the folder; `bundle` is the host's, with its key. */
export function containerFiles(
  settings: Settings,
  host: HostSettings,
  bundle: ReadonlyMap<string, Buffer>,
): readonly ContainerFile[] {
  if (host.container === undefined) return [];
  const { key, chain } = bundleNames(settings.domain, host.hostname);
  const material = images[host.container].material({ settings, host }).map(([path, name]): ContainerFile => {
    const bytes = bundle.get(name);
    if (bytes === undefined) throw new TypeError(`the bundle has no ${name}`);
    return { path, bytes, kind: name === key || name === chain ? 'secret' : 'material' };
  });
  return [...material, ...containerConfiguration(settings, host)];
}
