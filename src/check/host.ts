// Looks at a host over ssh: runs the script that only reads, and judges its output. If something kept it from running,
// that is the only finding, because nothing else is known of the host.

import { RelaycertsError } from '../errors.js';
import { findingOf, type Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import type { KeyPlace } from '../plan/bundle-names.js';
import { homeProgramOf } from '../render/home-programs.js';
import { renderProbe } from '../render/script.js';
import { runOnHost, saidNothing, type Outcome, type ScriptRun } from '../remote/script-run.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';
import { judgeConfiguration } from './host-configuration.js';
import { linesOf, parseFacts, sectionOf, type HostFacts } from './host-facts.js';
import { hasNoFiles, judgeFiles, type WantedFiles } from './host-files.js';
import { judgeProgram } from './host-program.js';
import { judgeState } from './host-state.js';
import { reportOf, type Report } from './report.js';
import { judgeTunnelEnd } from './tunnel.js';

export interface HostCheck {
  readonly host: HostSettings;
  readonly facts: HostFacts | undefined;
  readonly reports: readonly Report[];
  /** False if nothing was installed there, as far as is known. */
  readonly isThere: boolean;
  /** What is wrong with its files and its configuration. */
  readonly installed: readonly Report[];
}

export interface HostQuestion {
  readonly wanted: WantedFiles;
  readonly keyPlace: KeyPlace;
  /** The domain whose mail server a relay should reach on port 25; undefined: not tried. */
  readonly mailDomain: string | undefined;
}

/** Seconds for one whole host. */
const seconds = 120;

/** Runs a script that only reads; without ssh the rest can still be checked. */
export async function lookAtHost(
  host: HostSettings,
  run: ScriptRun,
  sys: Sys,
): Promise<Outcome | { readonly kind: 'no-ssh'; readonly words: string }> {
  try {
    return await runOnHost(host, run, sys);
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code !== 'tool') throw error;
    return { kind: 'no-ssh', words: error.message };
  }
}

/** Looks at one host. */
export async function checkHost(
  settings: Settings,
  host: HostSettings,
  { wanted, keyPlace, mailDomain }: HostQuestion,
  sys: Sys,
): Promise<HostCheck> {
  const from = sys.now().getTime();
  const outcome = await lookAtHost(
    host,
    { script: renderProbe(settings, host, { keyPlace, mailDomain }), seconds },
    sys,
  );
  const asked = { from, to: sys.now().getTime() };
  const facts = outcome.kind === 'ran' ? parseFacts(outcome.stdout) : undefined;
  if (facts === undefined) {
    const reports = [reportOf(host.hostname, unseenFinding(host, outcome))];
    return { host, facts, reports, isThere: true, installed: [] };
  }
  const reports = judgeHost(settings, host, wanted, facts);
  const state: Report = {
    host: host.hostname,
    fine: stateWords(settings, host, facts),
    findings: judgeState(settings, host, facts, asked),
  };
  const isThere = reports.every(({ findings }) => findings.every(({ id }) => id !== 'not-installed'));
  return {
    host,
    facts,
    reports: isThere ? [...reports, state] : reports,
    isThere,
    installed: reports,
  };
}

/** What is right about its state: only what was looked at. */
function stateWords(settings: Settings, host: HostSettings, facts: HostFacts): string {
  const hasService = homeProgramOf(settings, host)?.service !== '';
  const known = [
    ...(hasService ? ['runs'] : []),
    'its clock is right',
    ...(sectionOf(facts, 'queue') === undefined ? [] : ['no mail for a relay waits']),
  ];
  return known.length > 2 ? `${known.slice(0, -1).join(', ')}, and ${known.at(-1)}` : known.join(', and ');
}

/** Its files and its configuration. */
function judgeHost(settings: Settings, host: HostSettings, wanted: WantedFiles, facts: HostFacts): readonly Report[] {
  const { hostname } = host;
  const program = homeProgramOf(settings, host);
  const release = sectionOf(facts, program === undefined ? 'postfix' : 'program')?.words[0] ?? '';
  const configuration: Report = {
    host: hostname,
    fine: `${program?.title ?? 'Postfix'} ${release} has the right settings`.replace(' unknown', ''),
    findings:
      program === undefined
        ? [...judgeConfiguration(settings, host, facts), ...judgeTunnelEnd(settings, host, facts)]
        : judgeProgram(program, hostname, facts),
  };
  if (sectionOf(facts, 'postfix')?.words[0] === 'missing') {
    return [reportOf(hostname, findingOf('postfix-missing', hostname))];
  }
  if (
    hasNoFiles(facts) &&
    (program !== undefined || configuration.findings.some(({ id }) => id === 'service-missing'))
  ) {
    return [reportOf(hostname, findingOf('not-installed', hostname))];
  }
  const files: Report = {
    host: hostname,
    fine: `its ${wanted.size} files match its bundle`,
    findings: judgeFiles(settings, host, wanted, facts),
  };
  return [files, configuration, ...ownDomainOf(settings, hostname, facts)];
}

/** Not wrong if the mailboxes are on the relay, so it is only said. */
function ownDomainOf({ domain }: Settings, host: HostName, facts: HostFacts): readonly Report[] {
  const [list] = linesOf(facts, 'own-domain');
  if (list === undefined) return [];
  const fine = `delivers mail for ${domain} itself (${list}), and returns it if the user is unknown there`;
  return [{ host, fine, findings: [] }];
}

/** The ids for what kept a script from running on a host. */
export const unseenIds = {
  unreachable: 'ssh-unreachable',
  'host-key': 'ssh-host-key',
  denied: 'ssh-denied',
  'no-sudo': 'no-sudo',
  'no-ssh': 'ssh-missing',
  slow: 'probe-slow',
  ran: 'probe-failed',
} as const;

/** Why nothing is known of a host. */
export function unseenFinding(
  { hostname, ssh }: HostSettings,
  outcome: Awaited<ReturnType<typeof lookAtHost>>,
): Finding {
  const user = ssh.isLocal ? 'this user' : ssh.user;
  const words = outcome.kind === 'ran' ? lastWords(outcome) : outcome.words;
  return findingOf(unseenIds[outcome.kind], hostname, { found: outcome.kind === 'no-sudo' ? user : words });
}

function lastWords({ status, stderr }: Extract<Outcome, { readonly kind: 'ran' }>): string {
  const said = stderr.trim();
  return said === '' ? saidNothing(status) : (said.split('\n').at(-1) ?? '');
}
