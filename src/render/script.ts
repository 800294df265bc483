// `show HOST --format sh`: one script that installs a host, or with `undo` its inverse. The program is frame.sh and
// install.sh with the functions of the host's role, or home-program.sh with those of a home host's other mail program;
// only the values at its start are made here. They are quoted, or are lines of a here-document, so that nothing in them
// is ever read as shell.

import { bundleFiles, bundleNames, tableName, type KeyPlace } from '../plan/bundle-names.js';
import { peersName } from '../plan/inbound.js';
import { port25Files } from '../plan/port25.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { assignments } from '../shell-word.js';
import arrival from './arrival.sh';
import { rootCommand, scriptCommand } from './commands.js';
import checkBundle from './check-bundle.sh';
import dkim from './dkim.sh';
import { signingValues } from './dkim.js';
import editConfiguration from './edit-configuration.sh';
import failure from './failure.sh';
import frame from './frame.sh';
import { homeProgramOf } from './home-programs.js';
import inboundHome from './inbound-home.sh';
import inboundRelay from './inbound-relay.sh';
import { homeTransport, inboundPlace } from './inbound-service.js';
import install from './install.sh';
import { configurationOf } from './configuration.js';
import { removeMonitorLines } from './monitor.js';
import noService from './no-service.sh';
import ownService from './own-service.sh';
import parents from './parents.sh';
import { oldestRelease, type Parameter } from './postfix.js';
import { programPart } from './program-script.js';
import { port25Of, srsExcluded } from './port25.js';
import port25Functions from './port25.sh';
import probePostfix from './probe-postfix.sh';
import probeProgram from './probe-program.sh';
import probe from './probe.sh';
import probeSections from './probe-sections.sh';
import smtpClient from './smtp-client.sh';
import smtpdServer from './smtpd-server.sh';
import { tunnelPart } from './tunnel.js';

export interface ScriptOptions {
  /** The inverse. */
  readonly undo: boolean;
  /** Install a home host even if its main.cf routes mail around the relay. */
  readonly forceRoutes: boolean;
  readonly keyPlace: KeyPlace;
  /** With which it looks at what it installed (arrival.sh); without it, it does not look. */
  readonly look?: string;
}

/** The script for a host; with `undo`, the one that undoes it. */
export function renderScript(settings: Settings, host: HostSettings, options: ScriptOptions): string {
  const { undo, keyPlace, look = '' } = options;
  const { hostname, role } = host;
  const own = partOf(settings, host, options.forceRoutes);
  return `#!/bin/sh
# relaycerts: ${undo ? 'undoes the configuration of' : 'configures'} ${hostname} (${role} of ${settings.domain}). Run it there as root:
#   ${scriptCommand(settings.program, host, undo ? ['--undo'] : [])}
# It needs root there, ${own.needs} and openssl; its bundle is copied first, with ${host.ssh.isLocal ? 'rsync' : 'ssh, and rsync on both sides'}.
# It may run any number of times. Nothing runs until the last line, the closing brace, has arrived.
{
${bodyOf(settings, host, own, keyPlace)}
remove_monitor() ${removeMonitorLines(settings, host).join('\n')}
${look}
begin_run
# Processes that it starts may outlive it, so they do not inherit the lock.
${undo ? 'undo_host' : 'install_host'} </dev/null 9<&-
}
`;
}

/** A script that only reads: what a check needs to know about a host, in the sections described in probe.sh. */
export function renderProbe(
  settings: Settings,
  host: HostSettings,
  { keyPlace, mailDomain = '' }: { readonly keyPlace: KeyPlace; readonly mailDomain: string | undefined },
): string {
  const relays = host.role === 'smtp-client' ? settings.smtpdServers : [];
  const question = { relay_names: relays.map(({ hostname }) => hostname).join(' '), mail_domain: mailDomain };
  const part =
    homeProgramOf(settings, host) === undefined
      ? [probeSections, probe, probePostfix]
      : [probeSections, probe, probeProgram];
  const own = partOf(settings, host, false);
  return `{
${assignments(question).join('\n')}
${bodyOf(settings, host, own, keyPlace)}
${part.join('\n')}

probe_host </dev/null
}
`;
}

/** The two halves of a script that installs: what only this host has, and what all hosts like it have. */
export function scriptHalves(settings: Settings, host: HostSettings, keyPlace: KeyPlace) {
  const own = partOf(settings, host, false);
  return { values: valuesOf(settings, host, own, keyPlace), functions: functionsOf(own) };
}

function bodyOf(settings: Settings, host: HostSettings, own: ReturnType<typeof partOf>, keyPlace: KeyPlace): string {
  return `${valuesOf(settings, host, own, keyPlace)}\n${functionsOf(own)}`;
}

/** The values and texts. */
function valuesOf(settings: Settings, host: HostSettings, own: ReturnType<typeof partOf>, keyPlace: KeyPlace): string {
  return `${assignments({ ...hostValues(settings, host, keyPlace), ...own.values }).join('\n')}\n\n${own.texts}`;
}

function functionsOf({ functions }: ReturnType<typeof partOf>): string {
  return [failure, frame, arrival, parents, checkBundle, functions].join('\n');
}

function hostValues(settings: Settings, host: HostSettings, keyPlace: KeyPlace) {
  const { program, domain, postfix } = settings;
  const { hostname, ssh } = host;
  const { chain, key, certificate, ca } = bundleNames(domain, hostname);
  const copy = `${program} show ${hostname} --section rsync`;
  const request = `${program} show ${hostname} --section request`;
  return {
    host: hostname,
    folder: postfix.directory,
    chain,
    key,
    certificate,
    ca,
    bundle_files: bundleFiles(settings, host, 'here').join(' '),
    copy_hint: copy,
    request_hint: keyPlace === 'host' ? request : '',
    pair_hint:
      keyPlace === 'host'
        ? `the key must be PEM without a password; have its request signed, then copy the bundle again: ${request}`
        : `copy the whole bundle again: ${copy}`,
    root_hint: `pipe it to root's shell: ... | ${rootCommand(ssh, 'sh')}`,
    // Without a terminal, postfix(1) of 3.7 prints nothing; 3.10 does.
    check_hint: rootCommand(ssh, 'postfix check', '-t '),
  };
}

/** What the script needs for any host: values, texts that it reads, and the functions of its mail program and role. */
function partOf(settings: Settings, host: HostSettings, forceRoutes: boolean) {
  const program = homeProgramOf(settings, host);
  if (program !== undefined) {
    return { needs: program.title, ...programPart(settings, host, program, forceRoutes) };
  }
  const own = host.role === 'smtp-client' ? clientPart(settings, host, forceRoutes) : serverPart(settings, host);
  const tunnel = tunnelPart(settings, host);
  const oldest = oldestRelease(settings, host.role).join('.');
  const { main, tokens, services, files } = configurationOf(settings, host);
  const lines = (place: string, parameters: readonly Parameter[]): readonly string[] =>
    parameters.map(({ name, value, since }) => `${since?.join('.') ?? oldest} ${place} ${name}=${value}`);
  const all = [...lines('main.cf', main), ...services.flatMap(({ id, overrides }) => lines(id, overrides))];
  return {
    needs: `Postfix ${oldest} or later`,
    values: {
      oldest,
      ...own.values,
      ...signingValues(settings, host),
      ...tunnel.values,
      parts: [...own.parts, 'dkim', ...tunnel.parts].join(' '),
    },
    texts: `# The oldest Postfix release for a setting, then its place, then the setting.
all_settings() {
  cat <<'END'
${all.join('\n')}
END
}

# Items of lists in main.cf that also have others: the list, the place, the item.
all_tokens() {
  cat <<'END'
${tokens.map(({ name, place, token }) => `${name} ${place} ${token}\n`).join('')}END
}

# Our own files beside main.cf: the name, then a line of it.
all_files() {
  cat <<'END'
${files.flatMap(({ name, lines: text }) => text.map((line) => `${name} ${line}\n`)).join('')}END
}

# The services of master.cf: each by its first two columns, then its line.
all_services() {
  cat <<'END'
${services.map(({ id, line }) => `${id} ${line}`).join('\n')}
END
}
${tunnel.texts}`,
    functions: [install, editConfiguration, own.functions, dkim, ...tunnel.functions].join('\n'),
  };
}

/** For a Postfix host: values, and `functions`, the text that install.sh calls. */
function clientPart(settings: Settings, client: SmtpClient, forceRoutes: boolean) {
  const relays = settings.smtpdServers.map(({ hostname, port }) => `${hostname}:${port}`).join(', then ');
  const inbound = client.isInbound ? settings.inbound : undefined;
  return {
    parts: inbound === undefined ? [] : ['inbound'],
    values: {
      domain: settings.domain,
      // The transport must exist before main.cf names it.
      edited: 'master.cf main.cf',
      purpose: inbound === undefined ? 'sslclient' : 'sslclient sslserver',
      force_routes: forceRoutes ? 'yes' : 'no',
      force_hint: scriptCommand(settings.program, client, ['--force-routes']),
      active: `it sends its mail to ${relays} over verified TLS; look for "Verified" in its mail log`,
      ...(inbound === undefined
        ? {}
        : {
            port: String(inbound.port),
            service: `${inboundPlace(inbound)}/inet`,
            table: `texthash:${settings.postfix.directory}/${peersName}`,
            inbound_domains: inbound.domains.join(' '),
          }),
    },
    functions: [smtpClient, ...(inbound === undefined ? [noService] : [ownService, inboundHome])].join('\n'),
  };
}

function serverPart(settings: Settings, server: SmtpdServer) {
  const { directory, tableType } = settings.postfix;
  const { main, tokens, files } = configurationOf(settings, server);
  const { relayPort25: port25 } = settings;
  const inbound = server.isInbound ? settings.inbound : undefined;
  const names = files.map(({ name }) => name);
  return {
    parts: ['port25', ...(inbound === undefined ? [] : ['inbound'])],
    values: {
      edited: [...names, 'master.cf', ...(main.length + tokens.length > 0 ? ['main.cf'] : [])].join(' '),
      purpose: inbound === undefined ? 'sslserver' : 'sslserver sslclient',
      domain: settings.domain,
      port: String(server.port),
      service: `${server.port}/inet`,
      table: `${tableType}:${directory}/${tableName}`,
      postscreen: port25?.postscreen === true ? 'yes' : 'no',
      spf: port25?.spf ?? 'off',
      srs_excluded: port25?.srs === true ? srsExcluded(settings).join(',') : '',
      secret_lists: port25Files(settings, server).join(' '),
      port25_files: port25Of(settings, server)
        .files.map(({ name }) => name)
        .join(' '),
      active: `port ${server.port} relays only for the listed clients; look for "Trusted" in its mail log`,
      ...(inbound === undefined
        ? {}
        : {
            inbound_domains: inbound.domains.join(' '),
            inbound_asks: inbound.recipients === 'verify' ? 'yes' : 'no',
            inbound_transport: homeTransport(server),
          }),
    },
    functions: [ownService, smtpdServer, port25Functions, ...(inbound === undefined ? [] : [inboundRelay])].join('\n'),
  };
}
