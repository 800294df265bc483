// The numbered steps for the ssh tunnel of inbound, and their inverse: what the scripts do, as commands for a person.
// tunnel.ts has the files. A relay's step comes after the copy of its bundle, which has home's key.

import { isTunnelEnd, knownAs } from '../plan/tunnel.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { rootCommand } from './commands.js';
import { inFile, onHost, step, type Step } from './step.js';
import {
  accountComment,
  autosshCommand,
  bundledKeysPath,
  keyLimits,
  keysPath,
  knownHostsPath,
  tunnelFilesOf,
  tunnelUnit,
} from './tunnel.js';

/** The steps of home or of a relay; none if the settings do not ask. */
export function tunnelSteps(settings: Settings, host: HostSettings): readonly Step[] {
  if (!isTunnelEnd(settings, host)) return [];
  return host.role === 'smtp-client' ? homeSteps(settings, host) : relaySteps(settings, host);
}

const sshd = 'sshd=$(command -v sshd || echo /usr/sbin/sshd)';
const reload = `${sshd}; "$sshd" -t && kill -HUP "$(cat /run/sshd.pid)"`;

/** What takes it out again. */
export function undoTunnelLines(settings: Settings, host: HostSettings): readonly string[] {
  if (!isTunnelEnd(settings, host)) return [];
  const files = tunnelFilesOf(settings, host).map(({ path }) => path);
  if (host.role === 'smtpd-server') {
    const { user } = settings.tunnel;
    return [
      `rm -f ${[...files, keysPath(settings)].join(' ')}`,
      reload,
      `pkill -KILL -u ${user} || :`,
      `for _ in 1 2 3 4 5; do ! id ${user} >/dev/null 2>&1 || userdel ${user} && break; sleep 1; done`,
    ];
  }
  const units = settings.smtpdServers.map((relay) => tunnelUnit(settings, relay)).join(' ');
  return [
    `test ! -d /run/systemd/system || systemctl disable --now ${units}`,
    `rm -f ${[...files, ...settings.smtpdServers.map((relay) => knownHostsPath(settings, relay))].join(' ')}`,
  ];
}

function homeSteps(settings: Settings, home: SmtpClient): readonly Step[] {
  const relays = settings.smtpdServers;
  return [
    step('tunnel', `Open a tunnel to ${relays.map(({ hostname }) => hostname).join(', ')}`, [
      'ssh logs in with the key that is already here, and asks the relay for waiting mail (ETRN) each time. This copies the host keys of the relays:',
      {
        where: 'here',
        lines: relays.map((relay) => {
          const keys = rootCommand(relay.ssh, shellWord('cat /etc/ssh/ssh_host_*_key.pub'));
          const write = rootCommand(home.ssh, `tee ${knownHostsPath(settings, relay)}`);
          return `${relay.ssh.isLocal ? 'cat /etc/ssh/ssh_host_*_key.pub' : keys} | awk ${shellWord(`{ print "${knownAs(relay)}", $1, $2 }`)} | ${write} >/dev/null`;
        }),
      },
      ...tunnelFilesOf(settings, home).map(({ path, lines }) => inFile(path, lines)),
      onHost([
        `test ! -d /run/systemd/system || { systemctl daemon-reload; systemctl enable --now ${relays.map((relay) => tunnelUnit(settings, relay)).join(' ')}; }`,
      ]),
      `Without systemd, start this at boot instead, for each relay:\n${relays
        .map((relay) => `    ${autosshCommand(settings, home, relay)}`)
        .join('\n')}`,
    ]),
  ];
}

function relaySteps(settings: Settings, relay: SmtpdServer): readonly Step[] {
  const { user, listen } = settings.tunnel;
  const [file] = tunnelFilesOf(settings, relay);
  if (file === undefined) throw new TypeError(`no end of the tunnel on ${relay.hostname}`);
  const comment = shellWord(accountComment(settings));
  return [
    step('tunnel', `Let ${settings.inbound?.home ?? ''} open a tunnel, and nothing else`, [
      `The account can only listen on 127.0.0.1:${listen}, where this relay finds home. If an account of that name already exists for something else, set another tunnel.user in the settings first: this step would lock its user out. sshd_config must begin with "Include /etc/ssh/sshd_config.d/*.conf".`,
      onHost([
        `id ${user} >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin -p '*' -c ${comment} ${user}`,
        'mkdir -p /etc/ssh/sshd_config.d',
        `sed ${shellWord(`s/^\\([^#]\\)/${keyLimits(settings)} \\1/`)} ${bundledKeysPath(settings)} >${keysPath(settings)}`,
        `chmod 644 ${keysPath(settings)}`,
      ]),
      inFile(file.path, file.lines),
      onHost([
        reload,
        '# This must print the line; otherwise something else in sshd_config comes first:',
        `"$sshd" -T -C user=${user},host=localhost,addr=127.0.0.1 | grep -x 'authorizedkeysfile ${keysPath(settings)}'`,
      ]),
    ]),
  ];
}
