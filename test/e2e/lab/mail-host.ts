// A machine with a stock Debian Postfix: its log, its queue, and mail in and out. Nothing here sets up TLS: that is for
// the tests.

import { z } from 'zod';

import { patienceMs, poll } from './machine.js';
import type { Machine } from './machine.js';
import { abort, logFile, mailMachines, outsideMaildir, readMailLog, restoreStock } from './postfix.js';
import { settle } from './settled.js';

export interface Mail {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
}

/** One line of `postqueue -j` (postqueue(1)). */
const queuedMail = z.object({
  queue_name: z.enum(['active', 'corrupt', 'deferred', 'hold', 'incoming', 'maildrop']),
  queue_id: z.string(),
  sender: z.string(),
  recipients: z.array(z.object({ address: z.string(), delay_reason: z.string().optional() })),
});
export type QueuedMail = z.infer<typeof queuedMail>;

/**
 * Waits until a host has logged a status of one of its mails: it does so after the mail has gone on, or was deferred. Not
 * for ever: a mail that was cut off as it was sent has none.
 */
async function waitForStatus(host: Machine, id: string, status: 'sent' | 'deferred'): Promise<void> {
  const line = new RegExp(`: ${id}: to=<[^\\n]* status=${status} `, 'u');
  await poll(async () => line.test(await readMailLog(host)) || undefined, 20_000);
}

/**
 * A host of the lab. Paths, ports and programs are those of a real Debian host: /etc/postfix, /var/log/mail.log, root's
 * shell.
 */
export class MailHost {
  readonly hostname: string;
  readonly address: string;
  readonly machine: Machine;
  #marked = 0;

  constructor(machine: Machine, address: string) {
    this.machine = machine;
    this.hostname = machine.hostname;
    this.address = address;
  }

  exec(...args: Parameters<Machine['exec']>): ReturnType<Machine['exec']> {
    return this.machine.exec(...args);
  }

  sh(...args: Parameters<Machine['sh']>): ReturnType<Machine['sh']> {
    return this.machine.sh(...args);
  }

  readFile(path: string): Promise<string> {
    return this.machine.readFile(path);
  }

  writeFile(...args: Parameters<Machine['writeFile']>): Promise<void> {
    return this.machine.writeFile(...args);
  }

  /** From here on, mailLog and waitForLog see only what is logged later. */
  async markLog(): Promise<void> {
    this.#marked = (await readMailLog(this.machine)).length;
  }

  /** Takes everything out of the mail log. */
  async emptyLog(): Promise<void> {
    await this.sh(`: > ${logFile}`);
    this.#marked = 0;
  }

  /** The mail log since the last mark. */
  async mailLog(): Promise<string> {
    return (await readMailLog(this.machine)).slice(this.#marked);
  }

  /** Waits until the log since the last mark matches; throws with the log if it does not in time. */
  async waitForLog(pattern: RegExp, timeoutMs = patienceMs): Promise<RegExpExecArray> {
    const found = await poll(async () => pattern.exec(await this.mailLog()) ?? undefined, timeoutMs);
    if (found !== undefined) return found;
    throw new Error(`${this.hostname}: nothing matched ${String(pattern)} in its log:\n${await this.mailLog()}`);
  }

  /**
   * What is in the queue now: mails with a recipient left. If a reload meets a mail in the middle of its delivery, its
   * file stays there for minimal_backoff_time ("skipped, still being delivered"), with the recipient done.
   */
  async queue(): Promise<readonly QueuedMail[]> {
    const { stdout } = await this.exec(['postqueue', '-j']);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => queuedMail.parse(JSON.parse(line)))
      .filter(({ recipients }) => recipients.length > 0);
  }

  /** Waits until a mail is in the deferred queue; resolves with why (`delay_reason`). */
  async waitForDeferred(timeoutMs = patienceMs): Promise<string> {
    const reason = await poll(async () => {
      if ((await this.machine.peekBelow('/var/spool/postfix/deferred')).length === 0) return undefined;
      const deferred = (await this.queue()).find((mail) => mail.queue_name === 'deferred');
      const why = deferred?.recipients[0]?.delay_reason;
      if (deferred !== undefined && why !== undefined) await waitForStatus(this.machine, deferred.queue_id, 'deferred');
      return why;
    }, timeoutMs);
    if (reason !== undefined) return reason;
    throw new Error(`${this.hostname}: no mail was deferred; its log:\n${await this.mailLog()}`);
  }

  /** Waits until no mail is left: what has arrived leaves the queue a moment later. */
  async waitForEmptyQueue(): Promise<void> {
    const isEmpty = async (): Promise<true | undefined> => (await this.queue()).length === 0 || undefined;
    if ((await poll(isEmpty, patienceMs)) !== undefined) return;
    throw new Error(`${this.hostname}: mail stays in the queue; its log:\n${await this.mailLog()}`);
  }

  /** Tries every queued mail again now. */
  async flushQueue(): Promise<void> {
    await this.exec(['postqueue', '-f']);
  }

  /** Hands a mail to sendmail(1), as a program on the host would. */
  async sendMail({ from, to, subject }: Mail): Promise<void> {
    const input = `From: ${from}\nTo: ${to}\nSubject: ${subject}\n\n${subject}\n`;
    await this.exec(['/usr/sbin/sendmail', '-i', '-f', from, to], { input });
  }

  /** Whether this release of Postfix knows a parameter. */
  async knows(parameter: string): Promise<boolean> {
    return (await this.exec(['postconf', '-d', parameter])).stdout !== '';
  }

  /** Sets main.cf parameters with postconf -e; nothing sees them before `reload`. */
  async setMainCf(parameters: Readonly<Record<string, string>>): Promise<void> {
    const words = Object.entries(parameters).map(([name, value]) => `${name} = ${value}`);
    await this.exec(['postconf', '-e', ...words]);
    await this.settleMainCf();
  }

  /** Makes main.cf look 10 s old: every Postfix program waits for up to 2 s where it has only just been written. */
  async settleMainCf(): Promise<void> {
    await this.exec(['touch', '--no-create', '--date=10 seconds ago', '/etc/postfix/main.cf']);
  }

  /** `postfix reload`; resolves once it is done (settled.ts). */
  async reload(): Promise<void> {
    await this.settleMainCf();
    await this.exec(['postfix', 'reload']);
    await settle(this.machine);
  }

  /** Ends Postfix, with all of its processes, and starts it again: no session and no cached connection survives. */
  async restart(): Promise<void> {
    await this.sh(`${abort}\npostfix start > /dev/null 2>&1`);
  }

  /** Does something while the next `postfix reload` fails, and only that one; with a command that runs then. */
  async withFailingReload<T>(work: () => Promise<T>, then = ':'): Promise<T> {
    await this.sh('cp -p /usr/sbin/postfix /run/postfix.real; rm -f /run/reloaded');
    const fake = `#!/bin/sh
[ "$1" != reload ] || [ -e /run/reloaded ] || { touch /run/reloaded; ${then}; exit 1; }
exec /run/postfix.real "$@"\n`;
    await this.machine.writeFile('/run/postfix.fake', fake, '0755');
    await this.sh('mount --bind /run/postfix.fake /usr/sbin/postfix');
    try {
      return await work();
    } finally {
      await this.sh('umount /usr/sbin/postfix');
    }
  }

  /** Back to the stock /etc/postfix and /etc/cron.d, an empty queue and no cached TLS session, with Postfix running. */
  async restorePostfix(): Promise<void> {
    await restoreStock(this.machine);
    await this.markLog();
  }
}

/** Waits until every Postfix that a mail came through has logged that it went on; returns the mail. */
async function logged(mail: string): Promise<string> {
  const hops = [...mail.matchAll(/\bby (\S+) \(Postfix[^)]*\)\s+(?:with \S+ )?id (\w+)/gu)];
  await Promise.all(
    hops.map(async ([, name, id = '']) => {
      const host = mailMachines.find(({ hostname }) => hostname === name);
      if (host !== undefined) await waitForStatus(host, id, 'sent');
    }),
  );
  return mail;
}

/** The outside world's MX: accepts every mail for its domain and keeps it. */
export class OutsideMx extends MailHost {
  readonly #read = new Map<string, string>();

  /** The full text of every mail that has arrived. */
  async mails(): Promise<readonly string[]> {
    // Maildir: what is in new/ is complete, and stays as it is.
    for (const file of await this.machine.peekBelow(`${outsideMaildir}/new`)) {
      if (!this.#read.has(file)) this.#read.set(file, await this.machine.peek(file));
    }
    return [...this.#read.values()];
  }

  /** The full text of the mail with this subject, if it has arrived. */
  async #find(subject: string): Promise<string | undefined> {
    return (await this.mails()).find((text) => text.split('\n').includes(`Subject: ${subject}`));
  }

  /** Waits until a mail with this subject has arrived; resolves with its full text. */
  async waitForMail(subject: string, timeoutMs = patienceMs): Promise<string> {
    const mail = await poll(() => this.#find(subject), timeoutMs);
    if (mail !== undefined) return logged(mail);
    throw new Error(`no mail ${JSON.stringify(subject)} reached ${this.hostname}; its log:\n${await this.mailLog()}`);
  }

  /**
   * Flushes a host's queue until its mail with this subject has arrived. Once is not enough: `postfix reload` does not
   * wait for the processes that it ends, so a flush right after it may be lost, or use the previous configuration.
   */
  async waitForFlushed(host: MailHost, subject: string): Promise<string> {
    let next = 0;
    const mail = await poll(async () => {
      if (performance.now() >= next) {
        await host.flushQueue();
        next = performance.now() + 2000;
      }
      return this.#find(subject);
    }, patienceMs);
    if (mail !== undefined) return logged(mail);
    throw new Error(
      `${host.hostname}: ${JSON.stringify(subject)} stays in the queue; its log:\n${await host.mailLog()}`,
    );
  }
}
