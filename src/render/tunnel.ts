// The ssh tunnel of inbound as data: what each end has, as files and as values for the script (tunnel-home.sh,
// tunnel-relay.sh). Home logs in to each relay as an account that may do nothing but listen on one port of the relay's
// 127.0.0.1, and the service behind that port asks for both certificates, as it does without a tunnel.
//
// The key is the one of home's certificate: SSH and TLS sign values that are bound to their own sessions and begin
// differently, so neither signature is any use in the other. With that key one can pose as home anyway.

import { sshKeyOfSpki } from '../certificate/ssh-key.js';
import { bundleNames } from '../plan/bundle-names.js';
import type { Inventory } from '../plan/inventory.js';
import { isTunnelEnd, knownHostsName, tunnelKeysName } from '../plan/tunnel.js';
import type { HostSettings, Inbound, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { assignments, shellWords } from '../shell-word.js';
import { madeLine } from './step.js';
import etrn from './tunnel-etrn.sh';
import tunnelHome from './tunnel-home.sh';
import tunnelRelay from './tunnel-relay.sh';
import tunnelShared from './tunnel.sh';

export interface TunnelFile {
  readonly path: string;
  readonly lines: readonly string[];
}

const fileOf = ({ postfix }: Settings, name: string): string => `${postfix.directory}/${name}`;
const settingsPath = ({ tunnel }: Settings): string => `/etc/ssh/sshd_config.d/${tunnel.user}.conf`;
export const keysPath = ({ tunnel }: Settings): string => `/etc/ssh/${tunnel.user}.keys`;
export const tunnelUnit = ({ tunnel }: Settings, { hostname }: SmtpdServer): string =>
  `${tunnel.user}-${hostname}.service`;
export const knownHostsPath = (settings: Settings, { hostname }: SmtpdServer): string =>
  fileOf(settings, knownHostsName(hostname));
export const bundledKeysPath = (settings: Settings): string => fileOf(settings, tunnelKeysName);
const etrnName = ({ hostname }: SmtpdServer): string => `${hostname}.etrn`;

/** How the account is known to be ours: no account that was there before is ever changed. */
export const accountComment = ({ domain }: Settings): string => `relaycerts tunnel of ${domain}`;

/** Without the address, ssh's request would not match PermitListen. */
const listenOf = ({ tunnel }: Settings): string => `127.0.0.1:${tunnel.listen}`;

/** Before each key; `restrict,port-forwarding` by itself would let it open connections from the relay to anywhere. */
export const keyLimits = (settings: Settings): string =>
  `restrict,port-forwarding,permitlisten="${listenOf(settings)}",permitopen="127.0.0.1:1"`;

/** The files of a host's end, but for those that have keys; none if it has no end. */
export function tunnelFilesOf(settings: Settings, host: HostSettings): readonly TunnelFile[] {
  const { inbound } = settings;
  if (inbound === undefined || !isTunnelEnd(settings, host)) return [];
  if (host.role === 'smtpd-server') return [{ path: settingsPath(settings), lines: accountLines(settings) }];
  return settings.smtpdServers.flatMap((relay) => [
    {
      path: `/etc/systemd/system/${tunnelUnit(settings, relay)}`,
      lines: unitLines(settings, inbound, { home: host, relay }),
    },
    { path: fileOf(settings, etrnName(relay)), lines: etrnLines(settings, inbound, { home: host, relay }) },
  ]);
}

/** What sshd lets the account do; the keys have the same limits once more. */
function accountLines(settings: Settings): readonly string[] {
  const { user } = settings.tunnel;
  return [
    madeLine,
    `Match User ${user}`,
    ...[
      // In case others are not allowed to log in.
      `AllowUsers ${user}`,
      `AllowGroups ${user}`,
      `AuthorizedKeysFile ${keysPath(settings)}`,
      'AuthenticationMethods publickey',
      'PubkeyAuthentication yes',
      // Hardened servers leave out the type of home's key. Under the old name, because sshd before 8.5 has no other.
      'PubkeyAcceptedKeyTypes ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ssh-ed25519,rsa-sha2-512,rsa-sha2-256',
      'DisableForwarding no',
      'AllowTcpForwarding remote',
      `PermitListen ${listenOf(settings)}`,
      'AllowStreamLocalForwarding no',
      'GatewayPorts no',
      'AllowAgentForwarding no',
      'X11Forwarding no',
      'PermitTTY no',
      'PermitTunnel no',
      'PermitUserRC no',
      'MaxSessions 0',
      'ForceCommand /usr/sbin/nologin',
      'ClientAliveInterval 15',
      'ClientAliveCountMax 3',
    ].map((line) => `  ${line}`),
  ];
}

interface Ends {
  readonly home: SmtpClient;
  readonly relay: SmtpdServer;
}

/** ssh's arguments: nothing from a user's configuration, and no host key but those that were copied. */
function sshWords(settings: Settings, { port }: Inbound, { home, relay }: Ends, folder: string): readonly string[] {
  const options = [
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'GlobalKnownHostsFile=/dev/null',
    `UserKnownHostsFile=${folder}/${knownHostsName(relay.hostname)}`,
    'ExitOnForwardFailure=yes',
    'ConnectTimeout=30',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=3',
    // It runs when the port is asked for; in the background, because ssh waits for its end.
    'PermitLocalCommand=yes',
    `LocalCommand=sh ${folder}/${etrnName(relay)} &`,
  ];
  return [
    '-F',
    'none',
    '-N',
    '-T',
    '-i',
    `${folder}/${bundleNames(settings.domain, home.hostname).key}`,
    ...options.flatMap((option) => ['-o', option]),
    ...(relay.ssh.port === 22 ? [] : ['-p', String(relay.ssh.port)]),
    '-R',
    `${listenOf(settings)}:127.0.0.1:${port}`,
    `${settings.tunnel.user}@${relay.hostname}`,
  ];
}

/** What has to run at home without systemd, for a shell. */
export function autosshCommand(settings: Settings, home: SmtpClient, relay: SmtpdServer): string {
  const { inbound } = settings;
  if (inbound === undefined) throw new TypeError('a tunnel without inbound');
  const words = sshWords(settings, inbound, { home, relay }, settings.postfix.directory);
  return `autossh -M 0 ${shellWords(words)}`;
}

/** Where systemd puts what it hands to the service, whose user cannot enter postfix.directory. */
const given = '${CREDENTIALS_DIRECTORY}';

/** @source systemd.exec(5) LoadCredential, systemd.service(5) COMMAND LINES */
function unitLines(settings: Settings, inbound: Inbound, ends: Ends): readonly string[] {
  const { home, relay } = ends;
  const { ca, certificate, key } = bundleNames(settings.domain, home.hostname);
  const files = [key, certificate, ca, knownHostsName(relay.hostname), etrnName(relay)];
  const words = sshWords(settings, inbound, ends, given).map((word) => (word.includes(' ') ? `"${word}"` : word));
  return [
    madeLine,
    '[Unit]',
    `Description=relaycerts: tunnel to ${relay.hostname}`,
    'Wants=network-online.target',
    'After=network-online.target',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'DynamicUser=yes',
    'ProtectHome=yes',
    // The login shell of such a user runs no LocalCommand.
    'Environment=SHELL=/bin/sh',
    ...files.map((name) => `LoadCredential=${name}:${fileOf(settings, name)}`),
    `ExecStart=/usr/bin/ssh ${words.join(' ')}`,
    'Restart=always',
    'RestartSec=10',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ];
}

function etrnLines(settings: Settings, { domains }: Inbound, { home, relay }: Ends): readonly string[] {
  const { ca, certificate, key } = bundleNames(settings.domain, home.hostname);
  const values = {
    host: home.hostname,
    relay: relay.hostname,
    port: String(relay.port),
    domains: domains.join(' '),
    key,
    certificate,
    ca,
  };
  return [madeLine, ...assignments(values), ...etrn.trimEnd().split('\n')];
}

/** In a relay's bundle: home's key, and until it is retired the one before; none if it is revoked. */
export function renderTunnelKeys(settings: Settings, { hosts }: Pick<Inventory, 'hosts'>): string {
  const home = hosts.find(({ host }) => host.role === 'smtp-client' && isTunnelEnd(settings, host));
  const certificates = home === undefined || home.isRevoked ? [] : [home.certificate, home.previous];
  const keys = certificates.flatMap((one) => (one === undefined ? [] : (sshKeyOfSpki(one.info.spki) ?? [])));
  const head = `# relaycerts ${settings.domain}: the keys that may open the tunnel from ${settings.inbound?.home ?? ''}`;
  return `${[head, ...new Set(keys)].join('\n')}\n`;
}

/** The part of the script for a host's end; nothing if it has none. */
export function tunnelPart(settings: Settings, host: HostSettings) {
  const { inbound, tunnel } = settings;
  if (inbound === undefined || !isTunnelEnd(settings, host)) return { parts: [], values: {}, texts: '', functions: [] };
  const lines = tunnelFilesOf(settings, host).flatMap(({ path, lines: text }) => text.map((line) => `${path} ${line}`));
  const texts = `
# Files of the tunnel: the path, then a line of it.
all_tunnel_files() {
  cat <<'END'
${lines.join('\n')}
END
}
`;
  if (host.role === 'smtpd-server') {
    return {
      parts: ['tunnel'],
      values: {
        tunnel_user: tunnel.user,
        tunnel_comment: accountComment(settings),
        tunnel_limits: keyLimits(settings),
        tunnel_listen: String(tunnel.listen),
        tunnel_home: inbound.home,
        kept_parts: `tunnel.${tunnel.user}`,
      },
      texts,
      functions: [tunnelShared, tunnelRelay],
    };
  }
  const relays = settings.smtpdServers;
  return {
    parts: ['tunnel'],
    values: {
      tunnel_user: tunnel.user,
      tunnel_relays: relays.map(({ hostname }) => hostname).join(' '),
      tunnel_hint: `${settings.program} deploy ${host.hostname}`,
      tunnel_steps_hint: `${settings.program} show ${host.hostname} --section tunnel`,
      kept_parts: relays.map(({ hostname }) => `tunnel.${hostname}`).join(' '),
    },
    texts,
    functions: [tunnelShared, tunnelHome],
  };
}
