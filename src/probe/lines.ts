// Reads the replies of an SMTP server from a socket, with a limit on everything that the server decides: octets of a
// line, lines of a reply, total octets, and time. It knows only the form of a reply.

import type { Socket } from 'node:net';

/** Octets; RFC 5321 4.5.3.1.5 has 512, and servers exceed it. */
const longestLine = 2048;
const mostLines = 100;
/** Octets of one conversation. */
const mostOctets = 1 << 16;

/** A whole reply: its code and the texts of its lines, Latin-1 and never trusted. */
export interface Reply {
  readonly code: number;
  readonly lines: readonly string[];
}

/** Why a conversation ended early. */
export type BreakKind = 'refused' | 'unreachable' | 'slow' | 'closed' | 'not-smtp' | 'tls';

export class ConversationBreak extends Error {
  override readonly name = 'ConversationBreak';
  readonly kind: BreakKind;

  constructor(kind: BreakKind, words: string) {
    super(words);
    this.kind = kind;
  }
}

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: ConversationBreak) => void;
}

/** The lines that come from a socket, until `release`. */
export class ReplyReader {
  readonly #socket: Socket;
  #text = '';
  #octets = 0;
  #end: ConversationBreak | undefined;
  #waiting: Waiting | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  readonly #onData = (data: Buffer): void => {
    this.#octets += data.length;
    if (this.#octets > mostOctets) this.#stop(new ConversationBreak('not-smtp', 'it sends without end'));
    else this.#text += data.toString('latin1');
    this.#deliver();
  };

  readonly #onError = (error: Error): void => {
    this.#stop(error instanceof ConversationBreak ? error : new ConversationBreak('closed', error.message));
  };

  readonly #onClose = (): void => {
    this.#stop(new ConversationBreak('closed', 'it closed the connection'));
  };

  #stop(why: ConversationBreak): void {
    this.#end ??= why;
    this.#socket.destroy();
    this.#deliver();
  }

  #deliver(): void {
    if (this.#waiting === undefined) return;
    const at = this.#text.indexOf('\n');
    const { resolve, reject } = this.#waiting;
    if (at >= 0 && at <= longestLine) {
      const line = this.#text.slice(0, at).replace(/\r$/u, '');
      this.#text = this.#text.slice(at + 1);
      this.#waiting = undefined;
      resolve(line);
    } else if (this.#text.length > longestLine) {
      this.#waiting = undefined;
      reject(new ConversationBreak('not-smtp', `a line without end: ${this.#text.slice(0, 60)}`));
    } else if (this.#end !== undefined) {
      this.#waiting = undefined;
      reject(this.#end);
    }
  }

  #line(milliseconds: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#stop(new ConversationBreak('slow', 'it does not answer'));
      }, milliseconds);
      const done =
        <Value>(give: (value: Value) => void) =>
        (value: Value): void => {
          clearTimeout(timer);
          give(value);
        };
      this.#waiting = { resolve: done(resolve), reject: done(reject) };
      this.#deliver();
    });
  }

  /** The next reply. @throws ConversationBreak @source RFC 5321 4.2 */
  async reply(milliseconds: number): Promise<Reply> {
    const end = performance.now() + milliseconds;
    const lines: string[] = [];
    for (;;) {
      const line = await this.#line(Math.max(1, end - performance.now()));
      const [, code, mark, text = ''] = /^(\d{3})(?:([ -])(.*))?$/u.exec(line) ?? [];
      if (code === undefined) throw new ConversationBreak('not-smtp', line.slice(0, 100));
      lines.push(text);
      if (mark !== '-') return { code: Number(code), lines };
      if (lines.length >= mostLines) throw new ConversationBreak('not-smtp', 'a reply without end');
    }
  }

  /** Releases the socket, for TLS. @throws ConversationBreak - the server sent more, which TLS would not protect */
  release(): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('error', this.#onError);
    this.#socket.off('close', this.#onClose);
    if (this.#text !== '') throw new ConversationBreak('not-smtp', 'it sends more before TLS begins');
  }
}
