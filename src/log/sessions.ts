// The log lines of one SMTP connection belong together, and only its end shows what it was: a client with mail, or
// `relaycerts check`, which tries out whom the relay refuses. So lines to be counted wait for that end. The number of
// waiting lines is limited, and they count as a client's if the end never comes.

import { copyOf } from '../sys/lines.js';
import { Recent } from './recent.js';

/**
 * `mail`: it sent mail, or nothing is known. `trial`: one of check. `probe`: a recipient was accepted, and no mail
 * followed, as when openssl tries by hand or for `check --from`. `nothing`: it got no further than TLS.
 */
export type SessionKind = 'mail' | 'trial' | 'probe' | 'nothing' | 'other';

/** How a session ended, from the counts in "disconnect from". @source Postfix 3.0 RELEASE_NOTES */
export function sessionKind(text: string): SessionKind {
  if (/ (?:data|bdat)=/.test(text)) return 'mail';
  // probe/conversation.ts sends two, for this line.
  if (/ noop=2(?: |$)/.test(text)) return 'trial';
  if (/ rcpt=\d+(?: |$)/.test(text)) return 'probe';
  return text.endsWith(' ehlo=1 starttls=1 commands=2') ? 'nothing' : 'other';
}

/** Counts a line, once it is known whose session it was. */
type Count = (kind: SessionKind) => void;

/** Sessions are half of those that may wait. */
const [mostSessions, mostLines] = [2500, 50];

export class Sessions {
  readonly #waiting = new Recent<Count[]>(mostSessions, (counts) => countAll(counts, 'mail'));
  /** The client whose last session was a probe: the try without a certificate comes next. */
  readonly #probers = new Recent<true>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** False for a session with many waiting lines: they are counted without waiting for its end. */
  hasRoom(session: string): boolean {
    return (this.#waiting.get(session)?.length ?? 0) < mostLines;
  }

  /** Counts a line of a session at the session's end. */
  hold(session: string, count: Count): void {
    const counts = this.#waiting.get(session);
    if (counts !== undefined) {
      counts.push(count);
      return;
    }
    this.#waiting.set(copyOf(session), [count]);
  }

  end(session: string, kind: SessionKind, address: string): void {
    const isSecondTry = this.#probers.delete(address) && kind === 'nothing';
    if (kind === 'probe') this.#probers.set(copyOf(address), true);
    const counts = this.#waiting.get(session) ?? [];
    this.#waiting.delete(session);
    countAll(counts, isSecondTry ? 'trial' : kind);
  }

  endAll(): void {
    this.#waiting.clear();
  }
}

function countAll(counts: readonly Count[], kind: SessionKind): void {
  for (const count of counts) count(kind);
}
