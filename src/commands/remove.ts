// `relaycerts remove`: removes a host from the settings, or from the clients' file that they name, and revokes it, so
// that neither its pin nor its key comes back. The commands that undo its configuration are printed first, while all of
// it is known. A host that is no longer in the settings is revoked in the same way. If it is interrupted between the
// two, the same command continues.

import { basename } from 'node:path';
import { writeAnswer } from '../json-text.js';
import { isFormer } from '../plan/former-hosts.js';
import type { Install } from '../plan/install.js';
import { installWithout, renderRemoval } from '../render/removal.js';
import { removeHostFrom } from '../settings/host-list.js';
import { replaceUnchanged } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { findHost } from './hosts.js';
import { planRevocationOf } from './revocation.js';
import { changing, type GlobalOptions } from './run.js';

export interface RemoveOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** Revoke nothing: key and certificate stay here, and are reused if the host is added again. */
  readonly keep: boolean;
}

/** @throws settings, usage, lock, files */
export async function remove(options: RemoveOptions, sys: Sys): Promise<void> {
  const { hostname: word, keep, json } = options;
  await changing(
    options,
    sys,
    async (frame) => {
      const one = findHost(frame.settings, word);
      const { hostname, role } = one;
      const edit = isFormer(frame.named, one) ? undefined : await removeHostFrom(frame.named, one, sys);
      const { lines, files, after, isDone } = await planRevocationOf(frame, one);
      const wasMade = lines.length + files.keeps.length > 0;
      const isRevoked = wasMade && !keep && !isDone;
      const settings = edit?.settings ?? frame.named;
      const answer = (news: readonly Install[]): string => {
        const install = wasMade ? installWithout(settings, one, { install: news, after }) : [];
        return writeAnswer('remove', { host: hostname, role, revoked: isRevoked, file: edit?.path ?? null, install });
      };
      const tell = (install: readonly Install[]): string =>
        wasMade ? renderRemoval(settings, one, { install, after }, keep) : '';
      if (isRevoked) {
        const done = lines.map(({ serial }) => `revoked ${hostname}, serial ${serial}`);
        await frame.commit({ after, entries: lines, ...files, answer, tell, done });
      } else {
        sys.write(json ? answer([]) : sys.isQuiet ? '' : tell([]));
        await sys.flush();
      }
      if (edit !== undefined) {
        await replaceUnchanged(edit.path, edit.before, edit.text, { run: ['remove', hostname] });
        sys.say(`removed ${hostname} from ${basename(edit.path)}`);
      } else if (!isRevoked) {
        sys.say(`nothing to do: ${hostname} is not in the settings`);
      }
    },
    { isUrgent: true, former: [word] },
  );
}
