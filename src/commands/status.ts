// `relaycerts status`: how every certificate stands, the most urgent first, and whether the bundles match. It changes
// nothing.

import { statusOf } from '../plan/status.js';
import { bundleWarnings, custodyWarnings, ledgerWarnings } from '../plan/warnings.js';
import { bundlesOf } from '../render/bundle.js';
import { needsCare, renderPlugin, renderStatusJson, renderStatusTable } from '../render/status.js';
import { issuedCertificates } from '../store/ledger-report.js';
import { readLedger } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { readInventory } from '../store/read.js';
import type { Sys } from '../sys/sys.js';
import { reading, type GlobalOptions } from './run.js';

export interface StatusOptions extends GlobalOptions {
  /** Undefined: certificates.renewBeforeDays of the settings. */
  readonly warnDays: number | undefined;
  /** Only what needs care; nothing at all if nothing does. */
  readonly due: boolean;
  readonly criticalDays: number;
  readonly format: 'table' | 'nagios';
}

/** Ends with 0 if all is well, 3 if something needs care; as a monitoring plugin with the plugin's codes. */
export async function status(options: StatusOptions, sys: Sys): Promise<void> {
  const { settings, found, at } = await reading(options, sys, async (one) => ({
    inventory: await readInventory(one, sys),
    ledger: await readLedger(layoutOf(one)),
  }));
  const { inventory, ledger } = found;
  const { problems } = inventory;
  const warnDays = options.warnDays ?? settings.certificates.renewBeforeDays;
  const issued = issuedCertificates(ledger.entries, inventory);
  const rows = statusOf(settings, inventory, issued, { at, warnDays });
  const warnings = [
    ...custodyWarnings(settings, inventory),
    ...bundleWarnings(inventory, bundlesOf(settings, inventory)),
    ...ledgerWarnings(ledger.damaged, layoutOf(settings).ledger.path),
  ];
  if (options.format === 'nagios') {
    const { criticalDays } = options;
    const { line, status: code } = renderPlugin(rows, problems, warnings, { warnDays, criticalDays });
    sys.write(line);
    sys.endWith(code);
    return;
  }
  const shown = options.due ? rows.filter(needsCare) : rows;
  if (options.json) sys.write(renderStatusJson(shown, issued, at));
  else if (shown.length > 0) sys.write(renderStatusTable(shown));
  for (const { message, hint } of [...problems, ...warnings]) sys.warn(message, hint);
  if (!options.json) {
    for (const row of shown) {
      const line = `${row.name}: ${row.why ?? ''}`;
      if (needsCare(row)) sys.warn(line);
      else if (row.state === 'ok' && row.why !== undefined) sys.say(line);
    }
  }
  if (problems.length > 0 || warnings.length > 0 || rows.some(needsCare)) sys.endWith(3);
}
