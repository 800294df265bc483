// What `deploy` sends to a host: an archive with files of its bundle and the script that installs them, and the command
// that runs there (receive.sh). The key is only in the archive, which goes through ssh's stdin.

import { bundleFiles, bundleNames, type KeyPlace } from '../plan/bundle-names.js';
import type { VisitFiles } from '../plan/deployment.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { writeTar } from '../store/tar.js';
import parents from './parents.sh';
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
  const script = renderScript(settings, host, { undo: false, forceRoutes, keyPlace });
  const files = new Map<string, Buffer>([
    ...sent,
    ['install.sh', Buffer.from(script)],
    ['receive.sh', Buffer.from(receiver(settings, bundleFiles(settings, host, 'here')))],
  ]);
  const archive = writeTar(
    [...files].map(([name, bytes]) => ({ name, bytes, mode: 0o600 })),
    at,
  );
  return { script: receiver(settings, []), input: Buffer.concat([Buffer.from(`${archive.length}\n`), archive]) };
}

/** receive.sh for all files, or only for these. */
function receiver({ postfix }: Settings, only: readonly string[]): string {
  return `folder=${shellWord(postfix.directory)}\nonly=${shellWord(only.join(' '))}\n${parents}\n${receive}`;
}

/** The line with which the script asks whether to keep what it installed (arrival.sh). */
export function asksForVerdict(line: string): boolean {
  return line.startsWith('relaycerts: waiting for the verdict on ');
}
