// The numbered steps of a host, in order: copy, configure, check and reload, verify; and their inverse. They are data
// (step.ts): host.ts prints them as text, and the tests run them to the letter.

import { join } from 'node:path';
import { bundleFiles, bundleNames, tableName, type KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import type { Pin } from './pin.js';
import { configurationOf } from './configuration.js';
import { containerUse } from './container.js';
import { containerSteps } from './container-steps.js';
import { dkimSteps, undoDkimLines, undoMilterLines } from './dkim-steps.js';
import { mainCfLine, setParameters, setServices, type ParameterText } from './postconf-lines.js';
import { oldestRelease, type Parameter, type Service } from './postfix.js';
import type { Section } from './sections.js';
import { homeProgramOf } from './home-programs.js';
import { inboundSteps, undoInboundLines } from './inbound-steps.js';
import { removeMonitorLines } from './monitor.js';
import { port25Steps, undoPort25Lines } from './port25-steps.js';
import { programSteps, undoProgramStep } from './program-steps.js';
import { chainParts, requestStep } from './request.js';
import { continued, inFile, onHost, step, type Block, type Step } from './step.js';
import { shellWord } from '../shell-word.js';
import { renderTable } from './table.js';
import { tunnelSteps, undoTunnelLines } from './tunnel-steps.js';
import { verifyStep } from './verify.js';

/** The steps of a host, in order; with `undo`, those that undo it. */
export function stepsOf(
  settings: Settings,
  host: HostSettings,
  pins: readonly Pin[],
  { undo, keyPlace }: { readonly undo: boolean; readonly keyPlace: KeyPlace },
): readonly Step[] {
  const use = containerUse(settings, host);
  if (use !== undefined) return containerSteps(settings, host, use, undo);
  const program = homeProgramOf(settings, host);
  if (undo) return [program === undefined ? undoStep(settings, host) : undoProgramStep(settings, host, program)];
  return [
    ...(keyPlace === 'host' ? [requestStep(settings, host, false)] : []),
    copyStep(settings, host, keyPlace),
    ...(program === undefined ? postfixSteps(settings, host) : programSteps(settings, host, program)),
    verifyStep(settings, host, pins),
  ];
}

/** The lines of a configuration file that a section is about; undefined if the host has none. */
export function fileOf(
  settings: Settings,
  host: HostSettings,
  section: Section,
  pins: readonly Pin[],
): Block | undefined {
  if (host.container !== undefined || homeProgramOf(settings, host) !== undefined) return undefined;
  const { main, tokens, services } = configurationOf(settings, host);
  if (section === 'main.cf' && main.length + tokens.length > 0) {
    const items = tokens.map(({ name, place, token }) => `# ${name}, ${place}: ${token}`);
    return inFile('main.cf', [...withReleases(main, mainCfLine), ...items]);
  }
  if (section === 'master.cf') {
    const linesOf = ({ line, overrides }: Service) => [
      line,
      ...withReleases(overrides, ({ name, value }) => `  -o ${name}=${value}`),
    ];
    return inFile('master.cf', services.flatMap(linesOf));
  }
  if (host.role !== 'smtpd-server' || section !== tableName) return undefined;
  return inFile(`${settings.postfix.directory}/${tableName}`, renderTable(settings, pins).trimEnd().split('\n'));
}

function postfixSteps(settings: Settings, host: HostSettings): readonly Step[] {
  return [
    ...dkimSteps(settings, host),
    ...(host.role === 'smtp-client'
      ? [transportStep(settings, host), mainCfStep(settings, host)]
      : [masterCfStep(settings, host), ...port25Steps(settings, host), ...inboundSteps(settings, host)]),
    checkStep(settings, host),
    ...tunnelSteps(settings, host),
  ];
}

function copyStep(settings: Settings, host: HostSettings, keyPlace: KeyPlace): Step {
  const { isLocal, needsSudo, user } = host.ssh;
  return step('rsync', `Copy the bundle to ${host.hostname}`, [
    ...(isLocal || !needsSudo ? [] : [`The user ${user} needs sudo without a password there.`]),
    { where: 'here', lines: copyCommand(settings, host, keyPlace) },
    ...(keyPlace === 'host' ? chainParts(settings, host) : []),
  ]);
}

/** For rsync, each file of the bundle by name, so that nothing else is copied and no folder's mode changes. */
function copyCommand(settings: Settings, host: HostSettings, keyPlace: KeyPlace): readonly string[] {
  const { directory } = settings.postfix;
  const { isLocal, needsSudo, user, port } = host.ssh;
  const sudo = needsSudo ? 'sudo ' : '';
  // Among the names for ssh, only an IPv6 address has a colon.
  const target = host.ssh.host.includes(':') ? `[${host.ssh.host}]` : host.ssh.host;
  const files = bundleFiles(settings, host, keyPlace).map((name) =>
    shellWord(join(settings.folder, 'hosts', host.hostname, name)),
  );
  const makeFolder = `${sudo}mkdir -p -m 0700 ${directory} &&`;
  const options = [
    'rsync --checksum --times --perms --chmod=F600',
    ...(isLocal || port === 22 ? [] : [`--rsh=${shellWord(`ssh -p ${port}`)}`]),
    ...(isLocal ? [] : [`--rsync-path=${shellWord(`${makeFolder} ${sudo}rsync`)}`]),
  ];
  return isLocal
    ? [makeFolder, ...continued([`  ${sudo}${options.join(' ')}`, ...files, `${directory}/`])]
    : continued([options.join(' '), ...files, shellWord(`${user}@${target}:${directory}/`)]);
}

function transportStep(settings: Settings, client: SmtpClient): Step {
  return step('master.cf', `Add a transport to the relay to master.cf`, [
    "A transport of its own: content filters, routes to the LAN and other providers keep working. Postfix checks the relay's name and CA; if they are wrong, the mail waits in the queue.",
    onHost([...backup('master.cf'), ...setServices(configurationOf(settings, client).services)]),
  ]);
}

function mainCfStep(settings: Settings, client: SmtpClient): Step {
  const { main } = configurationOf(settings, client);
  const relays = settings.smtpdServers.map(({ hostname, port }) => `${hostname}, port ${port}`);
  const names = main.map(({ name }) => name).join(' ');
  // What somebody has set since is saved too, so that undo restores the latest.
  const isOurs = main.map(({ name, value }) => `test "$(postconf -h ${name})" = ${shellWord(value)}`).join(' && ');
  return step('main.cf', `Send mail through it, in main.cf`, [
    `All mail that ${client.hostname} does not deliver itself goes to ${relays.join('; then to ')}. Mail that another setting routes elsewhere is not affected if that setting names a transport; otherwise it stops. The script finds such mail; by hand, look at:\n    postconf -n transport_maps sender_dependent_relayhost_maps sender_dependent_default_transport_maps`,
    onHost([
      ...inConfiguration([
        'tail -c 1 main.cf | read -r _ || echo >>main.cf',
        `{ ${isOurs}; } || postconf -n ${names} >main.cf.before-relaycerts`,
      ]),
      ...setParameters('postconf -e', main, mainCfLine),
    ]),
  ]);
}

function masterCfStep(settings: Settings, server: SmtpdServer): Step {
  const { directory, tableType } = settings.postfix;
  const postmap = tableType === 'texthash' ? [] : [`postmap ${shellWord(`${tableType}:${directory}/${tableName}`)}`];
  return step('master.cf', `Add the relay service, port ${server.port}, to master.cf`, [
    `A service of its own, with a tlsmgr and a cleanup that only it uses: ${leavesMainCf(settings, server) ? 'main.cf and port 25 stay as they are, and ' : ''}nothing in main.cf refuses, filters or checks mail on this port. A client relays only if this CA signed its certificate and its pin is listed. Settings that you add to the service by hand are removed at the next run: for milters and limits, use smtpdServers[].overrides in the settings. Port ${server.port} must be free. If this prints anything below its header, another service has the port, unless ours is already there:\n    ss -ltn ${shellWord(`sport = :${server.port}`)}`,
    onHost([...backup('master.cf'), ...postmap, ...setServices(configurationOf(settings, server).services)]),
  ]);
}

/** A relay's main.cf is changed only if the settings ask for more than the relay service. */
function leavesMainCf(settings: Settings, server: SmtpdServer): boolean {
  const { main, tokens } = configurationOf(settings, server);
  return main.length + tokens.length === 0;
}

function checkStep(settings: Settings, host: HostSettings): Step {
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, host.hostname);
  const [major, minor] = oldestRelease(settings, host.role);
  const own = host.role === 'smtp-client' ? 'sslclient' : 'sslserver';
  const purposes = host.isInbound ? ['sslclient', 'sslserver'] : [own];
  const parts = host.role === 'smtp-client' ? [] : endParts(host);
  return step('install', 'Check and reload', [
    `Postfix ${major}.${minor} or later is needed (postconf mail_version). The first command must say "OK".`,
    onHost([
      ...purposes.map(
        (purpose) =>
          `openssl verify -CAfile ${directory}/${names.ca} -purpose ${purpose} ${directory}/${names.certificate} &&`,
      ),
      '  postfix check &&',
      '  postfix reload',
    ]),
    ...parts,
  ]);
}

/**
 * An smtpd keeps the table it has read until its client leaves. The connections are closed before the processes end, as
 * own-service.sh says; pkill finds only the children of this Postfix.
 */
function endParts({ port }: SmtpdServer): Step['parts'] {
  const master = '$(cat "$(postconf -h queue_directory)/pid/master.pid")';
  return [
    'Open connections keep the table and settings that they started with. This closes them, so that a revoked client cannot go on sending; mail in transit is sent again:',
    onHost([
      `ss -K -t -n 'sport = :${port}' > /dev/null || :`,
      'sleep 1',
      `pkill -P ${master} -f ${shellWord(`^smtpd .*-n ${port} `)} || :`,
    ]),
  ];
}

function undoStep(settings: Settings, host: HostSettings): Step {
  const { main, services } = configurationOf(settings, host);
  const [saved, names] = ['main.cf.before-relaycerts', main.map(({ name }) => name).join(' ')];
  const parameters = [
    `test ! -e ${saved} || for name in ${names}; do`,
    `  if old=$(grep "^$name =" ${saved}); then postconf -e "$old"; else postconf -X "$name"; fi`,
    'done',
  ];
  return step('install', `Remove the configuration`, [
    host.role === 'smtpd-server'
      ? leavesMainCf(settings, host)
        ? 'This removes the service; main.cf was never changed.'
        : 'This removes the service, and our items from the lists in main.cf.'
      : `If the numbered steps configured it: ${names.replace(' ', ' and ')} get their old values back, and the transport is removed.`,
    onHost([
      ...inConfiguration([
        ...(host.role === 'smtp-client' ? parameters : []),
        ...undoMilterLines(settings, host),
        'rm -f main.cf.before-relaycerts master.cf.before-relaycerts',
      ]),
      ...(host.role === 'smtpd-server' ? removeRelayServices(settings) : removeServices(services)),
      ...(host.role === 'smtpd-server' ? undoPort25Lines(settings, host) : []),
      ...(host.role === 'smtpd-server' ? undoInboundLines(settings, host) : []),
      ...undoTunnelLines(settings, host),
      ...removeMonitorLines(settings, host),
      'postfix check && postfix reload',
      ...undoDkimLines(settings, host),
    ]),
    `The key and certificates stay on the host: rm -r ${settings.postfix.directory}`,
  ]);
}

function removeServices(services: readonly Service[]): readonly string[] {
  return [`postconf -MX ${services.map(({ id }) => id).join(' ')}`];
}

/** By the table that the service reads, because its port may have changed or be unknown. */
function removeRelayServices({ postfix }: Settings): readonly string[] {
  const own = `s,/relay_clientcerts = .*:${postfix.directory}/${tableName}$,,p`;
  const parts = `awk -v begin="relaycerts-\${service%/*}-" 'index($1, begin) == 1 { print $1 "/" $2 }'`;
  return [
    `for service in $(postconf -P '*/inet/relay_clientcerts' | sed -n ${shellWord(own)}); do`,
    `  postconf -MX "$service" $(postconf -M | ${parts})`,
    'done',
  ];
}

/** Asks Postfix, because not every system has it in /etc/postfix. */
function inConfiguration(lines: readonly string[]): readonly string[] {
  return ['(', '  cd "$(postconf -h config_directory)" || exit', ...lines.map((line) => `  ${line}`), ')'];
}

function backup(file: string): readonly string[] {
  return inConfiguration([
    `test -e ${file}.before-relaycerts || cp -p ${file} ${file}.before-relaycerts`,
    // Otherwise postconf appends to the end of the last line.
    `tail -c 1 ${file} | read -r _ || echo >>${file}`,
  ]);
}

function withReleases(parameters: readonly Parameter[], text: ParameterText): readonly string[] {
  return parameters.flatMap((one) =>
    one.since === undefined ? [text(one)] : [`# Postfix ${one.since.join('.')} and later:`, text(one)],
  );
}
