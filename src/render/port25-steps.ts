// The numbered step for a relay's port 25, and its inverse: what the script does with settings, tokens and services, as
// commands for a person. The files with a key are copied with the bundle, so nothing printed here has it.

import type { Settings, SmtpdServer } from '../settings/settings.js';
import { port25Of, srsExcluded } from './port25.js';
import { listsOf, settingLines, takingOutLines } from './list-items.js';
import { inFile, onHost, step, type Step } from './step.js';

/** Where postscreen is not yet, it takes over port 25; the smtpd behind it has the options that it had there. */
function postscreenLines(chroot: string): readonly string[] {
  return [
    'if test "$(postconf -M smtp/inet | awk \'{ print $8 }\')" = smtpd; then',
    `  postconf -M "smtpd/pass=smtpd pass - - ${chroot} - - smtpd ${optionsOf('smtp/inet')}"`,
    `  postconf -M 'smtp/inet=smtp inet n - ${chroot} - 1 postscreen'`,
    `  postconf -M 'dnsblog/unix=dnsblog unix - - ${chroot} - 0 dnsblog' 'tlsproxy/unix=tlsproxy unix - - ${chroot} - 0 tlsproxy'`,
    'fi',
  ];
}

function noPostscreenLines(chroot: string): readonly string[] {
  return [
    'if test "$(postconf -M smtp/inet | awk \'{ print $8 }\')" = postscreen; then',
    `  postconf -M "smtp/inet=smtp inet n - ${chroot} - - smtpd ${optionsOf('smtpd/pass')}"`,
    '  postconf -MX smtpd/pass dnsblog/unix tlsproxy/unix',
    'fi',
  ];
}

const optionsOf = (service: string): string => `$(postconf -M ${service} | tr -s '[:space:]' ' ' | cut -d ' ' -f 9-)`;

/** The step; none if the settings do not ask. */
export function port25Steps(settings: Settings, server: SmtpdServer): readonly Step[] {
  const { relayPort25: port25 } = settings;
  if (port25 === undefined) return [];
  const { main, tokens, files } = port25Of(settings, server);
  const packages = [
    ...(port25.spf === 'off' ? [] : ['postfix-policyd-spf-python']),
    ...(port25.srs ? ['postsrsd'] : []),
  ];
  const lines = [
    ...(port25.postscreen ? postscreenLines(settings.postfix.masterChroot) : []),
    ...settingLines(main, tokens),
  ];
  if (lines.length === 0) return [];
  return [
    step('port25', 'Set up port 25 for mail from the Internet', [
      `Mail from listed addresses is refused${port25.postscreen ? ', by postscreen where it can' : ''}; our own port is not affected.${packages.length === 0 ? '' : ` It needs: apt-get install ${packages.join(' ')}`}`,
      ...files.map(({ name, lines: text }) => inFile(`/etc/postfix/${name}`, text)),
      onHost(lines),
      ...(port25.srs
        ? ['postsrsd rewrites the senders of what home forwards to this relay:', onHost(srsLines(settings, server))]
        : []),
    ]),
  ];
}

/** An init script's restart does not wait until the old process has ended, and then starts none. */
const restart = 'service postsrsd restart && sleep 1 && service postsrsd start';
const [begin, end] = ['# relaycerts: begin', '# relaycerts: end'];

function srsLines(settings: Settings, { hostname }: SmtpdServer): readonly string[] {
  const own = [begin, `SRS_DOMAIN=${hostname}`, `SRS_EXCLUDE_DOMAINS=${srsExcluded(settings).join(',')}`, end];
  return [
    `sed -i '/^${begin}$/,/^${end}$/d' /etc/default/postsrsd`,
    "cat >>/etc/default/postsrsd <<'END'",
    ...own,
    'END',
    restart,
  ];
}

/** What takes it out again, in a relay's undo. */
export function undoPort25Lines(settings: Settings, server: SmtpdServer): readonly string[] {
  const { relayPort25: port25 } = settings;
  if (port25 === undefined) return [];
  const { main, tokens, files } = port25Of(settings, server);
  const names = [...listsOf(tokens).keys()].join(' ');
  const empty = tokens.length === 0 ? [] : [`$(postconf -n ${names} | sed -n 's/ =$//p')`];
  return [
    ...(port25.postscreen ? noPostscreenLines(settings.postfix.masterChroot) : []),
    ...takingOutLines(tokens),
    ...(main.length + tokens.length === 0
      ? []
      : [`postconf -X ${[...main.map(({ name }) => name), ...empty].join(' ')}`]),
    ...(files.length === 0 ? [] : [`rm -f ${files.map(({ name }) => `/etc/postfix/${name}`).join(' ')}`]),
    ...(port25.srs ? [`sed -i '/^${begin}$/,/^${end}$/d' /etc/default/postsrsd`, restart] : []),
  ];
}
