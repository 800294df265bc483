// The numbered steps for the ssh tunnel of inbound: home logs in to each relay, as an account that may do nothing but
// listen on one port of the relay's 127.0.0.1. The key is made at home and stays there. A person does these steps; the
// scripts and `deploy` do not.

import type { HostSettings, Inbound, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { rootCommand } from './commands.js';
import { inFile, onHost, step, type Step } from './step.js';

/** The steps of home or of a relay; none if the settings do not ask. */
export function tunnelSteps(settings: Settings, host: HostSettings): readonly Step[] {
  const { inbound } = settings;
  if (inbound?.via !== 'tunnel' || !host.isInbound) return [];
  return host.role === 'smtp-client' ? homeSteps(settings, inbound, host) : relaySteps(settings, inbound, host);
}

/** What takes it out again. */
export function undoTunnelLines(settings: Settings, host: HostSettings): readonly string[] {
  const { inbound, tunnel } = settings;
  if (inbound?.via !== 'tunnel' || !host.isInbound) return [];
  if (host.role === 'smtpd-server') {
    return [
      `pkill -KILL -u ${tunnel.user} || :`,
      `userdel ${tunnel.user}`,
      `rm -f ${dropIn(settings)} ${keysOf(settings)}`,
      'sshd=$(command -v sshd || echo /usr/sbin/sshd); "$sshd" -t && kill -HUP "$(cat /run/sshd.pid)"',
    ];
  }
  return [
    ...settings.smtpdServers.flatMap((relay) => [
      `test ! -d /run/systemd/system || systemctl disable --now ${unitOf(relay)}`,
      `rm -f /etc/systemd/system/${unitOf(relay)}`,
    ]),
    `rm -f ${fileOf(settings, 'key')} ${fileOf(settings, 'key.pub')} ${fileOf(settings, 'known_hosts')}`,
  ];
}

const fileOf = ({ postfix }: Settings, name: string): string => `${postfix.directory}/tunnel_${name}`;
const dropIn = ({ tunnel }: Settings): string => `/etc/ssh/sshd_config.d/${tunnel.user}.conf`;
const keysOf = ({ tunnel }: Settings): string => `/etc/ssh/${tunnel.user}.keys`;
const unitOf = ({ hostname }: SmtpdServer): string => `relaycerts-tunnel-${hostname}.service`;

/** Without the address, ssh's request does not match PermitListen. */
const listenOf = ({ tunnel }: Settings): string => `127.0.0.1:${tunnel.listen}`;

function homeSteps(settings: Settings, inbound: Inbound, home: SmtpClient): readonly Step[] {
  const key = fileOf(settings, 'key');
  return [
    step('tunnel', `Open a tunnel to ${settings.smtpdServers.map(({ hostname }) => hostname).join(', ')}`, [
      `The key is made here and never leaves ${home.hostname}:`,
      onHost([`test -e ${key} || (umask 077 && ssh-keygen -q -t ed25519 -N '' -C ${home.hostname} -f ${key})`]),
      `Then do the step "tunnel" of each relay; it copies the public half, and the relay's host key to ${fileOf(settings, 'known_hosts')}.`,
      ...settings.smtpdServers.flatMap((relay) => [
        inFile(`/etc/systemd/system/${unitOf(relay)}`, unitLines(settings, inbound, relay)),
      ]),
      onHost([
        `test ! -d /run/systemd/system || { systemctl daemon-reload; systemctl enable --now ${settings.smtpdServers.map(unitOf).join(' ')}; }`,
      ]),
      `Without systemd, start this at boot instead, for each relay:\n${settings.smtpdServers
        .map(
          (relay) =>
            `    autossh -M 0 ${sshWords(settings, inbound, relay, key, fileOf(settings, 'known_hosts')).join(' ')}`,
        )
        .join('\n')}`,
    ]),
  ];
}

/** ssh's arguments: nothing from a user's configuration, and no host key but the one that was copied. */
function sshWords(
  settings: Settings,
  { port }: Inbound,
  { hostname, ssh }: SmtpdServer,
  key: string,
  knownHosts: string,
): readonly string[] {
  const options = [
    'IdentitiesOnly=yes',
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    'ExitOnForwardFailure=yes',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=3',
  ];
  return [
    `-F none -N -T -i ${key}`,
    ...options.map((option) => `-o ${option}`),
    ...(ssh.port === 22 ? [] : [`-p ${ssh.port}`]),
    `-R ${listenOf(settings)}:127.0.0.1:${port}`,
    `${settings.tunnel.user}@${hostname}`,
  ];
}

/** A file that systemd hands to the service, which could not read it itself. */
const given = (name: string): string => `\${CREDENTIALS_DIRECTORY}/${name}`;

function unitLines(settings: Settings, inbound: Inbound, relay: SmtpdServer): readonly string[] {
  return [
    '[Unit]',
    `Description=relaycerts: tunnel to ${relay.hostname}`,
    'Wants=network-online.target',
    'After=network-online.target',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'DynamicUser=yes',
    `LoadCredential=key:${fileOf(settings, 'key')}`,
    `LoadCredential=known_hosts:${fileOf(settings, 'known_hosts')}`,
    `ExecStart=/usr/bin/ssh ${sshWords(settings, inbound, relay, given('key'), given('known_hosts')).join(' ')}`,
    'Restart=always',
    'RestartSec=10',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ];
}

/** Puts words before each line. */
const sed = (prefix: string): string => `sed ${shellWord(`s/^/${prefix} /`)}`;

function relaySteps(settings: Settings, inbound: Inbound, relay: SmtpdServer): readonly Step[] {
  const { user } = settings.tunnel;
  const home = settings.smtpClients.find(({ hostname }) => hostname === inbound.home);
  if (home === undefined) throw new TypeError('inbound without its home');
  const listen = listenOf(settings);
  // `restrict,port-forwarding` would still let the key open connections from here to anywhere.
  const limits = `restrict,port-forwarding,permitlisten="${listen}",permitopen="127.0.0.1:1"`;
  const name = relay.ssh.port === 22 ? relay.hostname : `[${relay.hostname}]:${relay.ssh.port}`;
  const hostKey = rootCommand(relay.ssh, 'cat /etc/ssh/ssh_host_ed25519_key.pub');
  const knownHosts = fileOf(settings, 'known_hosts');
  return [
    step('tunnel', `Let ${inbound.home} open a tunnel, and nothing else`, [
      `The account can only listen on ${listen}, where this relay finds home. sshd_config has to have "Include /etc/ssh/sshd_config.d/*.conf".`,
      onHost([
        `grep -qi '^include /etc/ssh/sshd_config\\.d/' /etc/ssh/sshd_config || echo 'no Include in sshd_config: add it first'`,
        `id ${user} >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin -p '*' ${user}`,
        'mkdir -p /etc/ssh/sshd_config.d',
      ]),
      inFile(dropIn(settings), [
        `Match User ${user}`,
        `  AuthorizedKeysFile ${keysOf(settings)}`,
        '  AuthenticationMethods publickey',
        '  AllowTcpForwarding remote',
        `  PermitListen ${listen}`,
        '  AllowStreamLocalForwarding no',
        '  GatewayPorts no',
        '  AllowAgentForwarding no',
        '  X11Forwarding no',
        '  PermitTTY no',
        '  PermitTunnel no',
        '  ForceCommand /usr/sbin/nologin',
        '  ClientAliveInterval 15',
        '  ClientAliveCountMax 3',
      ]),
      onHost(['sshd=$(command -v sshd || echo /usr/sbin/sshd); "$sshd" -t && kill -HUP "$(cat /run/sshd.pid)"']),
      "Home's public key comes here, and this relay's host key goes there:",
      {
        where: 'here',
        lines: [
          `${rootCommand(home.ssh, `cat ${fileOf(settings, 'key.pub')}`)} | ${sed(limits)} | ${rootCommand(relay.ssh, `tee ${keysOf(settings)}`)}`,
          `${hostKey} | ${sed(name)} | ${rootCommand(home.ssh, `tee -a ${knownHosts}`)}`,
        ],
      },
    ]),
  ];
}
