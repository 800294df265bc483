// `relaycerts retire`: ends a rekey. The old key's pin leaves the table; the certificate is kept in certs/retired/,
// because nobody can make it again. No key is needed.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf, pinOfDigest } from '../certificate/fingerprint.js';
import { listSome } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { hostsIn } from '../plan/install.js';
import { seenHostOf } from '../plan/installed.js';
import { newThing, notThereWarning, retiredWords } from '../plan/retirement.js';
import { installParagraph, renderNowRun } from '../render/now-run.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { hostEntry, readLedger } from '../store/ledger.js';
import { putAway } from '../store/state-change.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';
import { certifiedHost, findStandingHosts, withHosts } from './hosts.js';
import { changing, type Changing, type GlobalOptions } from './run.js';

export interface RetireOptions extends GlobalOptions {
  /** As typed; if empty, all hosts with an old pin. */
  readonly hosts: readonly string[];
}

/** @throws settings, usage, contradiction, lock, files */
export async function retire(options: RetireOptions, sys: Sys): Promise<void> {
  const work = async ({ settings, inventory, at, commit }: Changing): Promise<void> => {
    const named = findStandingHosts(settings, options.hosts, inventory.hosts);
    const chosen = named.length === 0 ? inventory.hosts : named.map((one) => certifiedHost(inventory, one));
    const pending = chosen.flatMap(({ host, previous, certificate, isRevoked }) =>
      previous === undefined || isRevoked ? [] : [{ host, info: previous.info, next: certificate?.info }],
    );
    const names = new Set(pending.map(({ host }) => host.hostname));
    const layout = layoutOf(settings);
    warnOfOldKeys(settings, pending, sys);
    const rows = pending.map(({ host, info }) => ({ host: host.hostname, serial: info.serial }));
    await commit({
      after: withHosts(inventory, [...names], { previous: undefined }),
      entries: pending.map(({ host, info }) => hostEntry('retired', host, info, at)),
      keeps: pending.map(({ host, info }) => putAway(layout.retired(host.hostname, info.serial), info.pem)),
      removes: [],
      answer: (install) => writeAnswer('retire', { retired: rows, install }),
      tell: (install) => renderNowRun(installParagraph(settings, hostsIn(install))),
      done: retiredWords(rows),
    });
    const none = named.flatMap(({ hostname }) => (names.has(hostname) ? [] : [hostname]));
    if (none.length > 0) sys.say(`nothing to retire: no old pin of ${listSome(none)} is listed`);
    else if (names.size === 0) sys.say('nothing to retire: no old pin is listed');
  };
  // It may be what a new key for such a CA waits for.
  await changing(options, sys, work, { fixes: ['expired', 'not-yet-valid'] });
}

interface Pending {
  readonly host: HostSettings;
  /** Its new certificate. */
  readonly next: CertificateInfo | undefined;
}

function warnOfOldKeys(settings: Settings, pending: readonly Pending[], sys: Sys): void {
  const layout = layoutOf(settings);
  const { hosts: installed } = readInstalled(layout);
  const others = pending.flatMap(({ host, next }) => {
    const seen = seenHostOf(installed, host)?.certificate;
    const isThere = seen === undefined || seen === next?.digest('certificate').toString('hex');
    return isThere ? [] : [{ host, next, seen }];
  });
  if (others.length === 0) return;
  const keyOf = new Map<string, string>(
    readLedger(layout).entries.map((one) => [one.certificateSha256, one.publicKeySha256]),
  );
  // It may have been renewed after the rekey: the certificate that it has is then for the new key too.
  const late = others.filter(
    ({ host, next, seen }) =>
      newThing(settings, host) === 'certificate' ||
      next === undefined ||
      keyOf.get(pinOfDigest(Buffer.from(seen, 'hex'))) !== fingerprintOf(next, 'public-key', 'sha256'),
  );
  if (late.length === 0) return;
  const { message, hint } = notThereWarning(late.map(({ host }) => host.hostname));
  sys.warn(message, hint);
}
