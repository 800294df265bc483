// The mail log of a host of the settings, over ssh with the user's own configuration, or of this machine. mail-log.sh finds
// it there. Nothing is asked, and nothing is changed.

import { RelaycertsError } from '../errors.js';
import type { HostSettings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { streamOf } from '../sys/stream.js';
import mailLog from './mail-log.sh';

/** Seconds until a host that does not answer counts as unreachable. */
const connectSeconds = 10;

/**
 * A host's log; undefined is this machine. With `stop`, as it grows.
 * @throws tool - there is no ssh, it does not reach the host, or there is no log
 */
export async function* hostLog(host: HostSettings | undefined, stop: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const mode = stop === undefined ? 'once' : 'follow';
  const [command = 'sh', ...args] = host === undefined || host.ssh.isLocal ? ['sh', '-s', mode] : sshTo(host, mode);
  const said: string[] = [];
  const source = streamOf(command, args, {
    input: mailLog,
    stop,
    hear: (line) => {
      if (said.length < 20) said.push(line);
    },
  });
  const status = yield* source;
  if (status === 0 || stop?.aborted === true) return;
  const name = host?.hostname ?? 'this machine';
  const why = said.findLast((line) => line.trim() !== '' && !line.startsWith('relaycerts: log: ')) ?? `it ended with ${status}`;
  throw new RelaycertsError('tool', `cannot read the mail log of ${name}: ${why.replace(/^relaycerts: error: /u, '')}`, {
    hint: 'read it there and hand it over: relaycerts explain - < FILE',
  });
}

function sshTo({ ssh: { user, host, port, needsSudo } }: HostSettings, mode: string): readonly string[] {
  const options = ['BatchMode=yes', `ConnectTimeout=${connectSeconds}`].flatMap((one) => ['-o', one]);
  const place = [...(port === 22 ? [] : ['-p', String(port)]), `${user}@${host}`];
  return ['ssh', '-T', ...options, ...place, `${needsSudo ? 'sudo -n ' : ''}sh -s ${shellWord(mode)}`];
}
