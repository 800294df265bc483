// The parts that the images have in common (container-variables.ts, container.ts): what is known of each, the files of
// a bundle, and the parameters. Nothing here is about one image.

import { bundleNames, tableName } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { homeInMain, relayInMain, repliesName } from './container-parameters.js';
import { waitLine } from './inbound-service.js';
import type { Parameter } from './postfix.js';

/** How an image is used, without any file's contents. */
export interface ContainerUse {
  /** As Docker names it. */
  readonly image: string;
  /** What is done with the folder, and the command that starts the container with it, there. */
  readonly place: string;
  readonly start: string;
  readonly limits: readonly string[];
}

export interface Job {
  readonly settings: Settings;
  readonly host: HostSettings;
}

export interface Image {
  readonly use: (job: Job) => ContainerUse;
  /** The host's bundle, under the names that the image looks for. */
  readonly material: (job: Job) => readonly (readonly [path: string, name: string])[];
  readonly configuration: (job: Job) => readonly (readonly [path: string, lines: readonly string[]])[];
}

export const begins = ({ host }: Job): string =>
  `# relaycerts: ${host.hostname}. Edit this copy as you like: an edited file is not overwritten.`;

/** The last of every image's limits. */
export const ends = 'check and deploy do not look into containers; status knows only what was exported, and when.';

export function parametersOf({ settings, host }: Job): readonly Parameter[] {
  return host.role === 'smtp-client' ? homeInMain(settings, host) : relayInMain(settings, host);
}

/** The CA, the chain, and a relay's table, under the names of the bundle. */
export const chainIn =
  (folder: string): Image['material'] =>
  ({ settings, host }) => {
    const { ca, chain } = bundleNames(settings.domain, host.hostname);
    const names = [ca, chain, ...(host.role === 'smtpd-server' ? [tableName] : [])];
    return names.map((name) => [`${folder}/${name}`, name]);
  };

/** The table that the parameters of a home name, in a folder. */
export function repliesIn(folder: string, job: Job): ReturnType<Image['configuration']> {
  const isNamed = parametersOf(job).some(({ value }) => value.endsWith(`/${repliesName}`));
  return isNamed ? [[`${folder}/${repliesName}`, [begins(job), waitLine]]] : [];
}
