// The script of a home host with a mail program other than Postfix: the values and texts of home-programs.ts for
// home-program.sh, quoted, or as lines of here-documents, as script.ts prints them for Postfix.

import type { HostSettings, Settings } from '../settings/settings.js';
import { scriptCommand } from './commands.js';
import { eximHosts, type Edit, type HomeProgram } from './home-programs.js';
import homeProgram from './home-program.sh';

/** The values and functions for the script, in addition to those for every host. */
export function programPart(settings: Settings, host: HostSettings, program: HomeProgram, forceRoutes: boolean) {
  const { title, command, oldest, service, action, access, edits, relays, functions } = program;
  return {
    values: {
      purpose: 'sslclient',
      edited: edits.map(({ file }) => pathOf(file)).join(' '),
      title,
      command,
      package: program.package,
      oldest,
      service,
      action,
      access,
      user: program.user,
      user_hint: `install ${title}, or name the user that runs it in the settings: "programUser"`,
      config_hint: `${settings.program} show ${host.hostname} --section config`,
      routes: eximHosts(relays).join(':'),
      force_routes: forceRoutes ? 'yes' : 'no',
      force_hint: scriptCommand(settings.program, host, ['--force-routes']),
      active: `${title} sends its mail to ${relays.map(({ hostname, port }) => `${hostname}:${port}`).join(', then ')} over verified TLS; ${program.log}`,
    },
    texts: `# For each file below /: where our lines go, the lines, and what else is changed.
${byFile('place_of', edits, ({ place }) => [`echo ${place}`])}

${byFile('text_of', edits, ({ lines }) => hereDocument(lines))}

${byFile('sed_of', edits, ({ sed = '' }) => hereDocument([sed]))}
`,
    functions: `${homeProgram}\n${functions}`,
  };
}

/** A shell function with a branch for each file. */
function byFile(name: string, edits: readonly Edit[], linesOf: (edit: Edit) => readonly string[]): string {
  const branches = edits.map((edit) => `    ${pathOf(edit.file)})\n${linesOf(edit).join('\n')}\n      ;;`);
  return [`${name}() {`, '  case $1 in', ...branches, '  esac', '}'].join('\n');
}

function hereDocument(lines: readonly string[]): readonly string[] {
  return ["cat <<'END'", ...lines, 'END'];
}

/** As in `edited`: without a leading slash. */
function pathOf(file: string): string {
  return file.replace(/^\//u, '');
}
