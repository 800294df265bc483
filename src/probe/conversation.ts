// One SMTP conversation with a relay, as a client with or without a certificate: the greeting, EHLO, two NOOPs, STARTTLS,
// EHLO, MAIL and RCPT, then RSET and QUIT. It never sends DATA, so it never becomes a mail, and each step and the whole
// have a time limit. check/ interprets the answers.

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { systemCode } from '../errors.js';
import { ConversationBreak, ReplyReader, type BreakKind, type Reply } from './lines.js';

/** Milliseconds. */
export interface Patience {
  readonly connect: number;
  /** For a reply, and for the handshake. */
  readonly reply: number;
  readonly whole: number;
}

const usualPatience: Patience = { connect: 10_000, reply: 20_000, whole: 60_000 };

/** A certificate to show, and its key, both PEM. */
export interface Shown {
  readonly certificate: string;
  readonly key: string | Buffer;
}

export interface Call {
  /** IPv4 or IPv6. */
  readonly address: string;
  readonly port: number;
  readonly helo: string;
  /**
   * Undefined: no STARTTLS is sent. `ca`: the PEM of the CAs to trust; `name`: the name that the certificate must have.
   */
  readonly tls: { readonly name: string; readonly ca: string; readonly shown: Shown | undefined } | undefined;
  /** Undefined: it ends after EHLO. */
  readonly mail: { readonly from: string; readonly to: string } | undefined;
}

interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  /** OpenSSL's code for a bad chain (`CERT_HAS_EXPIRED`); undefined if the chain is good. */
  readonly flaw: string | undefined;
  readonly hasName: boolean;
  /** The certificate that was shown: DER. */
  readonly certificate: Buffer | undefined;
}

export type Stage = 'connect' | 'greeting' | 'ehlo' | 'starttls' | 'tls' | 'ehlo-tls' | 'mail' | 'rcpt';

export interface Conversation {
  readonly call: Call;
  /** This end's address. */
  readonly from: string | undefined;
  readonly replies: Readonly<Partial<Record<Stage, Reply>>>;
  readonly tls: TlsFacts | undefined;
  /** The last stage that was reached; complete if nothing broke it off and every reply allowed the next step. */
  readonly stage: Stage;
  readonly broken: { readonly kind: BreakKind; readonly words: string } | undefined;
}

/** Holds a conversation. It never throws because of the server: that is in the result. */
export async function converse(call: Call, patience: Patience = usualPatience): Promise<Conversation> {
  const talk = new Talk(call, patience);
  const timer = setTimeout(() => talk.end(new ConversationBreak('slow', 'it takes too long')), patience.whole);
  try {
    await talk.run();
    return talk.result(undefined);
  } catch (error) {
    if (!(error instanceof ConversationBreak)) throw error;
    return talk.result(error);
  } finally {
    clearTimeout(timer);
    talk.end(undefined);
  }
}

class Talk {
  readonly #call: Call;
  readonly #patience: Patience;
  readonly #replies: Partial<Record<Stage, Reply>> = {};
  #stage: Stage = 'connect';
  #tls: TlsFacts | undefined;
  #from: string | undefined;
  #socket: Socket | undefined;
  #reader: ReplyReader | undefined;
  #isOver = false;

  constructor(call: Call, patience: Patience) {
    this.#call = call;
    this.#patience = patience;
  }

  async run(): Promise<void> {
    const { tls, mail, helo } = this.#call;
    const socket = await this.#connect();
    this.#from = socket.localAddress;
    this.#reader = new ReplyReader(socket);
    if (!(await this.#next('greeting', undefined))) return;
    if (!(await this.#next('ehlo', `EHLO ${helo}`))) return;
    // The relay's log then counts two, and `explain` takes none of this for a client's fault (log/sessions.ts).
    await this.#noop();
    await this.#noop();
    if (tls !== undefined) {
      if (!(await this.#next('starttls', 'STARTTLS'))) return;
      this.#stage = 'tls';
      this.#reader.release();
      this.#reader = new ReplyReader(await this.#handshake(socket, tls));
      if (!(await this.#next('ehlo-tls', `EHLO ${helo}`))) return;
    }
    if (mail !== undefined && (await this.#next('mail', `MAIL FROM:<${mail.from}>`))) {
      await this.#next('rcpt', `RCPT TO:<${mail.to}>`);
    }
    // The connection ends in any case.
    this.#socket?.write('RSET\r\nQUIT\r\n');
    await this.#reader.reply(1000).catch(() => undefined);
  }

  /** True if the reply lets the conversation go on. */
  async #next(stage: Stage, command: string | undefined): Promise<boolean> {
    this.#stage = stage;
    if (command !== undefined) this.#socket?.write(`${command}\r\n`);
    const reply = await this.#reader?.reply(this.#patience.reply);
    if (reply === undefined) return false;
    this.#replies[stage] = reply;
    return reply.code >= 200 && reply.code < 300;
  }

  /** Whatever the answer is. */
  async #noop(): Promise<void> {
    this.#socket?.write('NOOP\r\n');
    await this.#reader?.reply(this.#patience.reply);
  }

  #connect(): Promise<Socket> {
    const { address, port } = this.#call;
    return new Promise((resolve, reject) => {
      const socket = connectTcp({ host: address, port });
      this.#socket = socket;
      const timer = setTimeout(() => {
        reject(new ConversationBreak('slow', 'no answer'));
        socket.destroy();
      }, this.#patience.connect);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', onError);
        resolve(socket);
      });
      const onError = (error: Error): void => {
        clearTimeout(timer);
        const code = systemCode(error);
        const kind = code === 'ECONNREFUSED' ? 'refused' : code === 'ETIMEDOUT' ? 'slow' : 'unreachable';
        reject(new ConversationBreak(kind, code ?? error.message));
      };
      socket.once('error', onError);
      socket.once('close', () => {
        clearTimeout(timer);
        reject(new ConversationBreak('closed', 'it closed the connection'));
      });
    });
  }

  #handshake(socket: Socket, { name, ca, shown }: NonNullable<Call['tls']>): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const fail = (why: ConversationBreak): void => {
        clearTimeout(timer);
        reject(why);
      };
      const failTls = (words: string): void => fail(new ConversationBreak('tls', words));
      const secure = connectTls({
        socket,
        servername: name,
        ca,
        ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.key }),
        minVersion: 'TLSv1.2',
        // A bad certificate is a result, and the name is checked below.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      this.#socket = secure;
      const timer = setTimeout(() => {
        fail(new ConversationBreak('slow', 'the handshake does not end'));
        secure.destroy();
      }, this.#patience.reply);
      secure.on('error', (error: Error) => (error instanceof ConversationBreak ? fail(error) : failTls(error.message)));
      secure.once('close', () => failTls('it closed the connection in the handshake'));
      secure.once('secureConnect', () => {
        clearTimeout(timer);
        const certificate = secure.getPeerX509Certificate();
        const flaw: unknown = secure.authorizationError;
        this.#tls = {
          protocol: secure.getProtocol() ?? '',
          cipher: secure.getCipher().name,
          flaw: secure.authorized ? undefined : String(flaw),
          hasName: certificate?.checkHost(name, { subject: 'never' }) !== undefined,
          certificate: certificate === undefined ? undefined : Buffer.from(certificate.raw),
        };
        resolve(secure);
      });
    });
  }

  result(error: ConversationBreak | undefined): Conversation {
    const broken = error === undefined ? undefined : { kind: error.kind, words: error.message };
    return { call: this.#call, from: this.#from, replies: this.#replies, tls: this.#tls, stage: this.#stage, broken };
  }

  /** Ends the connection; `why` if that is a result. */
  end(why: ConversationBreak | undefined): void {
    if (this.#isOver) return;
    this.#isOver = why === undefined;
    this.#socket?.on('error', () => undefined);
    this.#socket?.destroy(why);
  }
}
