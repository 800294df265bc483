// The numbered steps of a host, in order: copy, configure, check and reload, verify, monitor; and their inverse. They are
// data (step.ts): host.ts prints them as text, and the tests run them to the letter.

import { join } from 'node:path';
import { isIPv6 } from 'node:net';
import { bundleFiles, bundleNames, tableName, type KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import type { Pin } from './pin.js';
import { homeParameters, oldestRelease, relayService, type Parameter } from './postfix.js';
import type { Section } from './sections.js';
import { cronFile, monitorStep } from './monitor.js';
import { chainParts, requestStep } from './request.js';
import { continued, type Block, type Step } from './step.js';
import { shellWord } from '../shell-word.js';
import { renderTable } from './table.js';
import { verifyStep } from './verify.js';

/** The steps of a host, in order; with `undo`, those that take it back. */
export function stepsOf(
  settings: Settings,
  host: HostSettings,
  pins: readonly Pin[],
  { undo, keyPlace }: { readonly undo: boolean; readonly keyPlace: KeyPlace },
): readonly Step[] {
  if (undo) return [undoStep(settings, host)];
  const configure = host.role === 'smtp-client' ? [mainCfStep(settings, host)] : [masterCfStep(settings, host)];
  return [
    ...(keyPlace === 'host' ? [requestStep(settings, host, false)] : []),
    copyStep(settings, host, keyPlace),
    ...configure,
    checkStep(settings, host),
    verifyStep(settings, host, pins),
    monitorStep(settings, host),
  ];
}

/** The lines of a configuration file that a section is about; undefined where the host has none. */
export function fileOf(
  settings: Settings,
  host: HostSettings,
  section: Section,
  pins: readonly Pin[],
): Block | undefined {
  const { directory } = settings.postfix;
  if (section === 'main.cf' && host.role === 'smtp-client') {
    return {
      where: { file: 'main.cf' },
      lines: withReleases(homeParameters(settings, host), ({ name, value }) => `${name} = ${value}`.trimEnd()),
    };
  }
  if (host.role !== 'smtpd-server') return undefined;
  if (section === 'master.cf') {
    const { line, overrides } = relayService(settings, host);
    return {
      where: { file: 'master.cf' },
      lines: [line, ...withReleases(overrides, ({ name, value }) => `  -o ${name}=${value}`)],
    };
  }
  if (section === 'relay_clientcerts') {
    return { where: { file: `${directory}/${tableName}` }, lines: renderTable(settings, pins).trimEnd().split('\n') };
  }
  return undefined;
}

/** The rsync command: each file of the bundle by name, so that nothing else travels and no folder's mode changes. */
export function copyCommand(settings: Settings, host: HostSettings, keyPlace: KeyPlace): readonly string[] {
  const { directory } = settings.postfix;
  const { user, port } = host.ssh;
  const sudo = user === 'root' ? '' : 'sudo ';
  const target = isIPv6(host.ssh.host) ? `[${host.ssh.host}]` : host.ssh.host;
  const files = bundleFiles(settings.domain, host, keyPlace).map((name) =>
    shellWord(join(settings.folder, 'hosts', host.hostname, name)),
  );
  const options = [
    '--checksum --times --perms --chmod=F600',
    ...(port === 22 ? [] : [`--rsh=${shellWord(`ssh -p ${port}`)}`]),
    `--rsync-path=${shellWord(`${sudo}mkdir -p -m 0700 ${directory} && ${sudo}rsync`)}`,
  ];
  return continued([`rsync ${options.join(' ')}`, ...files, shellWord(`${user}@${target}:${directory}/`)]);
}

function copyStep(settings: Settings, host: HostSettings, keyPlace: KeyPlace): Step {
  const rootless = host.ssh.user === 'root' ? [] : [`The user ${host.ssh.user} needs sudo without a password there.`];
  return {
    section: 'rsync',
    title: `Copy the bundle to ${host.hostname}`,
    parts: [
      ...rootless,
      { where: 'here', lines: copyCommand(settings, host, keyPlace) },
      ...(keyPlace === 'host' ? chainParts(settings, host) : []),
    ],
  };
}

function mainCfStep(settings: Settings, client: SmtpClient): Step {
  const parameters = homeParameters(settings, client);
  const relays = settings.smtpdServers.map(({ hostname, port }) => `${hostname}, port ${port}`);
  return {
    section: 'main.cf',
    title: `Set the relay in main.cf`,
    parts: [
      `All mail that ${client.hostname} does not deliver itself goes to ${relays.join('; then to ')}. The relay's name and CA are checked; where they are not right, the mail waits in the queue.`,
      {
        where: 'host',
        lines: [
          ...backup('main.cf'),
          ...continued([
            'postconf -e',
            ...always(parameters).map(({ name, value }) => shellWord(`${name} = ${value}`.trimEnd())),
          ]),
          ...later(parameters, ({ name, value }) => `postconf -e ${shellWord(`${name} = ${value}`)}`),
        ],
      },
    ],
  };
}

function masterCfStep(settings: Settings, server: SmtpdServer): Step {
  const { id, line, overrides } = relayService(settings, server);
  const { directory, tableType } = settings.postfix;
  const postmap = tableType === 'texthash' ? [] : [`postmap ${shellWord(`${tableType}:${directory}/${tableName}`)}`];
  return {
    section: 'master.cf',
    title: `Add the relay service, port ${server.port}, to master.cf`,
    parts: [
      `A service of its own: main.cf and port 25 stay as they are. A client relays only if this CA signed its certificate and its pin is listed. Port ${server.port} must be free; nothing may stand below the header that this prints, unless the service is ours already:\n    ss -ltn ${shellWord(`sport = :${server.port}`)}`,
      {
        where: 'host',
        lines: [
          ...backup('master.cf'),
          ...postmap,
          `postconf -M ${shellWord(`${id}=${line}`)}`,
          ...continued([
            'postconf -P',
            ...always(overrides).map(({ name, value }) => shellWord(`${id}/${name}=${value}`)),
          ]),
          ...later(overrides, ({ name, value }) => `postconf -P ${shellWord(`${id}/${name}=${value}`)}`),
        ],
      },
    ],
  };
}

function checkStep(settings: Settings, host: HostSettings): Step {
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, host.hostname);
  const [major, minor] = oldestRelease(settings, host.role);
  const purpose = host.role === 'smtp-client' ? 'sslclient' : 'sslserver';
  return {
    section: 'install',
    title: 'Check and reload',
    parts: [
      `Postfix ${major}.${minor} or later is needed (postconf mail_version). The first command must say "OK".`,
      {
        where: 'host',
        lines: [
          `openssl verify -CAfile ${directory}/${names.ca} -purpose ${purpose} ${directory}/${names.certificate} &&`,
          '  postfix check &&',
          '  postfix reload',
        ],
      },
    ],
  };
}

function undoStep(settings: Settings, host: HostSettings): Step {
  const undo =
    host.role === 'smtpd-server'
      ? [`postconf -MX ${relayService(settings, host).id}`, ...inConfiguration(['rm -f master.cf.before-relaycerts'])]
      : inConfiguration([
          'test -f main.cf.before-relaycerts || exit',
          'cp -p main.cf main.cf.after-relaycerts && mv main.cf.before-relaycerts main.cf',
        ]);
  return {
    section: 'install',
    title: `Take the configuration back`,
    parts: [
      host.role === 'smtpd-server'
        ? 'The service goes; main.cf was never changed.'
        : 'Where the numbered steps configured it: main.cf becomes what it was before; what it is now stays as main.cf.after-relaycerts, for what you changed since.',
      { where: 'host', lines: [...undo, `rm -f ${cronFile(settings)}`, 'postfix check && postfix reload'] },
      `The key and certificates stay on the host: rm -r ${settings.postfix.directory}`,
    ],
  };
}

/** Asks Postfix, for not every system has it in /etc/postfix. */
function inConfiguration(lines: readonly string[]): readonly string[] {
  return ['(', '  cd "$(postconf -h config_directory)" || exit', ...lines.map((line) => `  ${line}`), ')'];
}

function backup(file: string): readonly string[] {
  return inConfiguration([`test -e ${file}.before-relaycerts || cp -p ${file} ${file}.before-relaycerts`]);
}

function always(parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.filter(({ since }) => since === undefined);
}

/** A parameter that older releases do not know is set only where this one does. */
function later(parameters: readonly Parameter[], command: (parameter: Parameter) => string): readonly string[] {
  return parameters.flatMap((parameter) =>
    parameter.since === undefined
      ? []
      : [
          `# Postfix ${parameter.since.join('.')} and later`,
          `test -z "$(postconf -d ${parameter.name} 2>/dev/null)" || ${command(parameter)}`,
        ],
  );
}

function withReleases(parameters: readonly Parameter[], line: (parameter: Parameter) => string): readonly string[] {
  return parameters.flatMap((parameter) =>
    parameter.since === undefined
      ? [line(parameter)]
      : [`# Postfix ${parameter.since.join('.')} and later:`, line(parameter)],
  );
}
