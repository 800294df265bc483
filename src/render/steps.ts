// What a person does for one host, as data: numbered steps of words and blocks. A block is what is copied: commands
// for one place, or a file's lines. text.ts puts the markers around it, so that what is pasted and what is tested are
// the same bytes.

import { join } from 'node:path';
import { isIPv6 } from 'node:net';
import { bundleFiles, bundleNames, tableName, type KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import type { Pin } from './pin.js';
import { homeParameters, oldestRelease, relayService, type Parameter } from './postfix.js';
import type { Section } from './sections.js';
import { programWord } from './commands.js';
import { chainParts, requestStep } from './request.js';
import { shellWord } from '../shell-word.js';
import { renderTable } from './table.js';

export interface Block {
  /** Where it is run: on this machine, or on the host as root; or lines of the file that is named. */
  readonly where: 'here' | 'host' | { readonly file: string };
  readonly lines: readonly string[];
}

export interface Step {
  readonly section: Section;
  readonly title: string;
  /** Words and blocks in the order in which they are read. */
  readonly parts: readonly (string | Block)[];
}

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
    ...(keyPlace === 'host' ? [requestStep(settings, host)] : []),
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
    '--times --perms --chmod=F600',
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
      'A service of its own: main.cf and port 25 stay as they are. A client relays only if this CA signed its certificate and its pin is listed.',
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

function verifyStep(settings: Settings, host: HostSettings, pins: readonly Pin[]): Step {
  return host.role === 'smtp-client' ? verifyHomeStep(settings, host) : verifyRelayStep(settings, host, pins);
}

function verifyHomeStep(settings: Settings, client: SmtpClient): Step {
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, client.hostname);
  const [ca, key, certificate] = [names.ca, names.key, names.certificate].map((name) => `${directory}/${name}`);
  const mailbox = `postmaster@${settings.domain}`;
  const parts = settings.smtpdServers.flatMap(({ hostname, port }): (string | Block)[] => [
    `It must say "Verified TLS connection established to ${hostname}" (the command ends with 0 whatever it finds):`,
    {
      where: 'host',
      lines: continued([
        'posttls-finger -c -l secure',
        `-F ${ca} -k ${certificate} -K ${key}`,
        shellWord(`[${hostname}]:${port}`),
        hostname,
      ]),
    },
    `The relay must answer "250 2.1.5 Ok" to RCPT, the last line but one; no mail is sent:`,
    {
      where: 'host',
      lines: [
        `{ sleep 2; echo 'EHLO ${client.hostname}'; sleep 1; echo 'MAIL FROM:<${mailbox}>'; sleep 1; echo 'RCPT TO:<${mailbox}>'; sleep 1; echo QUIT; } |`,
        ...continued([
          `  openssl s_client -quiet -crlf -starttls smtp -connect ${hostname}:${port} -servername ${hostname}`,
          `  -CAfile ${ca} -cert ${certificate} -key ${key}`,
          `  -verify_hostname ${hostname} -verify_return_error`,
        ]),
      ],
    },
  ]);
  return {
    section: 'verify',
    title: 'See that it works',
    parts: [
      ...parts,
      `Then send a mail to an address of yours elsewhere: echo test | sendmail -f ${mailbox} you@example.net. The mail log here must say "Verified TLS connection established", the relay's log "Trusted TLS connection established". Other mail servers ask whether the relay may send for ${settings.domain}: its SPF record needs ${settings.smtpdServers.map(({ hostname }) => `a:${hostname}`).join(' ')}.`,
    ],
  };
}

function verifyRelayStep(settings: Settings, server: SmtpdServer, pins: readonly Pin[]): Step {
  const table = `${settings.postfix.tableType}:${settings.postfix.directory}/${tableName}`;
  const [pin] = pins;
  const lookUp: readonly (string | Block)[] =
    pin === undefined
      ? []
      : [
          `The table must answer with the client's name, ${pin.hostname}:`,
          { where: 'host', lines: [`postmap -q ${shellWord(pin.fingerprint)} ${shellWord(table)}`] },
        ];
  return {
    section: 'verify',
    title: 'See that it works',
    parts: [
      `It must say LISTEN; let the port through the firewall, the provider's too:`,
      { where: 'host', lines: [`ss -ltn ${shellWord(`sport = :${server.port}`)}`] },
      ...lookUp,
      `The rest is seen from a client: ${programWord(settings)} show ${settings.smtpClients[0].hostname} --section verify.`,
    ],
  };
}

function monitorStep(settings: Settings, host: HostSettings): Step {
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, host.hostname);
  const { renewBeforeDays } = settings.certificates;
  const line = (minute: number, name: string, what: string): string =>
    `${minute} 6 * * * root openssl x509 -checkend ${renewBeforeDays * 86_400} -noout -in ${directory}/${name} >/dev/null || echo "relaycerts: ${what} expires within ${renewBeforeDays} days, or cannot be read: ${directory}/${name}"`;
  return {
    section: 'monitor',
    title: 'Be warned before a certificate expires',
    parts: [
      `Each morning, with openssl alone; cron sends what it prints to root by mail.`,
      {
        where: 'host',
        lines: [
          "cat >/etc/cron.d/relaycerts <<'END'",
          `# relaycerts: the certificates of ${host.hostname}`,
          line(11, names.certificate, `the certificate of ${host.hostname}`),
          line(12, names.ca, `the CA of ${settings.domain}`),
          'END',
          'chmod 644 /etc/cron.d/relaycerts',
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
      { where: 'host', lines: [...undo, 'rm -f /etc/cron.d/relaycerts', 'postfix check && postfix reload'] },
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

/** One command over several lines. */
function continued(lines: readonly string[]): readonly string[] {
  return lines.map((line, at) => `${at === 0 ? '' : '  '}${line}${at === lines.length - 1 ? '' : ' \\'}`);
}
