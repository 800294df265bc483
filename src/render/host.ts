// Everything that `show` prints for one host, in each format.
//
// The text's markers, one grammar for eyes and programs:
//   # >>> relaycerts: run here                    commands for the machine that relaycerts runs on
//   # >>> relaycerts: run on HOST as root         commands for that host
//   # >>> relaycerts: FILE on HOST                lines of a file there
//   # <<< relaycerts
// Everything between two markers is copied as it is; the markers are comments to sh and Postfix.

import { RelaycertsError } from '../errors.js';
import type { KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import type { Pin } from './pin.js';
import { fail2banStep } from './fail2ban.js';
import { firewallStep } from './firewall.js';
import { monitorStep } from './monitor.js';
import { requestStep } from './request.js';
import { renderScript } from './script.js';
import { sections, type Section } from './sections.js';
import { scriptCommand } from './commands.js';
import { marked, placeOf, wrapWords, type Block, type Step } from './step.js';
import { fileOf, stepsOf } from './steps.js';

export interface RenderOptions {
  /** Undefined: all of them. */
  readonly section: Section | undefined;
  readonly undo: boolean;
  readonly forceRoutes: boolean;
  readonly keyPlace: KeyPlace;
  /** True for a host that will come back: its old key goes first. */
  readonly isRevoked: boolean;
}

/** What is printed about a host and its sources: its steps, and its text for a section. */
export interface Shown extends RenderOptions {
  readonly settings: Settings;
  readonly host: HostSettings;
  readonly steps: readonly Step[];
  /** The lines of the configuration file that a section is about; undefined if it has none. */
  readonly fileFor: (section: Section) => Block | undefined;
}

/** Everything that can be printed about one host. */
export function showHost(settings: Settings, host: HostSettings, pins: readonly Pin[], options: RenderOptions): Shown {
  const { undo } = options;
  const steps = (undo ? undefined : stepOnDemand(settings, host, options)) ?? stepsOf(settings, host, pins, options);
  const fileFor = (name: Section) => (undo ? undefined : fileOf(settings, host, name, pins));
  return { ...options, settings, host, steps, fileFor };
}

/** A section that is printed only on request, and then for every host. */
function stepOnDemand(
  settings: Settings,
  host: HostSettings,
  { section, isRevoked }: RenderOptions,
): readonly Step[] | undefined {
  if (host.container !== undefined) return undefined;
  if (section === 'request') return [requestStep(settings, host, isRevoked)];
  if (section === 'monitor') return [monitorStep(settings, host)];
  if (section === 'fail2ban' && host.role === 'smtpd-server') return [fail2banStep(host)];
  if (section === 'firewall') return [firewallStep(settings, host)];
  return undefined;
}

/** As text: everything, or one section. */
export function renderText(shown: Shown): string {
  return shown.section === undefined ? renderAll(shown) : renderSection(shown, shown.section);
}

function renderAll({ settings, host, steps, undo, keyPlace }: Shown): string {
  // A port that is no longer in the settings is not known.
  const what = undo
    ? host.role
    : host.role === 'smtp-client'
      ? `smtp-client, sends through ${settings.smtpdServers.map((server) => server.hostname).join(', ')}`
      : `smtpd-server, relays on port ${host.port}`;
  const title = `${host.hostname}: ${what}`;
  const last = steps.findIndex(({ section }) => section === 'install') + 1;
  const scripted =
    keyPlace === 'here'
      ? `After step 1, one script does steps 2 to ${last}`
      : `After the first command of step 2, one script does the rest of it and steps 3 to ${last}`;
  const short = undo
    ? 'If the script configured it, use the script, which restores every setting'
    : `${scripted}, with more checks, and you can run it again at any time`;
  const texts = steps.map((step, at) => `${at + 1}. ${step.title}\n\n${renderParts(step, host)}`);
  if (host.container !== undefined) return `${title}\n${'='.repeat(title.length)}\n\n${texts.join('\n')}\n`;
  const command = scriptCommand(settings.program, host, undo ? ['--undo'] : []);
  return `${title}\n${'='.repeat(title.length)}\n\n${short}:\n    ${command}\n\n${texts.join('\n')}\n`;
}

/** A section as text: a configuration file's lines if it is about one, otherwise its step. */
function renderSection({ host, steps, fileFor }: Shown, section: Section): string {
  const file = fileFor(section);
  if (file !== undefined) return `${renderBlock(file, host)}\n`;
  const step = steps.find((one) => one.section === section);
  if (step === undefined) return `# ${host.hostname} (${host.role}): nothing to do in ${section}\n`;
  return `${renderParts(step, host)}\n`;
}

function renderParts({ parts }: Step, host: HostSettings): string {
  return parts
    .map(
      (part) => `${typeof part === 'string' ? part.split('\n').map(wrapLine).join('\n') : renderBlock(part, host)}\n`,
    )
    .join('\n');
}

function renderBlock(block: Block, { hostname }: HostSettings): string {
  return marked(placeOf(block, hostname), block.lines).join('\n');
}

function blocksOf(step: Step | undefined): readonly Block[] {
  return step?.parts.filter((part) => typeof part !== 'string') ?? [];
}

/**
 * The host's script, or the commands of one section: for verify all of them, otherwise those for the first place.
 * @throws usage - a section without a script
 */
export function renderSh(shown: Shown): string {
  const { settings, host, steps, section = 'install', undo } = shown;
  if (host.container !== undefined) {
    throw new RelaycertsError('usage', `${host.hostname} runs in a container, and has no script`, {
      hint: undo ? { run: ['show', host.hostname, '--undo'] } : { run: ['export', 'docker', host.hostname] },
    });
  }
  if (section === 'install') return renderScript(settings, host, shown);
  if (undo || !['rsync', 'request', 'monitor', 'verify'].includes(section)) {
    throw new RelaycertsError('usage', `${undo ? 'the inverse of ' : ''}section ${section} has no script of its own`, {
      hint: {
        run: ['show', host.hostname, '--format', 'sh', ...(undo ? ['--undo'] : [])],
        after: ', or --format text',
      },
    });
  }
  const blocks = blocksOf(steps.find((step) => step.section === section));
  const lines = (section === 'verify' ? blocks : blocks.slice(0, 1)).flatMap((block) => block.lines);
  // If the pipe is cut short, nothing runs, because the closing brace is missing.
  return `#!/bin/sh\n{\nset -eu\n${lines.join('\n')}\n}\n`;
}

/** The same as data. */
export function jsonOf(shown: Shown): unknown {
  const { settings, host, steps, fileFor, section, undo } = shown;
  const wanted = section === undefined ? sections : [section];
  const entries = wanted.flatMap((name) => {
    const file = fileFor(name);
    const step = steps.find((one) => one.section === name);
    if (file === undefined && step === undefined) return [];
    return [[name, { text: file === undefined ? null : textOf(file), blocks: blocksOf(step).map(jsonBlock) }] as const];
  });
  return {
    host: host.hostname,
    role: host.role,
    undo,
    sections: Object.fromEntries(entries),
    script: section === undefined && host.container === undefined ? renderScript(settings, host, shown) : null,
  };
}

function jsonBlock(block: Block): unknown {
  return { where: typeof block.where === 'string' ? block.where : block.where.file, text: textOf(block) };
}

function textOf({ lines }: Block): string {
  return `${lines.join('\n')}\n`;
}

/** Words, at most 100 columns wide. An indented line is a command between words, and is not wrapped. */
function wrapLine(text: string): string {
  if (text.startsWith('    ')) return text;
  return wrapWords(text.split(' '), 100).join('\n');
}
