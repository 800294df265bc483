// `relaycerts status`: the state of every certificate, the most urgent first, whether the hosts have it, whether the
// bundles match, and whether the CA's passphrase can be opened. It changes nothing.

import { readPassphraseFd } from '../custody/passphrase.js';
import { quotePath, renderHint, type Problem } from '../errors.js';
import type { HostName } from '../names.js';
import { formerHosts, type FormerHost } from '../plan/former-hosts.js';
import { judgeInstallation, seenHostOf, type Installation } from '../plan/installed.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { ledgerAheadWarnings, returnWarnings } from '../plan/restored.js';
import { indexIssued, type State, type statusRoles } from '../plan/states.js';
import { needsCare, statusOf, type CertificateStatus } from '../plan/status.js';
import {
  bundleWarnings,
  custodyWarnings,
  formerWarnings,
  idleTunnelWarnings,
  ledgerWarnings,
  stillInstalled,
} from '../plan/warnings.js';
import { bundlesOf } from '../render/bundle.js';
import { expectedContents } from '../render/installed.js';
import { countsText, cureOfMany, renderStatus } from '../render/status.js';
import { problemText, renderStatusJson } from '../render/status-json.js';
import { renderPlugin } from '../render/status-plugin.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import { backupAgeText, readBackupAge } from '../store/backup-record.js';
import { readInstalled, type Installed } from '../store/installed.js';
import { issuedCertificates } from '../store/ledger-report.js';
import { readLedger } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import type { Sys } from '../sys/sys.js';
import { warnSome } from '../sys/warn-some.js';
import { judgeOpening } from './custody.js';
import { dkimNotes } from './dkim-stage.js';
import { findHosts, matching } from './hosts.js';
import { reading, type CaOptions } from './run.js';
import { noteRead, readProject } from './known-clients.js';

export interface StatusOptions extends CaOptions {
  /** Names and patterns, as typed; everything if there are none. */
  readonly hosts: readonly string[];
  readonly role: (typeof statusRoles)[number] | undefined;
  readonly state: State | undefined;
  /** Undefined: certificates.renewBeforeDays in the settings. */
  readonly warnDays: number | undefined;
  /** Only what needs attention; nothing at all if nothing does. */
  readonly due: boolean;
  readonly wide: boolean;
  readonly criticalDays: number;
  readonly format: 'table' | 'nagios';
  /** Ask for what opens the passphrase. */
  readonly open: boolean;
  /** Ends with the next command. */
  readonly next: boolean;
}

/** Exit code 0 if all is well, 3 if something needs attention; as a monitoring plugin, the plugin's codes. */
export async function status(options: StatusOptions, sys: Sys): Promise<void> {
  const given = options.passphraseFd === undefined ? undefined : await readPassphraseFd(options.passphraseFd);
  const { settings, found, at } = await reading(options, sys, async (one) => ({
    inventory: await readProject(one, sys),
    ledger: readLedger(layoutOf(one)),
    installed: readInstalled(layoutOf(one)),
  }));
  const { inventory, ledger, installed } = found;
  const { problems } = inventory;
  const warnDays = options.warnDays ?? settings.certificates.renewBeforeDays;
  const issued = issuedCertificates(ledger.entries, inventory);
  const bundles = bundlesOf(settings, inventory);
  const former = formerHosts(settings, issued, inventory.strangers);
  const chosen = chooseFrom(settings, inventory, former, options);
  const way = given === undefined ? (options.open ? 'asking' : 'unasked') : { given };
  // A command line that names hosts does not ask about the passphrase.
  const isWhole = options.hosts.length === 0;
  const hasPassphrase = isWhole && [undefined, 'passphrase'].includes(options.role);
  const opening = hasPassphrase ? await judgeOpening({ settings, inventory, sys, at }, way) : undefined;
  const installation = installationOf(settings, inventory, bundles, installed);
  const relays = inventory.hosts.filter(({ host }) => host.role === 'smtpd-server');
  const basis = { settings, inventory, relays, issued: indexIssued(issued), installation, at, warnDays };
  const rows = statusOf(basis, { opening, hosts: chosen.hosts, hasCa: chosen.hasCa }).filter(
    ({ state }) => options.state === undefined || state === options.state,
  );
  const about = { ...inventory, hosts: chosen.hosts };
  const warnings = [
    ...custodyWarnings(opening, given === undefined ? `in ${quotePath(settings.passphrase.file)}` : 'that was given'),
    ...returnWarnings(inventory),
    ...ledgerAheadWarnings(about, issued),
    ...ledgerWarnings(ledger.damaged, layoutOf(settings).ledger.path),
    ...installed.problems,
    // One for each host may be too many to print, so these come last.
    ...bundleWarnings(about, bundles),
    ...formerWarnings(settings.program, chosen.former),
  ];
  await noteRead(settings, inventory, sys);
  if (options.format === 'nagios') {
    const { criticalDays } = options;
    const { line, status: code } = renderPlugin(rows, problems, warnings, { warnDays, criticalDays });
    sys.write(line);
    sys.endWith(code);
    return;
  }
  const signing = dkimNotes(settings, inventory, { bundles, installed: installed.hosts, at });
  const said = [...problems, ...warnings, ...(isWhole ? [...signing.warnings, ...idleTunnelWarnings(settings)] : [])];
  const isReport = !options.due && isWhole;
  const backup = options.json || isReport ? await readBackupAge(settings, inventory) : undefined;
  if (options.json) {
    const shown = options.due ? rows.filter(needsCare) : rows;
    const data = { program: sys.program, issued, warnings: said, backup, at };
    for (const piece of renderStatusJson(shown, data)) sys.write(piece);
  } else {
    const isAsked = options.hosts.length > 0 || options.state !== undefined;
    const text = renderStatus(rows, { ...options, program: sys.program, isAsked, filters: filtersOf(options) });
    sys.write(text === '' && options.next ? `${countsText(rows)}\n` : text);
  }
  warnSome(said, sys);
  const unproven = rows.find(({ role, state, why }) => role === 'passphrase' && state === 'ok' && why !== undefined);
  if (!options.json && !options.due && unproven?.why !== undefined) {
    sys.say(`${unproven.name}: ${problemText(unproven.why, sys.program)}`);
  }
  if (!options.json && isReport) {
    for (const line of signing.lines) sys.say(line);
    for (const line of stillInstalled(settings, installed.hosts, at)) sys.say(line);
    const age = backup && backupAgeText(backup, sys.program);
    if (age !== undefined) sys.say(age);
  }
  if (!options.json && !options.due && !isWhole) {
    for (const { hostname } of chosen.former.filter(({ isOver }) => isOver)) {
      sys.say(`${hostname} is no longer in the settings; its certificate is revoked or retired`);
    }
  }
  if (options.next && !options.json) sayNext(said, rows, sys);
  if (said.length > 0 || rows.some(needsCare)) sys.endWith(3);
}

/** The hosts that the command line names, and whether it also names the CA. */
function chooseFrom(
  settings: Settings,
  { hosts }: Inventory,
  former: readonly FormerHost[],
  { hosts: words, role }: StatusOptions,
) {
  const named = words.length === 0 ? hostsOf(settings) : findHosts(settings, words, former);
  const names = new Set<HostName>(named.map(({ hostname }) => hostname));
  return {
    hosts: hosts.filter(({ host }) => names.has(host.hostname) && (role === undefined || host.role === role)),
    former: words.length === 0 ? former : matching(settings, words, former),
    hasCa: words.length === 0 && (role === undefined || role === 'ca'),
  };
}

/** Each is computed once, on demand. */
function installationOf(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles,
  { hosts }: Installed,
): (found: HostInventory) => Installation | undefined {
  const expected = expectedContents(settings, inventory, bundles);
  const known = new Map<HostName, Installation | undefined>();
  return (found) => {
    const { hostname } = found.host;
    if (!known.has(hostname)) {
      const content = expected(found);
      known.set(hostname, content && judgeInstallation(content, seenHostOf(hosts, found.host)));
    }
    return known.get(hostname);
  };
}

function filtersOf({ hosts, role }: StatusOptions): readonly string[] {
  return [...hosts, ...(role === undefined ? [] : ['--role', role])];
}

/** The one command to run next: for the first problem, or else for the most urgent certificate. */
function sayNext([problem]: readonly Problem[], rows: readonly CertificateStatus[], sys: Sys): void {
  const [urgent] = rows.filter(needsCare);
  const isOwn = urgent === undefined || urgent.state === 'not-installed';
  const many = isOwn ? undefined : cureOfMany(urgent.state);
  const hint = problem?.hint ?? (many === undefined ? urgent?.why?.hint : { run: many });
  sys.write(hint === undefined ? `all commands: ${sys.program} --help\n` : `next: ${renderHint(hint, sys.program)}\n`);
}
