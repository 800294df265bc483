// The names of hosts as a person types them, for shell completion: labels within the domain, whole names otherwise. If
// anything is wrong with the settings, there are no names and no message.

import { resolve } from 'node:path';
import { RelaycertsError } from '../errors.js';
import { readSettings } from '../settings/load.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';

/** More than anybody reads. */
const mostWords = 500;

/** The names that begin with this word. `file` is the settings file, relative to the current folder. */
export async function readHostWords(file: string, begin: string, sys: Sys): Promise<readonly string[]> {
  const settings = await attemptSettings(resolve(sys.cwd, file), sys);
  if (settings === undefined) return [];
  const suffix = `.${settings.domain}`;
  const words = hostsOf(settings).map(({ hostname }) => {
    const label = hostname.slice(0, -suffix.length);
    return hostname.endsWith(suffix) && !label.includes('.') && !begin.includes('.') ? label : hostname;
  });
  return words.filter((word) => word.startsWith(begin)).slice(0, mostWords);
}

async function attemptSettings(file: string, sys: Sys): Promise<Settings | undefined> {
  try {
    return await readSettings(file, sys);
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}
