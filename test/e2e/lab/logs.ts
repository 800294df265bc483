// Everything the hosts of a lab logged, read by the code of `relaycerts explain`: a lab declares what its tests put in,
// and nothing else is called a fault; and no lab has a line about TLS or the relay that explain does not know.

import { logTally, type LogSummary } from '../../../src/log/tally.js';
import type { MailHost } from './mail-host.js';

/** Exim has its own log. */
const logs = ['/var/log/mail.log', '/var/log/exim4/mainlog'];

/** Warnings and errors, but for those of the machine's clocks, which are a tick apart. */
export function warningsIn(log: string): readonly string[] {
  const isWarning = /warning|error|fatal|backwards-compatible|legacy/u;
  const isOfClocks = /file system clock is \d+ seconds? ahead|resetting file time stamps/u;
  return log.split('\n').filter((line) => isWarning.test(line) && !isOfClocks.test(line));
}

/** What explain reports for each host. */
async function summaryOf(host: MailHost, names: ReadonlySet<string>): Promise<LogSummary> {
  const { sink, summary } = logTally(names);
  for (const path of logs) sink.add(Buffer.from(await host.machine.peek(path)));
  sink.end();
  return summary();
}

/** Throws if the logs contain what they should not. */
export async function judgeLogs(hosts: readonly MailHost[], expected: readonly string[] | 'any'): Promise<void> {
  const names = new Set(hosts.map(({ hostname }) => hostname));
  const found = await Promise.all(
    hosts.map(async (host) => {
      const { faults, unknown } = await summaryOf(host, names);
      return [
        ...faults.flatMap(({ kind: { id }, line }) =>
          expected === 'any' || expected.includes(id) ? [] : [`${host.hostname}: ${id}: ${line}`],
        ),
        ...unknown.map(({ line }) => `${host.hostname}: unknown: ${line}`),
      ];
    }),
  );
  const lines = found.flat();
  if (lines.length > 0) throw new Error(`the logs of this lab say:\n${lines.join('\n')}`);
}
