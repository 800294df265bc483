// `show HOST --format sh`: one script that installs a host, the same result however often it is run, and its inverse.
// It checks first, saves, edits with postconf alone, reads back what it wrote (postconf exits 0 on a misspelt name),
// and puts the saved file back where anything fails.

import { bundleFiles, bundleNames, tableName, type KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { homeParameters, oldestRelease, relayService, syslogName, type Parameter } from './postfix.js';
import { cronFile } from './monitor.js';
import { bundledChain, commonFunctions, ownChain } from './script-common.js';
import { rootShell, rootTerminal } from './commands.js';
import { shellWord } from '../shell-word.js';

/** The script for a host; with `undo`, the one that takes it back. */
export function renderScript(
  settings: Settings,
  host: HostSettings,
  { undo, keyPlace }: { readonly undo: boolean; readonly keyPlace: KeyPlace },
): string {
  const { hostname, role } = host;
  const how = `${settings.program} show ${hostname} --format sh${undo ? ' --undo' : ''} | ${rootShell(host.ssh)}`;
  const body = host.role === 'smtp-client' ? homeFunctions(settings, host) : relayFunctions(settings, host);
  return `#!/bin/sh
# relaycerts: ${undo ? 'takes back the configuration of' : 'configures'} ${hostname} (${role} of ${settings.domain}). Runs there, as root:
#   ${how}
# It may be run again at any time. Nothing runs until its last line, the closing brace, has arrived.
{
set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

${variables(settings, host, keyPlace)}
${commonFunctions}${keyPlace === 'here' ? bundledChain : ownChain}${body}
${undo ? 'undo_all' : 'install_all'}
}
`;
}

function variables(settings: Settings, host: HostSettings, keyPlace: KeyPlace): string {
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, host.hostname);
  const [major, minor] = oldestRelease(settings, host.role);
  const active =
    host.role === 'smtp-client'
      ? `it hands its mail to ${settings.smtpdServers.map(({ hostname, port }) => `${hostname}:${port}`).join(', then ')} over verified TLS; look for "Verified" in its mail log`
      : `port ${host.port} relays for the listed clients alone; look for "Trusted" in its mail log`;
  const lines: readonly (readonly [string, string])[] = [
    ['host', host.hostname],
    ['folder', directory],
    ['saved', `${directory}/saved`],
    ['edited', host.role === 'smtp-client' ? 'main.cf' : 'master.cf'],
    ['chain', names.chain],
    ['key', names.key],
    ['certificate', names.certificate],
    ['ca', names.ca],
    ['cron', cronFile(settings)],
    ['bundle_files', bundleFiles(settings.domain, host, 'here').join(' ')],
    ['purpose', host.role === 'smtp-client' ? 'sslclient' : 'sslserver'],
    ['oldest_major', String(major)],
    ['oldest_minor', String(minor)],
    ['copy_hint', `${settings.program} show ${host.hostname} --section rsync`],
    ...(keyPlace === 'here'
      ? []
      : [['request_hint', `${settings.program} show ${host.hostname} --section request`] as const]),
    ['root_hint', `pipe it to root's shell: ... | ${rootShell(host.ssh)}`],
    // Without a terminal, postfix(1) of 3.7 says nothing; that of 3.10 does.
    ['check_hint', rootTerminal(host.ssh, 'postfix check')],
    ['active', active],
    ['changing', 'no'],
    ['first_run', 'no'],
    ['was_running', 'no'],
  ];
  return lines.map(([name, value]) => `${name}=${shellWord(value)}`).join('\n');
}

function homeFunctions(settings: Settings, client: SmtpClient): string {
  const parameters = homeParameters(settings, client);
  return `
# name=value, one a line.
parameters() {
  cat <<'END'
${always(parameters)}
END
${later(parameters, ({ name, value }) => `echo ${shellWord(`${name}=${value}`)}`)}
}

check_role() {
  for name in transport_maps sender_dependent_relayhost_maps sender_dependent_default_transport_maps smtp_tls_policy_maps; do
    value=$(postconf -xh "$name" 2>/dev/null)
    [ -z "$value" ] || warn "$name = $value: mail that it matches may go another way than through the relay, or with other TLS settings"
  done
  value=$(postconf -h smtp_tls_chain_files)
  case $value in
    "$folder/$chain") ;;
    */"$chain")
      [ ! -d "\${value%/*}/saved/before" ] ||
        fail "$host is configured by relaycerts from \${value%/*} still, and could not be brought back from there" "first take that back, with postfix.directory as it was in the settings: the same command with --undo"
      ;;
  esac
  value=$(postconf -xh default_transport)
  [ "$value" = smtp ] || warn "default_transport = $value: mail goes to the relay only where that is the smtp client"
  for override in $(postconf -P 'smtp/unix/*' 2>/dev/null | sed -n 's, = .*,,; /\\/relayhost$/p; /\\/smtp_tls_/p; /\\/tls_/p'); do
    warn "master.cf overrides what is set here: $(postconf -P "$override")"
  done
}

prepare_tables() { :; }

configuration_is_right() {
  wanted=$(parameters | sed 's/=/ = /; s/ *$//' | sort)
  found=$(parameters | sed 's/=.*//' | xargs postconf | sed 's/ *$//' | sort)
  [ "$wanted" = "$found" ]
}

change_configuration() {
  copy=$1
  set --
  while IFS= read -r line; do
    set -- "$@" "$line"
  done <<END
$(parameters)
END
  postconf -c "$copy" -e "$@" </dev/null
}

our_settings() { parameters; }

check_active() { :; }

# What still is as we set it goes back to what it was, or away; what was changed since is left, and said.
undo_settings() {
  copy=$1
  before=$(postconf -c "$saved/before" -n)
  gone=
  set --
  while IFS= read -r line; do
    name=\${line%%=*}
    if [ "$(postconf -c "$copy" -h "$name")" != "\${line#*=}" ]; then
      warn "$name was changed since; it stays as it is"
    elif old=$(printf '%s\\n' "$before" | grep "^$name ="); then
      set -- "$@" "$old"
    else
      gone="$gone $name"
    fi
  done <<END
$(cat "$saved/settings" 2>/dev/null || parameters)
END
  # Whatever reads main.cf waits until its last edit is two seconds old: so all at once.
  [ -z "$gone" ] || printf '%s\\n' "$gone" | xargs postconf -c "$copy" -X
  [ $# -eq 0 ] || postconf -c "$copy" -e "$@" </dev/null
}
`;
}

function relayFunctions(settings: Settings, server: SmtpdServer): string {
  const { tableType } = settings.postfix;
  const { id, line, overrides } = relayService(settings, server);
  const table = `${tableType}:${settings.postfix.directory}/${tableName}`;
  const postmap = `postmap ${shellWord(table)} </dev/null || fail ${shellWord(`postmap cannot make ${table}`)} "look at what it said above"`;
  const made = tableType === 'texthash' ? undefined : `${tableName}.${tableType === 'hash' ? 'db' : tableType}`;
  return `
service=${shellWord(id)}
port=${server.port}

# name=value, one a line.
overrides() {
  cat <<'END'
${always(overrides)}
END
${later(overrides, ({ name, value }) => `echo ${shellWord(`${name}=${value}`)}`)}
}

# Every service that relaycerts made, by the name under which it logs.
all_services() {
  postconf -P '*/inet/syslog_name' 2>/dev/null | sed -n ${shellWord(`s,/syslog_name = ${syslogName}$,,p`)}
}

# Those of this folder: another domain may have its own on the same host.
our_services() {
  for name in $(all_services); do
    case $(postconf -P "$name/relay_clientcerts" 2>/dev/null) in
      *":$folder/"${tableName}) echo "$name" ;;
    esac
  done
}

check_role() {
  own_file ${tableName} 644
  postconf -m | grep -qx ${tableType} ||
    fail "this Postfix has no map type ${tableType}" 'set postfix.tableType in the settings to one of: '"$(postconf -m | tr '\\n' ' ')"
  if [ -n "$(postconf -M "$service" 2>/dev/null)" ]; then
    our_services | grep -qx "$service" ||
      fail "master.cf has a service $service that is not ours" "choose another port in the settings, or remove it: postconf -MX $service"
  else
    check_port
  fi
  case $(postconf -xh inet_interfaces) in
    loopback-only | localhost | 127.0.0.1) warn "inet_interfaces = $(postconf -h inet_interfaces): no other host can reach port $port" ;;
  esac
}

# A second listener on one port would stop Postfix as a whole at the reload.
check_port() {
  for name in $(postconf -M 2>/dev/null | awk '$2 == "inet" { print $1 }'); do
    number=\${name##*:}
    found=$(getent services "$number/tcp" 2>/dev/null | awk '{ sub("/.*", "", $2); print $2 }') || :
    [ "\${found:-$number}" != "$port" ] ||
      fail "master.cf has a service $name on port $port already" "choose another port in the settings"
  done
  if command -v ss >/dev/null 2>&1 && [ -n "$(ss -H -ltn "sport = :$port" 2>/dev/null)" ]; then
    fail "another program listens on port $port of $host" "choose another port in the settings; ss -ltnp shows the program"
  fi
}

prepare_tables() {
  ${tableType === 'texthash' ? ':' : postmap}
}

tables_are_there() { ${made === undefined ? ':' : `[ -f "$folder"/${made} ]`}; }

configuration_is_right() {
  tables_are_there || return 1
  wanted="${line} $(overrides | sed 's/^/-o /' | tr '\\n' ' ')"
  found=$(postconf -M "$service" 2>/dev/null | tr -s '[:space:]' ' ')
  [ "$wanted" = "$found" ] && [ "$(our_services)" = "$service" ]
}

our_settings() { overrides; }

change_configuration() {
  copy=$1
  for old in $(our_services); do
    [ "$old" = "$service" ] || postconf -c "$copy" -MX "$old" </dev/null
  done
  postconf -c "$copy" -M "$service="${shellWord(line)} </dev/null
  set --
  for override in $(overrides); do
    set -- "$@" "$service/$override"
  done
  postconf -c "$copy" -P "$@" </dev/null
}

# Postfix opens the port at the reload; anything that keeps it from that is in the mail log.
check_active() {
  if [ "$was_running" = yes ] && command -v ss >/dev/null 2>&1; then
    for _ in 1 2 3 4 5; do
      [ -z "$(ss -H -ltn "sport = :$port" 2>/dev/null)" ] || return 0
      sleep 1
    done
    fail "Postfix does not listen on port $port" "look at the mail log: it says why"
  fi
}

undo_settings() {
  for old in $(our_services); do
    postconf -c "$1" -MX "$old" </dev/null
  done
}
`;
}

function always(parameters: readonly Parameter[]): string {
  return parameters
    .filter(({ since }) => since === undefined)
    .map(({ name, value }) => `${name}=${value}`)
    .join('\n');
}

/** One guarded line for each parameter that only later releases know. */
function later(parameters: readonly Parameter[], command: (parameter: Parameter) => string): string {
  return parameters
    .flatMap((parameter) =>
      parameter.since === undefined
        ? []
        : [`  if at_least ${parameter.since.join(' ')}; then ${command(parameter)}; fi`],
    )
    .join('\n');
}
