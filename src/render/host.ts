// Everything that `show` prints for one host, in each format.
//
// The text's markers, one grammar for eyes and programs:
//   # >>> relaycerts: run here                    commands for the machine that relaycerts runs on
//   # >>> relaycerts: run on HOST as root         commands for that host
//   # >>> relaycerts: FILE on HOST                lines of a file there
//   # <<< relaycerts
// All that stands between two markers is copied as it is; the markers are comments to sh and to Postfix.

import { RelaycertsError } from '../errors.js';
import type { KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import type { Pin } from './pin.js';
import { requestLines, requestStep } from './request.js';
import { renderScript } from './script.js';
import type { Format, Section } from './sections.js';
import { sections } from './sections.js';
import { scriptCommand } from './commands.js';
import type { Block, Step } from './step.js';
import { copyCommand, fileOf, stepsOf } from './steps.js';

export interface RenderOptions {
  readonly section?: Section;
  readonly format: Format;
  readonly undo: boolean;
  readonly keyPlace: KeyPlace;
  /** True of a host that is to come back: then its old key goes first. */
  readonly isRevoked: boolean;
}

/** The text, script or JSON of one host. @throws usage - a section that has no script */
export function renderHost(
  settings: Settings,
  host: HostSettings,
  pins: readonly Pin[],
  options: RenderOptions,
): string {
  switch (options.format) {
    case 'sh':
      return renderSh(settings, host, pins, options);
    case 'json':
      return `${JSON.stringify(jsonOf(settings, host, pins, options), undefined, 2)}\n`;
    case 'text':
      return options.section === undefined
        ? renderAll(settings, host, pins, options)
        : renderSection(settings, host, pins, options.section, options);
  }
}

/** The steps of a host; the request has its step for every host that is asked for it. */
function wantedSteps(
  settings: Settings,
  host: HostSettings,
  pins: readonly Pin[],
  { section, undo, keyPlace, isRevoked }: Omit<RenderOptions, 'format'>,
): readonly Step[] {
  if (section === 'request' && !undo) return [requestStep(settings, host, isRevoked)];
  return stepsOf(settings, host, pins, { undo, keyPlace });
}

function renderAll(settings: Settings, host: HostSettings, pins: readonly Pin[], options: RenderOptions): string {
  const { undo, keyPlace } = options;
  const { hostname } = host;
  const what =
    host.role === 'smtp-client'
      ? `smtp-client, sends through ${settings.smtpdServers.map((server) => server.hostname).join(', ')}`
      : `smtpd-server, relays on port ${host.port}`;
  const title = `${hostname}: ${what}`;
  const command = scriptCommand(settings.program, host, undo);
  const short = undo
    ? `Where the script configured it, the script takes it back, every setting by itself:\n    ${command}`
    : `${keyPlace === 'here' ? 'After step 1, one script does steps 2 and 3' : 'After the first command of step 2, one script does the rest of it and steps 3 and 4'}, with more checks, and may be run again at any time:\n    ${command}`;
  const steps = wantedSteps(settings, host, pins, options).map(
    (step, at) => `${at + 1}. ${step.title}\n\n${renderParts(step, host)}`,
  );
  return `${title}\n${'='.repeat(title.length)}\n\n${short}\n\n${steps.join('\n')}\n`;
}

/** A section for eyes: a configuration file's lines where it is about one, otherwise its step. */
function renderSection(
  settings: Settings,
  host: HostSettings,
  pins: readonly Pin[],
  section: Section,
  options: RenderOptions,
): string {
  const { undo } = options;
  const file = undo ? undefined : fileOf(settings, host, section, pins);
  if (file !== undefined) return `${renderBlock(file, host)}\n`;
  const step = wantedSteps(settings, host, pins, options).find((one) => one.section === section);
  return step === undefined
    ? `# ${host.hostname} (${host.role}): nothing to do in ${section}\n`
    : `${renderParts(step, host)}\n`;
}

function renderParts({ parts }: Step, host: HostSettings): string {
  return parts.map((part) => `${typeof part === 'string' ? wrap(part) : renderBlock(part, host)}\n`).join('\n');
}

function renderBlock({ where, lines }: Block, { hostname }: HostSettings): string {
  const place =
    where === 'here' ? 'run here' : where === 'host' ? `run on ${hostname} as root` : `${where.file} on ${hostname}`;
  return [`# >>> relaycerts: ${place}`, ...lines, '# <<< relaycerts'].join('\n');
}

function renderSh(settings: Settings, host: HostSettings, pins: readonly Pin[], options: RenderOptions): string {
  const { section, undo, keyPlace, isRevoked } = options;
  if (section === undefined || section === 'install') return renderScript(settings, host, { undo, keyPlace });
  if (section === 'rsync' && !undo) return inBraces(copyCommand(settings, host, keyPlace));
  if (section === 'request' && !undo) return inBraces(requestLines(settings, host, isRevoked));
  const step = undo ? undefined : wantedSteps(settings, host, pins, options).find((one) => one.section === section);
  if (step !== undefined && (section === 'monitor' || section === 'verify')) {
    return inBraces(
      step.parts.flatMap((part) => (typeof part === 'string' || typeof part.where !== 'string' ? [] : part.lines)),
    );
  }
  throw new RelaycertsError('usage', `${undo ? 'the inverse of ' : ''}section ${section} has no script of its own`, {
    hint: `relaycerts show ${host.hostname} --format sh${undo ? ' --undo' : ''}, or --format text`,
  });
}

/** A script of these lines; one that a pipe cuts short runs nothing, because the closing brace is missing. */
function inBraces(lines: readonly string[]): string {
  return `#!/bin/sh\n{\nset -eu\n${lines.join('\n')}\n}\n`;
}

function jsonOf(settings: Settings, host: HostSettings, pins: readonly Pin[], options: RenderOptions): unknown {
  const { section, undo, keyPlace } = options;
  const wanted = section === undefined ? sections : [section];
  const steps = wantedSteps(settings, host, pins, options);
  return {
    host: host.hostname,
    role: host.role,
    undo,
    sections: Object.fromEntries(
      wanted.flatMap((name) => {
        const file = undo ? undefined : fileOf(settings, host, name, pins);
        const step = steps.find((one) => one.section === name);
        const blocks = step?.parts.flatMap((part) => (typeof part === 'string' ? [] : [jsonBlock(part)])) ?? [];
        if (file === undefined && step === undefined) return [];
        return [[name, { ...(file === undefined ? {} : { text: `${file.lines.join('\n')}\n` }), blocks }]];
      }),
    ),
    ...(section === undefined ? { script: renderScript(settings, host, { undo, keyPlace }) } : {}),
  };
}

function jsonBlock({ where, lines }: Block): unknown {
  return { where: typeof where === 'string' ? where : where.file, text: `${lines.join('\n')}\n` };
}

/** Words at most 100 columns wide; blocks are never wrapped. */
function wrap(text: string): string {
  return text.split('\n').map(wrapLine).join('\n');
}

/** An indented line is a command in the middle of words. */
function wrapLine(text: string): string {
  if (text.startsWith('    ')) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 100) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}
