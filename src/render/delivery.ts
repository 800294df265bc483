// What `deploy` sends to a host: an archive with files of its bundle and the script that installs them, and the command
// that runs there (receive.sh). The key is only in the archive, which goes through ssh's stdin.

import { bundleFiles, bundleNames, configurationFiles, scriptNames, type KeyPlace } from '../plan/bundle-names.js';
import type { VisitFiles } from '../plan/deployment.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { assignments } from '../shell-word.js';
import { writeTar } from '../store/tar.js';
import failure from './failure.sh';
import nextFolder from './next-folder.sh';
import parents from './parents.sh';
import { lookPart } from './probe-from.js';
import receive from './receive.sh';
import { renderScript } from './script.js';

export interface Delivery {
  /** For a root shell on the host, with `input` on its stdin. */
  readonly script: string;
  readonly input: Buffer;
}

/** `bundle` is the host's, by file name. */
export function renderDelivery(
  settings: Settings,
  host: HostSettings,
  bundle: ReadonlyMap<string, Buffer>,
  {
    files: visit,
    keyPlace,
    forceRoutes,
    at,
  }: {
    readonly files: VisitFiles;
    readonly keyPlace: KeyPlace;
    readonly forceRoutes: boolean;
    readonly at: Date;
  },
): Delivery {
  const { key, certificate, chain } = bundleNames(settings.domain, host.hostname);
  const isSent = (name: string): boolean => visit === 'all' || ![key, certificate, chain].includes(name);
  const sent = [...bundle].filter(([name]) => isSent(name));
  const look = host.role === 'smtp-client' ? lookPart(settings, host) : '';
  const script = renderScript(settings, host, { undo: false, forceRoutes, keyPlace, look });
  const renewable = bundleFiles(settings, host, 'here').filter((name) => !configurationFiles.includes(name));
  const files = new Map<string, Buffer>([
    ...sent,
    [scriptNames.install, Buffer.from(script)],
    [scriptNames.receive, Buffer.from(receiver(settings, renewable))],
  ]);
  const archive = writeTar(
    [...files].map(([name, bytes]) => ({ name, bytes, mode: 0o600 })),
    at,
  );
  return {
    script: receiver(settings, []),
    input: Buffer.concat([Buffer.from(`archive ${archive.length}\n`), archive]),
  };
}

/** receive.sh for all files, or only for these. */
function receiver({ postfix }: Settings, only: readonly string[]): string {
  const values = { folder: postfix.directory, only: only.join(' '), configuration: configurationFiles.join(' ') };
  const lines = assignments(values);
  return [...lines, failure, parents, nextFolder, receive].join('\n');
}

/** The script that undoes a host, for a root shell there. */
export function renderTakeBack(settings: Settings, host: HostSettings, keyPlace: KeyPlace): string {
  const script = renderScript(settings, host, { undo: true, forceRoutes: false, keyPlace });
  // As in receive.sh.
  return `RELAYCERTS_DEPLOY=yes\n${script}`;
}

/** The line with which the script asks whether to keep what it installed (arrival.sh); a login may print before it. */
export function asksForVerdict(line: string): boolean {
  return line.includes('relaycerts: waiting for the verdict on ');
}

/** The first outcome that a script told (failure.sh); undefined if it told none of these. */
export function toldOutcome(stdout: string): string | undefined {
  const told = /relaycerts: outcome: ([a-z-]+)$/mu.exec(stdout)?.[1];
  return outcomes.find((one) => one === told);
}

/** Why a script failed, in its own words, and what it could not restore; undefined if it told no error. */
export function toldReason(stderr: string): string | undefined {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const told = lines.flatMap((line) => /^relaycerts: error: (.*)$/u.exec(line)?.slice(1) ?? []);
  const errors = [...new Set(told)];
  // The last words of frame.sh. A command that failed has told the reason before.
  const last = errors.filter((error) => error.startsWith('it failed; '));
  const own = errors.filter((error) => !last.includes(error));
  const foreign = lines.filter((line) => !line.startsWith('relaycerts: ')).slice(-1);
  const reasons = own.length > 0 || last.length === 0 ? own : foreign;
  const left = last.filter((error) => reasons.length === 0 || !error.endsWith(' is as it was before'));
  return [...reasons, ...left].join('; ') || undefined;
}

/** The files of the configuration that a host kept, because the ssh key may only renew, and that differ from ours. */
export function keptFiles(stdout: string): readonly string[] {
  const told = /relaycerts: kept:([ \w.]+)$/mu.exec(stdout)?.[1]?.split(' ') ?? [];
  return configurationFiles.filter((name) => told.includes(name));
}

/** What a script may tell; each id is that of a finding. */
const outcomes = [
  'changed',
  'unchanged',
  'disk-full',
  'postfix-missing',
  'postfix-old',
  'postfix-check',
  'port-taken',
  'route-stops',
  'route-around',
  'reload-failed',
  'key-limited',
  'expired',
] as const;
