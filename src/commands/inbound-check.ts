// `check` of mail from the world: each relay tries to hand mail over to home, home tries its own service, and the limits
// of both are compared. Only hosts that ssh reaches are asked.

import type { HostCheck } from '../check/host.js';
import { judgeLimits } from '../check/host-inbound.js';
import { checkHandOver, checkOwnDoor } from '../check/inbound.js';
import type { Report } from '../check/report.js';
import { mostAtOnce } from '../remote/script-run.js';
import { inParallel } from '../sys/all-ended.js';
import type { Work } from './run.js';

/** The relays among these hosts, and home; none if the settings do not ask. */
export async function checkWayHome(
  { settings, sys }: Pick<Work, 'settings' | 'sys'>,
  checked: readonly HostCheck[],
): Promise<readonly Report[]> {
  const { inbound } = settings;
  if (inbound === undefined) return [];
  const seen = checked.flatMap(({ host, facts, isThere }) =>
    host.isInbound && isThere && facts !== undefined ? [{ host, facts, hostname: host.hostname }] : [],
  );
  const home = seen.find(({ hostname }) => hostname === inbound.home);
  const limits = seen.flatMap((relay): readonly Report[] => {
    if (home === undefined || relay.host.role !== 'smtpd-server') return [];
    const fine = `accepts no mail that ${home.hostname} would refuse for its size or its address`;
    return [{ host: relay.hostname, fine, findings: judgeLimits(inbound, relay, home) }];
  });
  const tries = await inParallel(seen, mostAtOnce, ({ host }) => {
    sys.detail(`trying ${inbound.home} from ${host.hostname}`);
    return host.role === 'smtpd-server'
      ? checkHandOver(settings, inbound, host, sys)
      : checkOwnDoor(settings, inbound, host, sys);
  });
  return [...limits, ...tries];
}
