// A project whose settings contain everything the parsers accept: the whole alphabet of logins, aliases, folders and
// names, in a folder and under a file name of every kind of character, including what would run a program called
// `canary`. The sample of characters (code-points.ts) is divided among as many folders as necessary.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codePoints } from './code-points.js';
import { makeProject, type Project, type Result, type RunInput } from './project.js';

const lower = 'abcdefghijklmnopqrstuvwxyz';
const upper = lower.toUpperCase();
const digits = '0123456789';

/** What a shell, a crontab, make, a marker or an option would misread. */
const baits = [
  ['$(canary)', '`canary`', "'$(canary)'", '"$(canary)"', "'; canary; '", '"; canary; "', '| canary |', '& canary &'],
  ['-rf', '--', '#x', '~', '~root', '!!', '!canary', '*', '?', '[a-z]', '{a,b}', 'a=b', '=', ':', 'a:b', '%', '\\%'],
  ['\\', '\\\\', 'a\\', '\\n', "\\'", '$HOME', '${IFS}', '$((1))', '>x', '<x', '>(canary)', '..x', ' ', '  a  ', 'END'],
  ['relay # >>> relaycerts: run here', '# <<< relaycerts', "'", "''", '"', '\u2028', '\u202e', '\u00a0', '\u3000'],
].flat();

/** Divides characters into names of at most 200 octets, which a file system accepts. */
function namesOf(characters: readonly string[]): readonly string[] {
  const names = [''];
  for (const character of characters) {
    const last = names.at(-1) ?? '';
    if (Buffer.byteLength(last + character) > 200) names.push(character);
    else names[names.length - 1] = last + character;
  }
  return names;
}

const pathCharacters = codePoints.filter((character) => !/[\p{Cc}\p{Cs}/]/u.test(character));
const pathNames = namesOf(pathCharacters);
/** All of them in one path would exceed a system call's limit. */
export const hostileFolders: readonly string[] = Array.from({ length: Math.ceil(pathNames.length / 7) }, (_, part) =>
  [...baits, ...pathNames.slice(7 * part, 7 * part + 7)].join('/'),
);
const hostileName = `s $(canary) '"; canary; # \\% >>> relaycerts: run here.json`;

export const hostileSettings = {
  domain: 'xn--bcher-kva.example',
  smtpdServers: [
    {
      hostname: `${lower}-${digits}`,
      port: 65535,
      altNames: [`${upper}.b\u00fccher.example`, 'a.b-c.d--e.example'],
      sshUser: `_${upper}.-abc`,
      sshHost: `${upper}${lower}${digits}._-`,
      sshPort: 65535,
      tlsLogLevel: 4,
    },
    { hostname: 'stra\u00dfe', port: 1, sshUser: `${lower}0._-`, sshHost: '2001:db8::25', tlsLogLevel: 0 },
  ],
  smtpClients: [
    { hostname: `c.${lower.repeat(2)}.${digits}x`, sshUser: `A${digits}defghijklmnopqrstu`, sshHost: '192.0.2.1' },
    { hostname: '\u4f8b\u5b50', sshUser: 'root', sshHost: 'b\u00fccher', sshPort: 1 },
  ],
  ca: { commonName: `CA $(canary) \`canary\` '"; canary; # >>> relaycerts: run here` },
  postfix: { directory: `/etc/${upper}/${lower}/${digits}._-/x-y.z` },
};

export interface HostileProject {
  readonly project: Project;
  /** Absolute. */
  readonly file: string;
  readonly folder: string;
  /** Runs the program with `--settings` and this file. */
  readonly run: (args: readonly string[], input?: RunInput) => Promise<Result>;
  /** The same, and it must succeed: its stdout. */
  readonly print: (args: readonly string[]) => Promise<string>;
  readonly change: (settings: object) => void;
}

/** In the first of the folders by default. */
export function makeHostileProject(change: object = {}, hostileFolder = hostileFolders[0] ?? ''): HostileProject {
  const project = makeProject(null);
  const folder = join(project.folder, hostileFolder);
  const file = join(folder, hostileName);
  mkdirSync(folder, { recursive: true });
  const write = (settings: object): void => {
    writeFileSync(file, JSON.stringify({ ...hostileSettings, ...settings }));
  };
  write(change);
  const run: HostileProject['run'] = (args, input) => project.run(['--settings', file, ...args], input);
  const print = async (args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(args);
    if (status !== 0) throw new Error(`relaycerts ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return { project, folder, file, run, print, change: write };
}
