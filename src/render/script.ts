// `show HOST --format sh`: one script that installs a host, and with `undo` its inverse. The program is install.sh with
// the functions of the host's role; here are only the values at its head. They are quoted, or are lines of a
// here-document, so that nothing in them is ever read as shell.

import { bundleFiles, bundleNames, tableName, type KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { rootCommand, scriptCommand } from './commands.js';
import install from './install.sh';
import { cronFile } from './monitor.js';
import { homeParameters, oldestRelease, relayService, syslogName } from './postfix.js';
import smtpClient from './smtp-client.sh';
import smtpdServer from './smtpd-server.sh';

/** The script for a host; with `undo`, the one that takes it back. */
export function renderScript(
  settings: Settings,
  host: HostSettings,
  { undo, keyPlace }: { readonly undo: boolean; readonly keyPlace: KeyPlace },
): string {
  const { hostname, role } = host;
  const own = host.role === 'smtp-client' ? clientPart(settings, host) : serverPart(settings, host);
  const oldest = oldestRelease(settings, role).join('.');
  const values = { ...hostValues(settings, host, keyPlace), oldest, ...own.values };
  const assignments = Object.entries(values).map(([name, value]) => `${name}=${shellWord(value)}`);
  return `#!/bin/sh
# relaycerts: ${undo ? 'undoes the configuration of' : 'configures'} ${hostname} (${role} of ${settings.domain}). Run it there as root:
#   ${scriptCommand(settings.program, host, undo)}
# It may run any number of times. Nothing runs until the last line, the closing brace, has arrived.
{
${assignments.join('\n')}

# The oldest Postfix release for a setting, then the setting.
all_settings() {
  cat <<'END'
${own.parameters.map(({ name, value, since }) => `${since?.join('.') ?? oldest} ${name}=${value}`).join('\n')}
END
}

${install}
${own.functions}
${undo ? 'undo_host' : 'install_host'} </dev/null
}
`;
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
    cron: cronFile(settings),
    bundle_files: bundleFiles(domain, host, 'here').join(' '),
    copy_hint: copy,
    request_hint: keyPlace === 'host' ? request : '',
    pair_hint:
      keyPlace === 'host'
        ? `the key must be PEM without a password; have its request signed, then copy the bundle again: ${request}`
        : `copy the whole bundle again: ${copy}`,
    root_hint: `pipe it to root's shell: ... | ${rootCommand(ssh, 'sh')}`,
    // Without a terminal, postfix(1) of 3.7 says nothing; that of 3.10 does.
    check_hint: rootCommand(ssh, 'postfix check', '-t '),
  };
}

/** What the script needs of a role: `parameters` are the settings, `functions` the text that install.sh calls. */
function clientPart(settings: Settings, client: SmtpClient) {
  const relays = settings.smtpdServers.map(({ hostname, port }) => `${hostname}:${port}`).join(', then ');
  return {
    values: {
      edited: 'main.cf',
      purpose: 'sslclient',
      active: `it hands its mail to ${relays} over verified TLS; look for "Verified" in its mail log`,
    },
    parameters: homeParameters(settings, client),
    functions: smtpClient,
  };
}

function serverPart(settings: Settings, server: SmtpdServer) {
  const { id, line, overrides } = relayService(settings, server);
  return {
    values: {
      edited: 'master.cf',
      purpose: 'sslserver',
      port: String(server.port),
      service: id,
      service_line: line,
      syslog_name: syslogName,
      table: `${settings.postfix.tableType}:${settings.postfix.directory}/${tableName}`,
      active: `port ${server.port} relays only for the listed clients; look for "Trusted" in its mail log`,
    },
    parameters: overrides,
    functions: smtpdServer,
  };
}
