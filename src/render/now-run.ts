// The short block at the end of every command that changes something: what to run now, in the safe order. It has at
// most ten lines, however many hosts there are; each indented line can be run as it is. `show` has the full text.

import { commandText } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import { hostsIn, type Install } from '../plan/install.js';
import type { Inventory } from '../plan/inventory.js';
import { newThing, toRetire } from '../plan/retirement.js';
import { hostsOf, type HostSettings, type Role, type Settings } from '../settings/settings.js';

/** Words, and the commands they introduce. */
export interface Paragraph {
  readonly words: string;
  readonly run: readonly string[];
}

/**
 * Up to this many hosts are named in a command. With more, the command is about all hosts; what is already there does
 * not change.
 */
const mostNamed = 4;
const mostExports = 2;

/** The block: text as it is, and paragraphs if there is something to run. */
export function renderNowRun(...parts: readonly (string | Paragraph)[]): string {
  return parts
    .flatMap((part) => {
      if (typeof part === 'string') return [part];
      return part.run.length === 0 ? [] : [part.words, ...part.run.map((line) => `  ${line}`)];
    })
    .map((line) => `${line}\n`)
    .join('');
}

/** What to run once certificates, keys or tables are new; `pending` are clients whose old pin is still listed. */
export function renderInstallation(
  settings: Settings,
  after: Inventory,
  install: readonly Install[],
  pending: readonly HostName[] = [],
): string {
  return renderNowRun(
    installParagraph(settings, hostsIn(install)),
    verifyParagraph(settings, install),
    retireParagraph(settings, after, [...hostsIn(install), ...pending]),
  );
}

/**
 * Installs these hosts; deploy knows the order. With `isAll` it names none, because others may have to come first, and
 * finds by itself what is not installed, revoked or not made yet.
 */
export function installParagraph(
  settings: Settings,
  names: readonly HostName[],
  words = 'Now run:',
  isAll = names.length === hostsOf(settings).length || names.length > mostNamed,
): Paragraph {
  const containers = hostsOf(settings).filter((one) => one.container !== undefined && names.includes(one.hostname));
  const others = names.filter((name) => !containers.some(({ hostname }) => hostname === name));
  const command = commandText(settings.program, ['deploy', ...(isAll ? [] : shortNames(settings, others))]);
  const exports = (role: Role): readonly string[] => exportsOf(settings, containers, role);
  return {
    words,
    run: [...exports('smtpd-server'), ...(others.length === 0 ? [] : [command]), ...exports('smtp-client')],
  };
}

/** Containers are not deployed to: the command for each, or what lists them. */
function exportsOf(settings: Settings, containers: readonly HostSettings[], role: Role): readonly string[] {
  const names = containers.filter((one) => one.role === role).map(({ hostname }) => hostname);
  if (names.length > mostExports) return [commandText(settings.program, ['status', '--state', 'not-installed'])];
  return shortNames(settings, names).map((name) => commandText(settings.program, ['export', 'docker', name]));
}

/** Shows that a new client can relay. */
function verifyParagraph(settings: Settings, install: readonly Install[]): Paragraph {
  const clients = new Set(settings.smtpClients.map(({ hostname }) => hostname));
  const one = install.find(({ host, why }) => clients.has(host) && why.includes('key'));
  const words = 'Then check that mail flows:';
  if (one === undefined) return { words, run: [] };
  return {
    words,
    run: [commandText(settings.program, ['show', ...shortNames(settings, [one.host]), '--section', 'verify'])],
  };
}

/** Removes these hosts' old pins from the tables. */
function retireParagraph(settings: Settings, after: Inventory, names: readonly HostName[]): Paragraph {
  const retire = toRetire(after, names);
  const all = toRetire(
    after,
    after.hosts.map(({ host }) => host.hostname),
  );
  const isAll = retire.length === all.length && retire.length > mostNamed;
  const isRetired = new Set(retire);
  const things = new Set(
    hostsOf(settings)
      .filter(({ hostname }) => isRetired.has(hostname))
      .map((host) => newThing(settings, host)),
  );
  const thing = things.has('certificate') ? 'certificate' : 'key';
  const words = ['retire', ...(isAll ? [] : shortNames(settings, retire))];
  return {
    words: `Once mail flows with the new ${thing}, run:`,
    run: retire.length === 0 ? [] : [commandText(settings.program, words)],
  };
}

/** Hosts as they may be typed: by label, if completing it gives the name. */
export function shortNames({ domain }: Pick<Settings, 'domain'>, names: readonly HostName[]): readonly string[] {
  return names.map((name) => {
    const label = name.split('.')[0] ?? '';
    return findHostName(label, domain) === name ? label : name;
  });
}
