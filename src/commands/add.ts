// `relaycerts add`: adds a host to the settings, or to the clients' file that they name; comments and order stay. The
// result is checked before anything is written. It makes nothing: that is for `make`, which it names.

import { basename } from 'node:path';
import { RelaycertsError, commandText } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { completeHostName } from '../names.js';
import { installParagraph, renderNowRun } from '../render/now-run.js';
import { addHostTo } from '../settings/host-list.js';
import { hostsOf, type Settings, type SmtpClient } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { noFindings, readCertificate } from '../store/read-file.js';
import { isRevokedHost, readRevoked } from '../store/revoked.js';
import { replaceUnchanged } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { againWords } from './hosts.js';
import { locked } from './locked.js';
import type { GlobalOptions } from './run.js';

export interface AddOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** A relay instead of a client. */
  readonly relay: boolean;
}

/** @throws settings, usage, name, lock, files */
export async function add({ settings: file, json, hostname: word, relay }: AddOptions, sys: Sys): Promise<void> {
  await locked(file, sys, async (settings) => {
    const role = relay ? 'smtpd-server' : 'smtp-client';
    const hostname = completeHostName(word, settings.domain);
    const there = hostsOf(settings).find((host) => host.hostname === hostname);
    if (there !== undefined && there.role !== role) {
      throw new RelaycertsError('usage', `${hostname} is in the settings already, as a ${relay ? 'client' : 'relay'}`, {
        hint: { run: ['remove', hostname], before: 'to give it the other role, first:' },
      });
    }
    const layout = layoutOf(settings);
    // After remove --keep, its certificate is here.
    const certificate = readCertificate(layout.certificate(role, hostname).path, noFindings(-1));
    const revoked = await readRevoked(layout);
    const isRevoked = isRevokedHost(revoked, hostname, certificate?.info);
    const next = commandText(settings.program, isRevoked ? againWords(revoked, hostname) : ['make']);
    const edit = there === undefined ? await addHostTo(settings, { role, name: word }, sys) : undefined;
    if (json) {
      const fields = { host: hostname, role, file: edit?.path ?? null, added: edit !== undefined, next };
      sys.write(writeAnswer('add', fields));
    } else if (!sys.isQuiet) {
      sys.write(renderNext(settings, next, edit !== undefined && relay ? settings.smtpClients : []));
    }
    await sys.flush();
    if (edit !== undefined) await replaceUnchanged(edit.path, edit.before, edit.text, { run: ['add', word] });
    if (json) return;
    sys.say(
      edit === undefined ? `${hostname} is in the settings already` : `added ${hostname} to ${basename(edit.path)}`,
    );
  });
}

/** A new relay is in no client's bundle, only in the client's configuration. */
function renderNext(settings: Settings, next: string, clients: readonly SmtpClient[]): string {
  return renderNowRun(
    { words: 'Now run:', run: [next] },
    installParagraph(
      settings,
      clients.map(({ hostname }) => hostname),
      'Once the new relay is installed, run:',
      true,
    ),
  );
}
