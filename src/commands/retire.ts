// `relaycerts retire`: ends a rekey. The pin of the key before leaves the table; the certificate is kept in
// certs/retired/, because nobody can make it again.

import { RelaycertsError } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import type { Inventory } from '../plan/inventory.js';
import { installWords } from '../render/commands.js';
import { readSettings } from '../settings/load.js';
import type { HostSettings } from '../settings/settings.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { assertRoom } from '../store/room.js';
import { putRetired } from '../store/rekey.js';
import { certifiedHost, changeCertificates, findHosts, installedRelays } from './change.js';
import type { GlobalOptions } from './options.js';

export interface RetireOptions extends GlobalOptions {
  /** As typed; all that are pending where empty. */
  readonly hosts: readonly string[];
}

/** @throws settings, usage, contradiction, lock, files */
export async function retire(options: RetireOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const layout = layoutOf(settings);
  const named = findHosts(settings, options.hosts);
  const {
    result: retired,
    inventory: after,
    written,
    told,
  } = await changeCertificates(settings, sys, async (inventory, at) => {
    const chosen =
      named.length === 0
        ? inventory.hosts
        : await Promise.all(named.map((one) => certifiedHost(settings, inventory, one)));
    const pending = chosen.filter(({ previous, isRevoked }) => previous !== undefined && !isRevoked);
    for (const one of named) {
      if (pending.some(({ host: { hostname } }) => hostname === one.hostname)) continue;
      sayRetired(one, inventory, sys);
    }
    await assertRoom(settings, sys, { hosts: pending.length, custody: false });
    for (const { host: one, previous } of pending) {
      if (previous === undefined) continue;
      await appendLedger(layout, [entryOf('retired', one.role, one.hostname, previous.info, at)]);
      await putRetired(layout, one, previous.info);
      sys.say(`the old pin of ${one.hostname} is out of the table, serial ${previous.info.serial}`);
    }
    return pending;
  });
  const relays = installedRelays(after).map(({ hostname }) => hostname);
  // A second time too, for who has lost the words.
  const touched = new Set([...(retired.length === 0 && named.length === 0 ? [] : relays), ...written]);
  const install = after.hosts.map((found) => found.host.hostname).filter((hostname) => touched.has(hostname));
  if (retired.length === 0 && named.length === 0) sys.say('nothing to retire: no old pin is listed');
  if (options.json) {
    const rows = retired.map(({ host: { hostname }, previous }) => ({
      host: hostname,
      serial: previous?.info.serial ?? null,
    }));
    sys.write(`${JSON.stringify({ retired: rows, install }, undefined, 2)}\n`);
  } else {
    for (const hostname of install) {
      sys.write(`now: ${installWords(settings, hostname)}\n`);
    }
  }
  await told();
}

/** That a host's old pin went before, so that the command can be run again. @throws contradiction - it never had one */
function sayRetired({ role, hostname }: HostSettings, { issued }: Inventory, sys: Pick<Sys, 'say'>): void {
  const last = issued.findLast((one) => one.role === role && one.name === hostname && one.retiredAt !== undefined);
  if (last === undefined) {
    throw new RelaycertsError('contradiction', `${hostname} has no old pin to retire`, { hint: 'relaycerts status' });
  }
  sys.say(`nothing to retire: the old pin of ${hostname} went before, serial ${last.serial}`);
}
