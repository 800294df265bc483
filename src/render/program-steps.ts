// The numbered steps of a home host with a mail program other than Postfix, in addition to those for every host: who
// reads the key, our lines in its files, and how it picks them up; and their inverse.

import { bundleNames } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import type { Edit, HomeProgram } from './home-programs.js';
import { removeMonitorLines } from './monitor.js';
import { onHost, step, type Step } from './step.js';

/** Around our lines in a file that also has others; the same as in home-program.sh. */
const [begin, end] = ['# relaycerts: begin', '# relaycerts: end'];

/** After the copy: give the key to the program's user, configure, check. */
export function programSteps(settings: Settings, host: HostSettings, program: HomeProgram): readonly Step[] {
  const { title, edits, limits, check } = program;
  const { directory } = settings.postfix;
  const names = bundleNames(settings.domain, host.hostname);
  const relays = program.relays.map(({ hostname, port }) => `${hostname}, port ${port}`);
  const few = `${title} can use only one relay: the first in the settings.`;
  const taken = [
    `openssl verify -CAfile ${directory}/${names.ca} -purpose sslclient ${directory}/${names.certificate}`,
    ...check,
    ...serviceLines(program),
  ];
  return [
    step('config', `Send the mail of ${title} through the relay`, [
      `All mail that ${host.hostname} does not deliver itself goes to ${relays.join('; then to ')}. ${title} checks the relay's name and CA; every failure is temporary, and nothing is sent in plain text.`,
      ...(relays.length < settings.smtpdServers.length ? [few] : []),
      ...limits,
      ...(program.user === 'root' ? [] : [onHost(keyLines(settings, host, program))]),
      ...edits.map((edit) => onHost(editLines(edit))),
    ]),
    step('install', 'Check and activate', [
      `The first command must say "OK".`,
      onHost(taken.map((line, at) => `${at === 0 ? '' : '  '}${line}${at === taken.length - 1 ? '' : ' &&'}`)),
    ]),
  ];
}

/** What undoes the steps, or the script. */
export function undoProgramStep(settings: Settings, host: HostSettings, program: HomeProgram): Step {
  const { directory } = settings.postfix;
  const { chain } = bundleNames(settings.domain, host.hostname);
  return step('install', 'Remove the configuration', [
    'If the numbered steps configured it: this restores the old files.',
    onHost([
      ...program.edits.map(
        ({ file }) => `if test -e ${savedFile(file)}; then mv ${savedFile(file)} ${file}; else rm -f ${file}; fi`,
      ),
      ...removeMonitorLines(settings, host),
      `chown 0:0 ${directory} ${directory}/${chain} && chmod 600 ${directory}/${chain} && chmod 700 ${directory}`,
      ...program.check,
      ...serviceLines(program),
    ]),
    `The key and certificates stay on the host: rm -r ${directory}`,
  ]);
}

function serviceLines({ service, action }: HomeProgram): readonly string[] {
  return service === '' ? [] : [`service ${service} ${action}`];
}

/** The owner is set before the mode, so that nobody else reads the key meanwhile. The copy made all files 0600. */
function keyLines(settings: Settings, { hostname }: HostSettings, { access, user }: HomeProgram) {
  const { directory } = settings.postfix;
  const { ca, chain } = bundleNames(settings.domain, hostname);
  const group = `"$(id -g ${user})"`;
  return [
    '(',
    `  cd ${directory} || exit`,
    `  chgrp ${group} . && chmod 710 .`,
    `  chmod 644 ${ca}`,
    access === 'group' ? `  chgrp ${group} ${chain} && chmod 640 ${chain}` : `  chown ${user} ${chain}`,
    ')',
  ];
}

/** Always from the original file, so that the lines may be pasted again. */
function editLines({ file, place, lines, sed }: Edit): readonly string[] {
  const saved = savedFile(file);
  const ours = ["cat <<'END'", ...(place === 'alone' ? lines : marked(lines)), 'END'];
  // The script may have written it.
  const changes = [`-e '/^${begin}$/,/^${end}$/d'`, ...(sed === undefined ? [] : [`-e ${shellWord(sed)}`])];
  const theirs = `test ! -e ${saved} || sed ${changes.join(' ')} ${saved}`;
  return [
    `test ! -e ${file} || test -e ${saved} || cp -p ${file} ${saved}`,
    '{',
    ...(place === 'alone' ? ours : place === 'first' ? [...ours, theirs] : [theirs, ...ours]),
    `} >${file}`,
  ];
}

function marked(lines: readonly string[]): readonly string[] {
  return [begin, ...lines, end];
}

function savedFile(file: string): string {
  return `${file}.before-relaycerts`;
}
