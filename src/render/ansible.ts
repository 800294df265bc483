// `export ansible`: an inventory, a playbook and a role that install on each host what `deploy` would, by path and text.
// Nothing in it is secret: the role reads the bundles of this project when it runs. Values are YAML in the form of JSON
// strings, and Ansible takes none of them for a template.

import { writeJson } from '../json-text.js';
import { bundleFiles } from '../plan/bundle-names.js';
import { isSigner } from '../plan/dkim.js';
import type { CertifiedHost } from '../plan/inventory.js';
import type { HostSettings, Role, Settings } from '../settings/settings.js';
import { pathWord, shellWord } from '../shell-word.js';
import playbook from './ansible-playbook.yml';
import tasks from './ansible-tasks.yml';
import vars from './ansible-vars.yml';
import failure from './failure.sh';
import look from './look.sh';
import nextFolder from './next-folder.sh';
import parents from './parents.sh';
import receive from './receive-lines.sh';
import { scriptHalves } from './script.js';

const role = 'roles/relaycerts';

/** The files by path; `bundles` is the folder with each host's bundle, an absolute path. */
export function renderAnsible(
  settings: Settings,
  hosts: readonly CertifiedHost[],
  bundles: string,
): ReadonlyMap<string, string> {
  const folder = `folder=${shellWord(settings.postfix.directory)}\n`;
  const files = new Map([
    ['inventory.yml', inventoryOf(settings, hosts, bundles)],
    ['playbook.yml', playbook],
    [`${role}/tasks/main.yml`, tasks],
    [`${role}/vars/main.yml`, vars],
    [`${role}/files/look.sh`, look],
    [`${role}/files/receive.sh`, [folder, failure, parents, nextFolder, receive].join('\n')],
  ]);
  for (const { host, keyPlace } of hosts) {
    const { values, functions } = scriptHalves(settings, host, keyPlace);
    const path = `${role}/files/${kindOf(settings, host)}.sh`;
    if ((files.get(path) ?? functions) !== functions) throw new TypeError(`two hosts need another ${path}`);
    files.set(path, functions);
    files.set(`${role}/files/hosts/${host.hostname}.sh`, values);
  }
  return new Map([...files].map(([path, text]) => [path, `# Made by relaycerts export ansible.\n${text}`]));
}

/** Hosts of one kind have the same functions in their scripts. */
function kindOf(settings: Settings, host: HostSettings): string {
  const program = host.role === 'smtp-client' && host.program !== 'postfix' ? [host.program] : [];
  const parts = [...(host.isInbound ? ['inbound'] : []), ...(isSigner(settings, host) ? ['dkim'] : [])];
  return [host.role, ...program, ...parts].join('-');
}

const groups: readonly (readonly [Role, string])[] = [
  ['smtpd-server', 'relaycerts_relays'],
  ['smtp-client', 'relaycerts_homes'],
];

function inventoryOf(settings: Settings, hosts: readonly CertifiedHost[], bundles: string): string {
  const { command, file } = settings;
  const lines = groups.flatMap(([one, name]) => [
    `    ${name}:`,
    '      hosts:',
    ...hosts.filter(({ host }) => host.role === one).flatMap((found) => hostLines(settings, found)),
  ]);
  return `---
relaycerts:
  vars:
    # Keys then go through ssh only, and not through a temporary file on the host.
    ansible_pipelining: true
    relaycerts_bundles: ${yamlText(bundles)}
    # Shell words.
    relaycerts_command: ${yamlText(command)}
    relaycerts_settings: ${yamlText(pathWord(file))}
  children:
${lines.join('\n')}
`;
}

function hostLines(settings: Settings, { host, keyPlace }: CertifiedHost): readonly string[] {
  const { isLocal, needsSudo, host: address, user, port } = host.ssh;
  const way = isLocal
    ? ['ansible_connection: local']
    : [
        `ansible_host: ${yamlText(address)}`,
        `ansible_user: ${yamlText(user)}`,
        // As in every printed command: otherwise ssh_config may name it.
        ...(port === 22 ? [] : [`ansible_port: ${port}`]),
      ];
  const facts = [
    ...way,
    `relaycerts_sudo: ${needsSudo}`,
    `relaycerts_kind: ${yamlText(kindOf(settings, host))}`,
    'relaycerts_files:',
    ...bundleFiles(settings, host, keyPlace).map((name) => `  - ${yamlText(name)}`),
  ];
  return [`        ${yamlText(host.hostname)}:`, ...facts.map((line) => `          ${line}`)];
}

/** A text as YAML. */
function yamlText(text: string): string {
  return `${/\{[{%#]/u.test(text) ? '!unsafe ' : ''}${writeJson(text)}`;
}
