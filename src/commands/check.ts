// `relaycerts check`: proves the files here, the hosts and the live relays right. It changes nothing but the note of what
// each host was seen to have (certs/installed.json).

import { checkFrom } from '../check/from-home.js';
import { checkHost, type HostCheck } from '../check/host.js';
import { linesOf } from '../check/host-facts.js';
import { judgeOffline } from '../check/offline.js';
import { checkRelay } from '../check/relay-check.js';
import type { Report } from '../check/report.js';
import { checkObject, countsOf, renderCheck, renderCheckPlugin } from '../check/text.js';
import { makeVisitors, type Visitors } from '../check/trials.js';
import { openFileUnasked } from '../custody/passphrase-file.js';
import { RelaycertsError, quotePath } from '../errors.js';
import type { Issuer } from '../issue/x509.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import { trustedCas } from '../plan/ca-rekey.js';
import type { SeenHost } from '../plan/installed.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { contradictionsOf, type Bundles } from '../plan/plan.js';
import { ledgerAheadWarnings, returnWarnings } from '../plan/restored.js';
import { indexIssued } from '../plan/states.js';
import { statusOf } from '../plan/status.js';
import { bundleWarnings, custodyWarnings, formerWarnings, ledgerWarnings } from '../plan/warnings.js';
import { mostAtOnce } from '../remote/script-run.js';
import { bundlesOf } from '../render/bundle.js';
import { expectedContents } from '../render/installed.js';
import type { SmtpdServer } from '../settings/settings.js';
import { issuedCertificates } from '../store/ledger-report.js';
import { readLedger } from '../store/ledger.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { readInventory } from '../store/read.js';
import { inGroups } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { openIssuer } from './ca-key.js';
import { judgeOpening } from './custody.js';
import { findHost, findHosts } from './hosts.js';
import { noteInstalled, reading, type GlobalOptions, type Work } from './run.js';

export interface CheckOptions extends GlobalOptions {
  /** As typed; all hosts if empty. */
  readonly hosts: readonly string[];
  /** Only the files here. */
  readonly offline: boolean;
  readonly format: 'text' | 'nagios';
  /** Whose mail server the relays should reach on port 25. */
  readonly mailDomain: HostName | undefined;
  /** A home host to try the relays from, as typed. */
  readonly from: string | undefined;
}

/** Ends with 0 if no error and no warning was found, else with 3; as a monitoring plugin with the plugin's codes. */
export async function check(options: CheckOptions, sys: Sys): Promise<void> {
  const { settings, found, at } = await reading(options, sys, async (one) => ({
    inventory: await readInventory(one, sys),
    ledger: await readLedger(layoutOf(one)),
  }));
  const { inventory } = found;
  const work: Work = { settings, inventory, at, sys };
  const wanted = new Set(findHosts(settings, options.hosts).map(({ hostname }) => hostname));
  const reports: Report[] = [];
  if (wanted.size === 0 && options.from === undefined) reports.push(...(await checkHere(work, found.ledger)));
  const from = options.from === undefined ? undefined : findHost(settings, options.from);
  if (from?.role === 'smtpd-server') {
    throw new RelaycertsError('usage', `${from.hostname} is a relay, and --from is a home host`, {
      hint: { run: ['check', '--from', settings.smtpClients[0].hostname] },
    });
  }
  if (from !== undefined) reports.push(...(await checkFrom(settings, from, sys)));
  if (!options.offline && from === undefined) reports.push(...(await checkThere(work, wanted, options)));
  if (options.format === 'nagios') {
    const { line, status } = renderCheckPlugin(reports);
    sys.write(line);
    sys.endWith(status);
    return;
  }
  if (options.json) sys.write(writeAnswer('check', checkObject(settings, reports)));
  else sys.write(renderCheck(settings, reports, (style, word) => sys.paint(style, word)));
  const { error, warning } = countsOf(reports);
  if (error + warning > 0) sys.endWith(3);
}

/** What the hosts have is looked at there, not in the notes of the last time. */
function notLookedAt(): undefined {
  return undefined;
}

async function checkHere(work: Work, ledger: Awaited<ReturnType<typeof readLedger>>): Promise<readonly Report[]> {
  const { settings, inventory, at } = work;
  const issued = issuedCertificates(ledger.entries, inventory);
  const opening = await judgeOpening(work, 'unasked');
  const relays = inventory.hosts.filter(({ host }) => host.role === 'smtpd-server');
  const { renewBeforeDays: warnDays } = settings.certificates;
  const basis = { settings, inventory, relays, issued: indexIssued(issued), installation: notLookedAt, at, warnDays };
  const layout = layoutOf(settings);
  return judgeOffline({
    rows: statusOf(basis, { hosts: inventory.hosts, hasCa: true, opening }),
    problems: contradictionsOf(settings, inventory, at),
    warnings: [
      // What keeps it from opening is a row of its own.
      ...(opening?.kind === 'opened' ? custodyWarnings(opening, `in ${quotePath(settings.passphrase.file)}`) : []),
      ...bundleWarnings(inventory, bundlesOf(settings, inventory)),
      ...formerWarnings(settings, inventory, issued),
      ...returnWarnings(inventory),
      ...ledgerAheadWarnings(inventory, issued),
      ...ledgerWarnings(ledger.damaged, layout.ledger.path),
      ...readInstalled(layout).problems,
    ],
  });
}

/** The hosts and the relays; all if none is `wanted`. */
async function checkThere(
  work: Work,
  wanted: ReadonlySet<HostName>,
  options: CheckOptions,
): Promise<readonly Report[]> {
  const { settings, inventory, sys } = work;
  const bundles = bundlesOf(settings, inventory);
  const standing = inventory.hosts.filter(
    ({ host, isRevoked, certificate }) =>
      !isRevoked && certificate !== undefined && (wanted.size === 0 || wanted.has(host.hostname)),
  );
  const checked = await inGroups(standing, mostAtOnce, async ({ host, request }) => {
    sys.detail(`looking at ${host.hostname}`);
    return checkHost(
      settings,
      host,
      {
        wanted: bundles.get(host.hostname) ?? new Map<string, Buffer>(),
        keyPlace: request === undefined ? 'here' : 'host',
        mailDomain: options.mailDomain,
      },
      sys,
    );
  });
  await noteSeen(options, work, bundles, checked);
  const relays = await checkRelays(work, standing, checked);
  return [...checked.flatMap(({ reports }) => reports), ...relays];
}

/** The relays among the wanted hosts; if only clients are wanted, every relay, as these clients see it. */
async function checkRelays(
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
  const ca = trustedCas(inventory)
    .map(({ info }) => info.pem)
    .join('');
  const reports = await inGroups(relays, mostAtOnce, (relay) => {
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

/** Our CA, if nobody has to be asked for it; what is wrong with it is said elsewhere. */
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

/** Notes what was seen; a host that has something else now is no longer known to have what it should. */
async function noteSeen(
  options: GlobalOptions,
  { settings, inventory, at, sys }: Work,
  bundles: Bundles,
  checked: readonly HostCheck[],
): Promise<void> {
  const contentOf = expectedContents(settings, inventory, bundles);
  const seen = new Map<HostName, SeenHost | undefined>();
  for (const { host, isInstalled, isConfigurationSeen } of checked) {
    if (isInstalled === undefined) continue;
    const content = isInstalled ? contentOf(foundIn(inventory, host.hostname)) : undefined;
    const configuration = isConfigurationSeen ? content?.configuration : undefined;
    seen.set(host.hostname, content === undefined ? undefined : { ...content, configuration, seen: at });
  }
  try {
    await noteInstalled(options, sys, seen);
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code === 'interrupted') throw error;
    const { path } = layoutOf(settings).installed;
    sys.warn(`what was seen could not be noted in ${quotePath(path)}: ${error.message}`, error.hint);
  }
}

function foundIn({ hosts }: Inventory, hostname: HostName): HostInventory {
  const found = hosts.find(({ host }) => host.hostname === hostname);
  if (found === undefined) throw new TypeError(`the inventory has no ${hostname}`);
  return found;
}
