// `relaycerts status`: how every certificate stands, the most urgent first, whether the bundles match, and whether the
// CA's passphrase can be opened. It changes nothing.

import { readPassphraseFd } from '../custody/passphrase.js';
import { quotePath } from '../errors.js';
import { ledgerAheadWarnings, returnWarnings } from '../plan/restored.js';
import { statusOf } from '../plan/status.js';
import { bundleWarnings, custodyWarnings, formerWarnings, ledgerWarnings } from '../plan/warnings.js';
import { bundlesOf } from '../render/bundle.js';
import { needsCare, renderPlugin, renderStatusJson, renderStatusTable } from '../render/status.js';
import { sayBackupAge } from '../store/backup-record.js';
import { issuedCertificates } from '../store/ledger-report.js';
import { readLedger } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { readInventory } from '../store/read.js';
import type { Sys } from '../sys/sys.js';
import { judgeOpening } from './custody.js';
import { reading, type CaOptions } from './run.js';
import { noteRead } from './known-clients.js';

export interface StatusOptions extends CaOptions {
  /** Undefined: certificates.renewBeforeDays of the settings. */
  readonly warnDays: number | undefined;
  /** Only what needs care; nothing at all if nothing does. */
  readonly due: boolean;
  readonly criticalDays: number;
  readonly format: 'table' | 'nagios';
  /** Ask for what opens the passphrase. */
  readonly open: boolean;
}

/** Ends with 0 if all is well, 3 if something needs care; as a monitoring plugin with the plugin's codes. */
export async function status(options: StatusOptions, sys: Sys): Promise<void> {
  const given = options.passphraseFd === undefined ? undefined : await readPassphraseFd(options.passphraseFd);
  const { settings, found, at } = await reading(options, sys, async (one) => ({
    inventory: await readInventory(one, sys),
    ledger: await readLedger(layoutOf(one)),
  }));
  const { inventory, ledger } = found;
  const { problems } = inventory;
  const warnDays = options.warnDays ?? settings.certificates.renewBeforeDays;
  const issued = issuedCertificates(ledger.entries, inventory);
  const way = given === undefined ? (options.open ? 'asking' : 'unasked') : { given };
  const opening = await judgeOpening({ settings, inventory, sys, at }, way);
  const rows = statusOf(settings, inventory, issued, { at, warnDays, opening });
  const warnings = [
    ...custodyWarnings(opening, given === undefined ? `in ${quotePath(settings.passphrase.file)}` : 'that was given'),
    ...bundleWarnings(inventory, bundlesOf(settings, inventory)),
    ...returnWarnings(inventory),
    ...ledgerAheadWarnings(inventory, issued),
    ...formerWarnings(settings, inventory, issued),
    ...ledgerWarnings(ledger.damaged, layoutOf(settings).ledger.path),
  ];
  await noteRead(settings, inventory, at, sys);
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
  if (!options.json && !options.due) await sayBackupAge(settings, inventory, sys);
  if (!options.json) {
    for (const row of shown) {
      const line = `${row.name}: ${row.why ?? ''}`;
      if (needsCare(row)) {
        // That of the passphrase is among the warnings, with its hint.
        if (row.role !== 'passphrase') sys.warn(line);
      } else if (row.state === 'ok' && row.why !== undefined) sys.say(line);
    }
  }
  if (problems.length > 0 || warnings.length > 0 || rows.some(needsCare)) sys.endWith(3);
}
