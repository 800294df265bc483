// `relaycerts renew --dkim`: the next stage of a change of DKIM keys. The first run makes the next keys and prints their
// records; the second, once the DNS has them, switches to them; the third removes the former ones, 7 days later.

import { RelaycertsError, quotePath } from '../errors.js';
import { hostsIn } from '../plan/install.js';
import { ed25519Warnings } from '../plan/dkim.js';
import { installParagraph, renderNowRun } from '../render/now-run.js';
import { renewalAnswer } from '../render/renewal.js';
import type { Sys } from '../sys/sys.js';
import { takeDkimStage } from './dkim-stage.js';
import { changing, type GlobalOptions } from './run.js';

export interface RenewDkimOptions extends GlobalOptions {
  /** Remove a former key before its time. */
  readonly force: boolean;
}

/** Exit code 1 if the DNS has a wrong record. @throws settings, contradiction, lock, files */
export async function renewDkim(options: RenewDkimOptions, sys: Sys): Promise<void> {
  await changing(options, sys, async ({ commit, ...work }) => {
    const { settings, inventory } = work;
    if (settings.dkim === undefined || inventory.dkim.length === 0) {
      const message =
        settings.dkim === undefined
          ? `the settings ${quotePath(settings.file)} ask for no DKIM signatures`
          : 'there is no DKIM key yet';
      const hint = settings.dkim === undefined ? 'add "dkim": {} to the settings, and run make' : { run: ['make'] };
      throw new RelaycertsError('usage', message, { hint });
    }
    const change = await takeDkimStage(work, { begin: true, force: options.force });
    for (const { message, hint } of ed25519Warnings(change.dkim)) sys.warn(message, hint);
    const after = { ...inventory, dkim: change.dkim };
    await commit({
      after,
      entries: change.entries,
      done: change.done,
      keeps: [],
      removes: [],
      answer: (install) =>
        renewalAnswer(inventory, after, {
          rekey: false,
          ca: null,
          install,
          retire: [],
          next: null,
          dkim: change.answer,
        }),
      tell: (install) => `${change.text}${renderNowRun(installParagraph(settings, hostsIn(install)))}`,
    });
  });
}
