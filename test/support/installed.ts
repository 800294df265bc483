// Records hosts as installed, as `check` does after looking at them: what is recorded is what they should have now.

import { resolve } from 'node:path';
import { noteInstalled } from '../../src/commands/locked.js';
import type { HostName } from '../../src/names.js';
import type { SeenHost } from '../../src/plan/installed.js';
import { bundlesOf } from '../../src/render/bundle.js';
import { expectedContents } from '../../src/render/installed.js';
import { readSettings } from '../../src/settings/load.js';
import { readInventory } from '../../src/store/read.js';
import type { Project } from './project.js';

interface Noted {
  /** Labels or whole names; by default all hosts that have a certificate. */
  readonly hosts?: readonly string[];
  readonly seen?: Date;
  /** How they differ from what they should have. */
  readonly change?: Partial<SeenHost>;
}

/** Records hosts of a project as seen, with what they should have at this moment. */
export async function noteAsInstalled(
  project: Project,
  { hosts = [], seen = new Date(), change = {} }: Noted = {},
): Promise<void> {
  const file = resolve(project.folder, 'settings.json');
  const sys = project.sys();
  const settings = await readSettings(file, sys);
  const inventory = await readInventory(settings, sys);
  const expected = expectedContents(settings, inventory, bundlesOf(settings, inventory));
  const noted = new Map<HostName, SeenHost>();
  for (const found of inventory.hosts) {
    const { hostname } = found.host;
    const content = expected(found);
    const isWanted =
      hosts.length === 0 || hosts.some((word) => word === hostname || `${word}.${settings.domain}` === hostname);
    if (isWanted && content !== undefined) noted.set(hostname, { ...content, seen, ...change });
  }
  await noteInstalled({ settings: file }, sys, noted);
}
