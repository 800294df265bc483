// `relaycerts export docker`: writes a folder with what the container of one host needs: key, certificates and pins
// under the names of its image, and the image's own configuration. What was exported is noted, so that status can say
// which container has something new to get. It starts nothing, and knows of no container.

import { resolve } from 'node:path';
import { listSome, RelaycertsError } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { contradictionsOf } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { containerFiles, containerUse } from '../render/container.js';
import type { ContainerUse } from '../render/container-image.js';
import { expectedContents } from '../render/installed.js';
import { renderNowRun } from '../render/now-run.js';
import type { HostSettings } from '../settings/settings.js';
import { exportFolder } from '../store/export-folder.js';
import type { Sys } from '../sys/sys.js';
import { assertElsewhere, certifiedHost, findHost } from './hosts.js';
import { locked, noteUnderLock } from './locked.js';
import { contradiction, type GlobalOptions } from './run.js';
import { readProject } from './known-clients.js';

export interface ExportDockerOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** As typed; undefined: FQDN-docker in the current folder. */
  readonly output: string | undefined;
}

/** @throws settings, usage, contradiction, permissions, lock, files */
export async function exportDocker(options: ExportDockerOptions, sys: Sys): Promise<void> {
  await locked(options.settings, sys, async (settings, lock) => {
    const one = findHost(settings, options.hostname);
    const { hostname: host, container } = one;
    const use = containerUse(settings, one);
    if (use === undefined) throw noContainerError(one);
    const folder = resolve(sys.cwd, options.output ?? `${host}-docker`);
    assertElsewhere(settings, folder);
    const inventory = await readProject(settings, sys);
    const problems = contradictionsOf(settings, inventory, sys.now());
    if (problems.length > 0) throw contradiction(problems);
    const found = certifiedHost(inventory, one);
    if (found.request !== undefined) {
      throw new RelaycertsError('contradiction', `the key of ${host} was made there, so it is not here`, {
        hint: { run: ['make', '--again', host], before: 'for a key that is made here, revoke it, then:' },
      });
    }
    const bundles = bundlesOf(settings, inventory);
    // In a fleet, a bundle that is known to be right is only on the disk.
    const files = containerFiles(settings, one, bundles.get(host) ?? found.bundle);
    const results = await exportFolder(folder, files, sys);
    const content = expectedContents(settings, inventory, bundles)(found);
    if (content !== undefined)
      await noteUnderLock(settings, sys, lock, new Map([[host, { ...content, seen: sys.now() }]]));
    const kept = results.filter(({ outcome }) => outcome === 'kept').map(({ path }) => path);
    if (kept.length > 0) {
      sys.warn(
        `edited by you, so not overwritten: ${listSome(kept)}`,
        'compare it with FILE.new beside it, if there is one',
      );
    }
    if (options.json) {
      const { start, limits } = use;
      sys.write(writeAnswer('export docker', { host, container, folder, files: results, start, limits }));
      return;
    }
    if (!sys.isQuiet) sys.write(textOf(use));
    const isNew = results.some(({ outcome }) => outcome === 'written');
    sys.say(
      isNew ? `wrote the files of ${host}, with its private key` : `the files of ${host} are already up to date`,
      folder,
    );
  });
}

/** What to do with the folder, and what this image cannot do. */
function textOf({ place, start, limits }: ContainerUse): string {
  return renderNowRun({ words: place, run: [start] }, 'Note:', ...limits.map((limit) => `- ${limit}`));
}

function noContainerError({ hostname, role }: HostSettings): RelaycertsError {
  const list = role === 'smtp-client' ? 'smtpClients' : 'smtpdServers';
  return new RelaycertsError('usage', `${hostname} is not a container in the settings`, {
    hint: `add "container" to it in ${list}, for example "container": "boky"`,
  });
}
