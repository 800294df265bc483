// The mail log of a host in the settings, reached as by runOnHost, or of this machine, as a stream: it may be of any
// size. mail-log.sh finds it there. Nothing is asked, and nothing is changed.

import { RelaycertsError } from '../errors.js';
import type { HostSettings } from '../settings/settings.js';
import { streamOf, type StreamLimits } from '../sys/stream.js';
import mailLog from './mail-log.sh';
import { saidNothing, shellOn } from './script-run.js';

/** A log that is read once has an end, whatever the host sends. */
const limits: StreamLimits = { octets: 8 * 2 ** 30, silentMs: 120_000, wholeMs: 3_600_000 };

/** What the script says first. */
const begun = 'relaycerts: reading the mail log';

/** Lines of ssh's and the script's messages that are kept: a banner may come first. */
const mostWords = 20;

/**
 * A host's log; undefined is this machine, as this user. With `stop`, as it grows.
 * @throws tool - ssh is missing here or does not reach the host, there is no log, or it does not end
 */
export async function* hostLog(host: HostSettings | undefined, stop: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const [command, ...args] = host === undefined ? (['sh'] as const) : shellOn(host);
  const said: string[] = [];
  let isRead = false;
  try {
    const status = yield* streamOf(command, args, {
      input: `mode=${stop === undefined ? 'once' : 'follow'}\n${mailLog}`,
      stop,
      limits: stop === undefined ? limits : undefined,
      hear: (line) => {
        if (line === begun) isRead = true;
        else if (said.length < mostWords) said.push(line.trim());
      },
    });
    if ((status === 0 && isRead) || stop?.aborted === true) return;
    const ended = isRead ? `it ended with ${status ?? 'a signal'}` : saidNothing(status);
    throw new RelaycertsError('tool', said.findLast((line) => line !== '') ?? ended);
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    const name = host?.hostname ?? 'this machine';
    const why = error.message.replace(/^relaycerts: error: /u, '');
    throw new RelaycertsError('tool', `cannot read the mail log of ${name}: ${why}`, {
      hint: { run: ['explain', '-'], before: 'read it there as root, and pipe it here: cat FILE |' },
      cause: error,
    });
  }
}
