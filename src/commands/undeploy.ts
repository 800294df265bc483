// `relaycerts deploy --undo`: takes everything back on the hosts. Clients come first: mail of a client whose relays are
// undone waits until it bounces. It removes nothing here, and no key on a host.

import { listSome } from '../errors.js';
import type { HostName } from '../names.js';
import { isFormer } from '../plan/former-hosts.js';
import type { HostInventory } from '../plan/inventory.js';
import { failureCount, type Report } from '../render/deployment.js';
import { pathWord } from '../shell-word.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { inParallel } from '../sys/all-ended.js';
import { takeBack } from './deliver.js';
import { isAgreed, type Deployment } from './deployment.js';

const order = ['smtp-client', 'smtpd-server'] as const;

/** Relays that are not named stay while a client could not be undone. */
export async function undoAll(
  deployment: Deployment,
  named: readonly HostName[],
): Promise<readonly Report[] | undefined> {
  const { settings, inventory, options, sys, note } = deployment;
  const isWanted = (hostname: HostName): boolean => named.length === 0 || named.includes(hostname);
  const all = inventory.hosts.filter(({ host }) => isWanted(host.hostname));
  const removable = all.filter(({ host }) => host.container === undefined);
  const hosts = order.flatMap((role) => removable.filter(({ host }) => host.role === role));
  const left = all.filter((found) => !hosts.includes(found)).map(({ host }) => host.hostname);
  if (left.length > 0) sys.warn(`stop them by hand, because they run in containers: ${listSome(left)}`);
  const visits = hosts.map(({ host: { hostname } }) => ({ hostname, files: 'all' }) as const);
  const kept = `keys and certificates stay there: rm -r ${pathWord(settings.postfix.directory)}\n`;
  const isNamed = hosts.some(({ host }) => !isFormer(deployment.written, host));
  const again = isNamed ? 'the next deploy, by hand or by the renewal timer, installs what the settings name\n' : '';
  const plan = `to undo: ${listSome(visits.map(({ hostname }) => hostname))}\n${kept}${again}`;
  warnOfSenders(deployment, hosts);
  if (!(await isAgreed(deployment, visits, plan))) return undefined;
  sys.progress.begin('hosts', hosts.length);
  const reports: Report[] = [];
  for (const role of order) {
    const ofRole = hosts.filter(({ host }) => host.role === role);
    if (role === 'smtpd-server' && named.length === 0 && failureCount(reports) > 0) {
      const names = ofRole.map(({ host: { hostname } }) => hostname);
      sys.warn('the relays stay, because a client may still need them', {
        run: ['deploy', '--undo', ...names],
        before: 'if none does:',
      });
      return [...reports, ...names.map((host) => ({ host, outcome: 'waiting' }) as const)];
    }
    await inParallel(ofRole, options.parallel, async (found) => {
      const { hostname } = found.host;
      if (failureCount(reports) >= options.maxFailures) {
        reports.push({ host: hostname, outcome: 'waiting' });
        return;
      }
      const result = await takeBack(settings, found, sys);
      await sys.progress.add();
      if (result.kind === 'failed') {
        sys.warn(result.message, result.hint);
        reports.push({ host: hostname, outcome: 'failed', failure: result });
        return;
      }
      await note(hostname, undefined);
      for (const text of result.warnings) sys.warn(`${hostname}: ${text}`);
      reports.push({ host: hostname, outcome: result.kind });
    });
  }
  return reports;
}

/** Clients that stay, as last seen, and send through the relays that go: they use every relay of the settings. */
function warnOfSenders({ inventory, settings, written, sys }: Deployment, hosts: readonly HostInventory[]): void {
  const relays = hosts.filter(({ host }) => host.role === 'smtpd-server' && !isFormer(written, host));
  if (relays.length === 0) return;
  const { hosts: seen } = readInstalled(layoutOf(settings));
  const senders = inventory.hosts
    .filter((one) => one.host.role === 'smtp-client' && !hosts.includes(one))
    .map(({ host: { hostname } }) => hostname)
    .filter((hostname) => seen.has(hostname));
  if (senders.length === 0) return;
  const names = relays.map(({ host: { hostname } }) => hostname);
  sys.warn(`${listSome(senders)} still send through ${listSome(names)}`, {
    run: ['deploy', '--undo', ...senders, ...names],
  });
}
