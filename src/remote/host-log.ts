// The mail log of a host in the settings, reached as by runOnHost, or of this machine, as a stream: it may be of any
// size. mail-log.sh finds it there. Nothing is asked, and nothing is changed.

import { RelaycertsError } from '../errors.js';
import type { HostSettings } from '../settings/settings.js';
import { streamOf } from '../sys/stream.js';
import mailLog from './mail-log.sh';
import { shellOn } from './script-run.js';

/** Lines of ssh's and the script's messages that are kept: a banner may come first. */
const mostWords = 20;

/**
 * A host's log; undefined is this machine, as this user. With `stop`, as it grows.
 * @throws tool - ssh is missing here or does not reach the host, or there is no log
 */
export async function* hostLog(host: HostSettings | undefined, stop: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const [command, ...args] = host === undefined ? (['sh'] as const) : shellOn(host);
  const said: string[] = [];
  const status = yield* streamOf(command, args, {
    input: `mode=${stop === undefined ? 'once' : 'follow'}\n${mailLog}`,
    stop,
    hear: (line) => {
      if (said.length < mostWords) said.push(line.trim());
    },
  });
  if (status === 0 || stop?.aborted === true) return;
  const why = said.findLast((line) => line !== '') ?? `it ended with ${status}`;
  const name = host?.hostname ?? 'this machine';
  throw new RelaycertsError(
    'tool',
    `cannot read the mail log of ${name}: ${why.replace(/^relaycerts: error: /u, '')}`,
    {
      hint: { run: ['explain', '-'], before: 'read it there as root and hand it over: cat FILE |' },
    },
  );
}
