// `relaycerts status`: how every certificate stands, the most urgent first, and whether the bundles are what they say. It
// reads, and changes nothing.

import type { Sys } from '../sys/sys.js';
import { statusOf } from '../plan/status.js';
import { bundleWarnings, custodyWarnings } from '../plan/warnings.js';
import { bundlesOf } from '../render/bundle.js';
import { needsCare, renderPlugin, renderStatusJson, renderStatusTable } from '../render/status.js';
import { readSettings } from '../settings/load.js';
import { guardReading } from '../store/look.js';
import { readInventory } from '../store/read.js';
import { readSteadily } from '../store/steady.js';
import type { GlobalOptions } from './options.js';

export interface StatusOptions extends GlobalOptions {
  /** Undefined: certificates.renewBeforeDays of the settings. */
  readonly warnDays: number | undefined;
  readonly criticalDays: number;
  readonly format: 'table' | 'nagios';
}

/** Ends with 0 where all is well, 3 where something needs care; in the plugin's form with the plugin's codes. */
export async function status(options: StatusOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  await guardReading(settings, sys);
  const inventory = await readSteadily(settings, sys, () => readInventory(settings, sys));
  const warnDays = options.warnDays ?? settings.certificates.renewBeforeDays;
  const at = sys.now();
  const rows = statusOf(settings, inventory, at, { warnDays });
  const warnings = [
    ...custodyWarnings(settings, inventory),
    ...bundleWarnings(settings, inventory, bundlesOf(settings, inventory)),
  ];
  if (options.format === 'nagios') {
    const { criticalDays } = options;
    const { line, status: code } = renderPlugin(rows, inventory.problems, warnings, { warnDays, criticalDays });
    sys.write(line);
    sys.endWith(code);
    return;
  }
  sys.write(options.json ? renderStatusJson(rows, inventory.issued, at) : renderStatusTable(rows));
  for (const { message, hint } of [...inventory.problems, ...warnings]) sys.warn(message, hint);
  if (!options.json) {
    for (const row of rows) {
      const line = `${row.name}: ${row.why ?? ''}`;
      if (needsCare(row)) sys.warn(line);
      else if (row.state === 'ok' && row.why !== undefined) sys.say(line);
    }
  }
  if (inventory.problems.length > 0 || warnings.length > 0 || rows.some(needsCare)) sys.endWith(3);
}
