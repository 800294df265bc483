// A mail a second from a few homes, while something else happens to the hosts: every mail has to arrive, none may
// bounce, and the test judges why some had to wait.

import { setTimeout as sleep } from 'node:timers/promises';

import type { MailHost, OutsideMx } from './mail-host.js';
import { patienceMs } from './machine.js';

/** What a reloading relay answers to the homes that are connected, as `MailFlow.stop` says it. */
export const reloadReason =
  /^handshake: (?:lost connection|Connection reset)|lost connection with|Connection refused|server dropped connection|4\.3\.2 Service (?:currently )?unavailable/u;

/** What explain calls a reload that a connection meets: the `faults` of a lab with a flow. */
export const reloadFaults = ['handshake-failed', 'connection-refused'];

/** Why mails waited, or a handshake failed, by the logs of homes. Of such a handshake, its own line has the reason. */
export function waitsIn(logs: string): readonly string[] {
  const lines = logs.matchAll(
    /status=deferred \((?!Cannot start TLS: handshake failure\))(.*)\)|SSL_connect error to [^ ]+: (.*)/gu,
  );
  return [...lines].map(([, why, error]) => why ?? `handshake: ${error ?? ''}`);
}

/** How many mails may arrive twice, by the logs of homes: those cut off after the relay had them, as it says. */
export const repeatsIn = (logs: string): number => logs.match(/message may be sent more than once/gu)?.length ?? 0;

let flows = 0;

/** Sends until it is stopped; make one with `startFlow`. */
export interface MailFlow {
  /** Stops sending, waits until all have arrived, and resolves with why some waited or a handshake failed meanwhile. */
  stop(): Promise<readonly string[]>;
}

/** Starts to send, one home after the other. */
export async function startFlow(homes: readonly MailHost[], outside: OutsideMx): Promise<MailFlow> {
  flows += 1;
  const sent = new Set<string>();
  const end = new AbortController();
  await Promise.all(homes.map((home) => home.markLog()));
  const sending = (async () => {
    for (let count = 0; !end.signal.aborted; count += 1) {
      const next = sleep(1000, undefined, { signal: end.signal }).catch(() => undefined);
      const subject = `flow ${flows}, mail ${count}`;
      await homes[count % homes.length]?.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject });
      sent.add(subject);
      await next;
    }
  })();
  return {
    stop: async () => {
      end.abort();
      await sending;
      await waitForAll(sent, homes, outside);
      const logs = (await Promise.all(homes.map((home) => home.mailLog()))).join('');
      const bounced = logs.split('\n').filter((line) => /status=(?:bounced|expired)/u.test(line));
      if (bounced.length > 0) throw new Error(`mail bounced:\n${bounced.join('\n')}`);
      return waitsIn(logs);
    },
  };
}

/** Retries waiting mail repeatedly: a reload just after a flush may undo it. */
async function waitForAll(sent: ReadonlySet<string>, homes: readonly MailHost[], outside: OutsideMx): Promise<void> {
  for (const give = performance.now() + patienceMs; ;) {
    const arrived = new Set((await outside.mails()).flatMap((text) => /^Subject: (.*)$/mu.exec(text)?.slice(1) ?? []));
    const missing = [...sent].filter((subject) => !arrived.has(subject));
    if (missing.length === 0) return;
    if (performance.now() > give) throw new Error(`mail was lost: ${missing.join('; ')}`);
    await Promise.all(homes.map((home) => home.flushQueue()));
    await sleep(500);
  }
}
