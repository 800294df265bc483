// What a host's container needs, for each image: the files of its folder, the command that starts it with them, and what
// that image cannot do. The images' ways were read in their own start scripts; docs/containers.md has them.

import { parseAbsolutePath } from '../names.js';
import { bundleNames } from '../plan/bundle-names.js';
import type { Container, HostSettings, Settings } from '../settings/settings.js';
import type { ExportFile } from '../store/export-folder.js';
import { configurationOf } from './configuration.js';
import { begins, chainIn, ends, parametersOf, repliesIn, type ContainerUse, type Image } from './container-image.js';
import { inContainer } from './container-parameters.js';
import { boky, mailGateway } from './container-variables.js';
import { mainCfLine, setParameters, setServices } from './postconf-lines.js';

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
        : ['DEFAULT_RELAY_HOST and RELAY_HOST must stay unset: the image would use them instead of the relay.']),
      'user-patches.sh sets everything again at each start; only a new container without it undoes that.',
      ends,
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
      'mailcow cannot be a relay: extra.cf cannot add a service.',
      ends,
    ],
  }),
  material: chainIn('data/conf/postfix/relaycerts'),
  configuration: ({ settings, host }) => {
    const job = { settings: inContainer(settings, parseAbsolutePath('/opt/postfix/conf/relaycerts')), host };
    const parameters = parametersOf(job)
      // An exclamation mark before SSLv2 makes the image accept TLS 1.0 and weak keys everywhere.
      .map((one) => (one.name.endsWith('_protocols') ? { ...one, value: '>=TLSv1.2' } : one));
    return [
      ['data/conf/postfix/extra.cf', [begins(job), ...parameters.map(mainCfLine)]],
      ...repliesIn('data/conf/postfix/relaycerts', job),
    ];
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
export function containerConfiguration(settings: Settings, host: HostSettings): readonly ExportFile[] {
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
): readonly ExportFile[] {
  if (host.container === undefined) return [];
  const { key, chain } = bundleNames(settings.domain, host.hostname);
  const material = images[host.container].material({ settings, host }).map(([path, name]): ExportFile => {
    const bytes = bundle.get(name);
    if (bytes === undefined) throw new TypeError(`the bundle has no ${name}`);
    return { path, bytes, kind: name === key || name === chain ? 'secret' : 'material' };
  });
  return [...material, ...containerConfiguration(settings, host)];
}
