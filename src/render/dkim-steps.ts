// What a person does by hand for a host that signs mail: OpenDKIM's files, the unit, and their inverse. dkim.sh does
// the same, with checks.

import { dkimNames, isSigner } from '../plan/dkim.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { dkimFolder, dkimUnit, homeMilter, milterLists } from './dkim.js';
import { onHost, step, type Step } from './step.js';

/** The step before Postfix uses the signer; none if the host does not sign. */
export function dkimSteps(settings: Settings, host: HostSettings): readonly Step[] {
  if (!isSigner(settings, host)) return [];
  const { directory } = settings.postfix;
  const [folder, unit] = [dkimFolder(settings), dkimUnit(settings)];
  const place = 'install -o root -g opendkim -m 0640';
  const keys = String.raw`s/^\([^ ]*\) [^:]*:[^:]*:\(.*\)$/\1 \2/`;
  return [
    step('dkim', 'Set up OpenDKIM, which signs the mail', [
      `The package opendkim is needed (apt-get install opendkim). This is a separate instance: any other one on ${host.hostname} stays as it is. The DNS record of the key:\n    ${settings.program} dns`,
      onHost([
        'id opendkim &&',
        `  mkdir -p -m 0755 ${folder.slice(0, folder.lastIndexOf('/'))} &&`,
        `  mkdir -p -m 0750 ${folder} &&`,
        `  chown root:opendkim ${folder} &&`,
        `  sed ${shellWord(keys)} ${directory}/${dkimNames.keyTable} | while read -r domain path; do`,
        `    ${place} ${directory}/"$domain".dkim.key.pem "$path"`,
        '  done',
        'for file in SigningTable KeyTable conf; do',
        `  ${place} ${directory}/opendkim.$file ${folder}/"$(echo $file | sed s/conf/opendkim.conf/)"`,
        'done',
        'if test -d /run/systemd/system; then',
        `  install -m 0644 ${directory}/${dkimNames.unit} /etc/systemd/system/${unit} &&`,
        '    systemctl daemon-reload &&',
        `    systemctl enable ${unit} &&`,
        `    systemctl restart ${unit}`,
        'else',
        `  ${endCommand(folder)}`,
        `  opendkim -x ${folder}/${dkimNames.configuration}`,
        'fi',
      ]),
      ...homeParts(settings, host),
      'Without systemd, run the last command at every boot. While OpenDKIM does not answer, mail waits at home.',
    ]),
  ];
}

/** At home, the milter comes after those that main.cf has. */
function homeParts(settings: Settings, host: HostSettings): Step['parts'] {
  const token = homeMilter(settings, host);
  if (token === undefined) return [];
  return [
    'Postfix passes it what is sent from here and what logged-in users send; existing milters stay:',
    onHost([
      `for name in ${milterLists.join(' ')}; do`,
      '  old=$(postconf -h $name)',
      '  case $old in',
      `    *${shellWord(token)}*) ;;`,
      `    *) postconf -e "$name = \${old:+$old, }"${shellWord(token)} ;;`,
      '  esac',
      'done',
    ]),
  ];
}

/** The lines that take the milter out of main.cf again. */
export function undoMilterLines(settings: Settings, host: HostSettings): readonly string[] {
  const token = homeMilter(settings, host);
  if (token === undefined) return [];
  return [
    `for name in ${milterLists.join(' ')}; do`,
    `  old=$(postconf -h $name | sed ${shellWord(`s/[, ]*${token}//`)})`,
    '  if test -n "$old"; then postconf -e "$name = $old"; else postconf -X $name; fi',
    'done',
  ];
}

/** The lines that remove it, once Postfix no longer uses it; none if the host does not sign. */
export function undoDkimLines(settings: Settings, host: HostSettings): readonly string[] {
  if (!isSigner(settings, host)) return [];
  const [folder, unit] = [dkimFolder(settings), dkimUnit(settings)];
  return [
    `test ! -d /run/systemd/system || systemctl disable --now ${unit}`,
    endCommand(folder),
    `rm -rf ${folder} /etc/systemd/system/${unit}`,
    `rmdir ${folder.slice(0, folder.lastIndexOf('/'))} || :`,
  ];
}

/** Waits until it has ended, because the next one needs its port. */
function endCommand(folder: string): string {
  const pattern = shellWord(`^[^ ]*opendkim .*-x ${folder}/${dkimNames.configuration}`);
  return `while pkill -f ${pattern}; do sleep 1; done`;
}
