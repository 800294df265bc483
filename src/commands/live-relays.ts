// Looks at the live relays from here, as their clients and as strangers do: for `check`, and for `deploy`, which
// decides by it whether an installation stays. Our CA is used only if nobody has to be asked for it.

import { linesOf } from '../check/host-facts.js';
import type { HostCheck } from '../check/host.js';
import { checkRelay } from '../check/relay-check.js';
import type { Report } from '../check/report.js';
import { makeVisitors, type Visitors } from '../check/trials.js';
import { openFileUnasked } from '../custody/passphrase-file.js';
import { RelaycertsError } from '../errors.js';
import type { Issuer } from '../issue/x509.js';
import { trustedPem } from '../plan/ca-rekey.js';
import type { HostInventory } from '../plan/inventory.js';
import { mostAtOnce } from '../remote/script-run.js';
import type { SmtpdServer } from '../settings/settings.js';
import { inParallel } from '../sys/all-ended.js';
import { openIssuer } from './ca-key.js';
import type { Work } from './run.js';

/** The relays among the selected hosts; if only clients are selected, every relay, as these clients see it. */
export async function checkRelays(
  work: Work,
  standing: readonly HostInventory[],
  checked: readonly HostCheck[],
): Promise<readonly Report[]> {
  const { settings, inventory, at, sys } = work;
  if (inventory.caCertificate === undefined) return [];
  const named = standing.map(({ host }) => host).filter((host): host is SmtpdServer => host.role === 'smtpd-server');
  const isThere = (relay: SmtpdServer): boolean =>
    checked.every(({ host, isThere: isOne }) => isOne || host.hostname !== relay.hostname);
  const relays = (named.length > 0 ? named : settings.smtpdServers).filter(isThere);
  const isPart = standing.some(({ host }) => host.role === 'smtp-client');
  const hosts = isPart ? standing : inventory.hosts;
  const visitors: Visitors = await makeVisitors(settings, { hosts }, await issuerUnasked(work), at);
  const ca = trustedPem(inventory);
  const reports = await inParallel(relays, mostAtOnce, (relay) => {
    sys.detail(`talking to ${relay.hostname}`);
    return checkRelay(relay, {
      settings,
      ca,
      certificate: inventory.hosts.find(({ host }) => host.hostname === relay.hostname)?.certificate?.info,
      visitors,
      facts: checked.find(({ host }) => host.hostname === relay.hostname)?.facts,
      otherAddresses: checked.flatMap(({ facts }) =>
        facts === undefined ? [] : linesOf(facts, 'addresses', relay.hostname),
      ),
    });
  });
  return reports.flat();
}

/** Our CA, if nobody has to be asked for it; what is wrong with it is reported elsewhere. */
async function issuerUnasked(work: Work): Promise<Issuer | undefined> {
  if (work.inventory.caKey === undefined) return undefined;
  try {
    const opened = await openFileUnasked(work);
    return 'passphrase' in opened ? await openIssuer(work, opened.passphrase) : undefined;
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    return undefined;
  }
}
