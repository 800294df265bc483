// `show --section renewal-timer`: what makes a project renew, install and check unattended, from cron or a systemd
// timer of the user that runs relaycerts, and exactly what that user's ssh key needs on the hosts. It is about the
// project, not about one host.

import type { HostSettings, Settings } from '../settings/settings.js';
import { pathWord, shellWord } from '../shell-word.js';
import { inCrontab, shellLines } from './monitor.js';
import renewal from './renewal.sh';
import { marked } from './step.js';

/** The section's text: blocks to run here, and one line for each of the hosts, none of which is revoked. */
export function renderRenewalTimer(settings: Settings, hosts: readonly HostSettings[]): string {
  const { domain, folder, command, file } = settings;
  const script = `${folder}/renewal.sh`;
  const marker = `# relaycerts: renewal of ${domain}`;
  const unit = `relaycerts-renewal-${domain}`;
  const make = [
    '(',
    'umask 077',
    `cat >${pathWord(script)} <<'END' || exit`,
    '#!/bin/sh',
    `domain=${shellWord(domain)}`,
    `folder=${pathWord(folder)}`,
    `relaycerts_here() { ${command} --settings ${pathWord(file)} "$@"; }`,
    ...shellLines(renewal),
    'END',
    ')',
  ];
  const cron = [
    `line=${shellWord(`23 4 * * * ${inCrontab(`sh ${pathWord(script)}`)} ${marker}`)}`,
    `{ crontab -l 2>/dev/null | grep -vF ${shellWord(marker)}; printf '%s\\n' "$line"; } | crontab -`,
  ];
  const units = [
    '(',
    'mkdir -p ~/.config/systemd/user && cd ~/.config/systemd/user || exit',
    `cat >${unit}.service <<'END'`,
    marker,
    '[Unit]',
    `Description=Renew and install the certificates of ${domain}`,
    '',
    '[Service]',
    'Type=oneshot',
    `ExecStart=/bin/sh ${inUnit(script)} mail`,
    'END',
    `cat >${unit}.timer <<'END'`,
    marker,
    '[Timer]',
    'OnCalendar=*-*-* 04:23',
    'Persistent=true',
    '',
    '[Install]',
    'WantedBy=timers.target',
    'END',
    `systemctl --user enable --now ${unit}.timer || exit`,
    // Without polkit, only root may say so.
    `loginctl enable-linger || echo "it will run only while you are logged in; as root: loginctl enable-linger $(id -un)" >&2`,
    ')',
  ];
  return [
    'Renew, install and check automatically',
    '======================================',
    '',
    'Runs every night, and prints nothing if all is well. The user that runs it needs an ssh key',
    'without a password, and the CA passphrase must open without asking (relaycerts status).',
    '',
    ...marked('run here', make),
    '',
    'With cron, which mails what the script prints:',
    '',
    ...marked('run here', cron),
    '',
    'Or with systemd:',
    '',
    ...marked('run here', units),
    '',
    'That ssh key needs no other rights on the hosts. After the first deploy, this line in',
    'authorized_keys lets it renew what is installed, but not change the configuration or',
    'log in; check then sees the relays only from outside. Replace KEY with your public key:',
    '',
    ...hosts
      .filter(({ ssh, container }) => !ssh.isLocal && container === undefined)
      .slice(0, mostHosts)
      .flatMap(({ hostname, ssh: { user, needsSudo } }) =>
        marked(`~${user}/.ssh/authorized_keys on ${hostname}`, [
          `restrict,command="${needsSudo ? 'sudo -n ' : ''}sh ${settings.postfix.directory}/saved/receive.sh" KEY`,
        ]),
      ),
    '',
  ].join('\n');
}

/** In a fleet, the first hosts show how it is done. */
const mostHosts = 10;

/** systemd.service(5): % and $ are doubled, and a word with spaces is quoted. */
function inUnit(path: string): string {
  const text = path.replaceAll('\\', String.raw`\\`).replaceAll('"', String.raw`\"`);
  return `"${text.replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
}
