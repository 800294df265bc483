// `relaycerts check`: checks the files here, the hosts and the live relays. It changes nothing but the note of what
// each host was seen to have (certs/installed.json).

import { checkFrom } from '../check/from-home.js';
import { checkDns } from '../check/dns.js';
import { checkHost, type HostCheck } from '../check/host.js';
import { checkWayHome } from '../check/inbound.js';
import { judgeOffline } from '../check/offline.js';
import type { Report } from '../check/report.js';
import { seenContent } from '../check/seen.js';
import { judgeSizes } from '../check/sizes.js';
import { judgeTunnel } from '../check/tunnel.js';
import { checkObject, hasFault, renderCheck, renderCheckPlugin } from '../check/text.js';
import { asksForDns } from '../dns/records.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import { keyPlaceOf } from '../plan/bundle-names.js';
import { formerHosts } from '../plan/former-hosts.js';
import type { SeenHost } from '../plan/installed.js';
import { contradictionsOf, type Bundles } from '../plan/plan.js';
import { ledgerAheadWarnings, returnWarnings } from '../plan/restored.js';
import { indexIssued } from '../plan/states.js';
import { statusOf } from '../plan/status.js';
import { bundleWarnings, custodyWarnings, formerWarnings, ledgerWarnings } from '../plan/warnings.js';
import { mostAtOnce } from '../remote/script-run.js';
import { bundlesOf } from '../render/bundle.js';
import { expectedContents } from '../render/installed.js';
import { issuedCertificates } from '../store/ledger-report.js';
import { readLedger } from '../store/ledger.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { inParallel } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { judgeOpening } from './custody.js';
import { makeDnsWork } from './dns-work.js';
import { deployNames } from './deployed-hosts.js';
import { findHost, findHosts, foundOf, revokedError } from './hosts.js';
import { checkRelays } from './live-relays.js';
import { noteInstalled } from './locked.js';
import { reading, type GlobalOptions, type Work } from './run.js';
import { readProject } from './known-clients.js';

export interface CheckOptions extends GlobalOptions {
  /** As typed; all hosts if empty. */
  readonly hosts: readonly string[];
  /** Only the files here. */
  readonly offline: boolean;
  readonly format: 'text' | 'nagios';
  /** The domain whose mail server the relays should reach on port 25. */
  readonly mailDomain: HostName | undefined;
  /** A home host to try the relays from, as typed. */
  readonly from: string | undefined;
}

/** Exit code 0 if there is no error and no warning, else 3; as a monitoring plugin, the plugin's codes. */
export async function check(options: CheckOptions, sys: Sys): Promise<void> {
  const { settings, found, at } = await reading(options, sys, async (one) => ({
    inventory: await readProject(one, sys),
    ledger: readLedger(layoutOf(one)),
  }));
  const { inventory } = found;
  const work: Work = { settings, inventory, at, sys };
  const wanted = new Set(findHosts(settings, options.hosts).map(({ hostname }) => hostname));
  const reports: Report[] = [];
  // A host that is looked at there is compared with its files here.
  const isHere = wanted.size === 0 ? options.from === undefined : options.offline;
  if (isHere) reports.push(...(await checkHere(work, found.ledger, wanted)));
  const from = options.from === undefined ? undefined : findHost(settings, options.from);
  if (from !== undefined && wanted.size > 0) {
    throw new RelaycertsError('usage', '--from tries every relay; it cannot be used with host names', {
      hint: { run: ['check', '--from', from.hostname] },
    });
  }
  if (from?.role === 'smtpd-server') {
    throw new RelaycertsError('usage', `${from.hostname} is a relay, but --from needs a home host`, {
      hint: { run: ['check', '--from', settings.smtpClients[0].hostname] },
    });
  }
  if (from?.container !== undefined) {
    throw new RelaycertsError('usage', `${from.hostname} runs in a container, which check cannot look from`, {
      hint: { run: ['check', ...settings.smtpdServers.map(({ hostname }) => hostname)] },
    });
  }
  if (from !== undefined && foundOf(inventory, from).isRevoked) throw revokedError(from, inventory.revoked);
  if (from !== undefined) reports.push(...(await checkFrom(settings, from, sys)));
  if (!options.offline && from === undefined) {
    reports.push(...(await checkThere(work, wanted, options)));
    if (wanted.size === 0 && asksForDns(settings))
      reports.push(...(await checkDns(makeDnsWork(settings, inventory.dkim, undefined, []))));
  }
  if (options.format === 'nagios') {
    const { line, status } = renderCheckPlugin(reports);
    sys.write(line);
    sys.endWith(status);
    return;
  }
  const names = deployNames(settings, inventory);
  if (options.json) sys.write(writeAnswer('check', checkObject(settings, reports, names)));
  else sys.write(renderCheck(settings, reports, names, (style, word) => sys.paint(style, word)));
  if (hasFault(reports)) sys.endWith(3);
}

/** What the hosts have is looked up there, not in the notes of an earlier run. */
function notLookedAt(): undefined {
  return undefined;
}

/** The files here: everything, or only those of the hosts that are `wanted`. */
async function checkHere(
  work: Work,
  ledger: Awaited<ReturnType<typeof readLedger>>,
  wanted: ReadonlySet<HostName>,
): Promise<readonly Report[]> {
  const { settings, inventory, at } = work;
  const isWhole = wanted.size === 0;
  const hosts = isWhole ? inventory.hosts : inventory.hosts.filter(({ host }) => wanted.has(host.hostname));
  const about = { ...inventory, hosts };
  const issued = issuedCertificates(ledger.entries, inventory);
  const opening = isWhole ? await judgeOpening(work, 'unasked') : undefined;
  const relays = inventory.hosts.filter(({ host }) => host.role === 'smtpd-server');
  const { renewBeforeDays: warnDays } = settings.certificates;
  const basis = { settings, inventory, relays, issued: indexIssued(issued), installation: notLookedAt, at, warnDays };
  const layout = layoutOf(settings);
  return judgeOffline({
    rows: statusOf(basis, { hosts, hasCa: isWhole, opening }),
    problems: contradictionsOf(settings, about, at),
    warnings: [
      // If the passphrase cannot be opened, that is a row of its own.
      ...(opening?.kind === 'opened' ? custodyWarnings(opening, `in ${quotePath(settings.passphrase.file)}`) : []),
      ...returnWarnings(about),
      ...ledgerAheadWarnings(about, issued),
      ...ledgerWarnings(ledger.damaged, layout.ledger.path),
      ...readInstalled(layout).problems,
      // One for each host may be too many to print, so these come last.
      ...bundleWarnings(about, bundlesOf(settings, inventory)),
      ...(isWhole ? formerWarnings(settings.program, formerHosts(settings, issued, inventory.strangers)) : []),
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
  const looked = standing.filter(({ host }) => host.container === undefined);
  const checked = await inParallel(looked, mostAtOnce, async ({ host, request }) => {
    sys.detail(`looking at ${host.hostname}`);
    return checkHost(
      settings,
      host,
      {
        wanted: bundles.get(host.hostname) ?? new Map<string, Buffer>(),
        keyPlace: keyPlaceOf(request),
        mailDomain: options.mailDomain,
      },
      sys,
    );
  });
  await noteSeen(options, work, bundles, checked);
  const relays = await checkRelays(work, standing, checked);
  const unseen = standing
    .filter((found) => !looked.includes(found))
    .map(({ host }): Report => ({
      host: host.hostname,
      fine: 'a container, which check does not look into',
      findings: [],
    }));
  const wayHome = await checkWayHome(settings, checked, sys);
  return [
    ...checked.flatMap(({ reports }) => reports),
    ...unseen,
    ...judgeTunnel(settings, checked),
    ...judgeSizes(checked),
    ...relays,
    ...wayHome,
  ];
}

/** Notes what was seen, right or not; of a host that has nothing of ours any more, nothing. */
async function noteSeen(
  options: GlobalOptions,
  { settings, inventory, at, sys }: Work,
  bundles: Bundles,
  checked: readonly HostCheck[],
): Promise<void> {
  const contentOf = expectedContents(settings, inventory, bundles);
  const seen = new Map<HostName, SeenHost | undefined>();
  for (const { host, facts, isThere, installed } of checked) {
    if (facts === undefined) continue;
    const expected = isThere ? contentOf(foundOf(inventory, host)) : undefined;
    seen.set(host.hostname, expected && { ...seenContent(expected, facts, installed), seen: at });
  }
  try {
    await noteInstalled(options, sys, seen);
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code === 'interrupted') throw error;
    const { path } = layoutOf(settings).installed;
    sys.warn(`could not record what was seen in ${quotePath(path)}: ${error.message}`, error.hint);
  }
}
