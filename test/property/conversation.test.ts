// The SMTP client of `check` against hostile servers, on this machine's loopback: whatever they send, and however
// slowly, a conversation ends in time with a result, uses little memory, and never gets as far as DATA.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import * as fc from '../support/fast-check.js';
import { converse, type Call, type Conversation } from '../../src/probe/conversation.js';

/** Milliseconds. */
const patience = { connect: 2000, reply: 300, whole: 1000 };
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

interface Meeting {
  readonly talk: Conversation;
  /** Everything the client sent. */
  readonly said: string;
  readonly milliseconds: number;
}

/** Has a conversation with a server that may do anything; `serve` gets each connection. */
async function meet(serve: (socket: Socket, said: () => string) => void, withTls = true): Promise<Meeting> {
  let said = '';
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => (said += data.toString('latin1')));
    serve(socket, () => said);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const call: Call = {
    address: '127.0.0.1',
    port,
    helo: 'check.example.org',
    tls: withTls ? { name: 'relayhost.example.org', ca: '', shown: undefined } : undefined,
    mail: { from: 'postmaster@example.org', to: 'postmaster@example.com' },
  };
  const begin = performance.now();
  const talk = await converse(call, patience);
  return { talk, said, milliseconds: performance.now() - begin };
}

/** Answers each command with the next of these. */
function replying(...replies: readonly (string | Buffer)[]): (socket: Socket) => void {
  return (socket: Socket): void => {
    const left = [...replies];
    const next = (): void => {
      const reply = left.shift();
      if (reply !== undefined) socket.write(reply);
    };
    next();
    socket.on('data', next);
  };
}

function flooding(text: string, times = 4096): (socket: Socket) => void {
  return (socket: Socket): void => {
    const flood = text.repeat(times);
    const pour = (): void => {
      while (!socket.destroyed && socket.writable && socket.write(flood));
    };
    socket.on('drain', pour);
    pour();
  };
}

const hello = '220 relayhost.example.org ESMTP\r\n';
const ok = '250 ok\r\n';
const features = '250-relayhost.example.org\r\n250 STARTTLS\r\n';

describe('a server that', () => {
  it.each([
    ['sends a line without end', flooding('x'), 'greeting', 'not-smtp'],
    ['sends a reply without end', flooding('220-x\r\n'), 'greeting', 'not-smtp'],
    ['sends empty lines for ever', flooding('\n'), 'greeting', 'not-smtp'],
    ['speaks HTTP', replying('HTTP/1.1 400 Bad Request\r\n\r\n'), 'greeting', 'not-smtp'],
    ['sends NUL and 8-bit octets', replying(Buffer.from([0, 255, 10])), 'greeting', 'not-smtp'],
    ['says nothing', replying(), 'greeting', 'slow'],
    ['says nothing to EHLO', replying(hello), 'ehlo', 'slow'],
    ['closes at once', (socket: Socket): void => void socket.destroy(), 'greeting', 'closed'],
    [
      'resets after the greeting',
      (socket: Socket): void => {
        socket.write(hello);
        socket.on('data', () => socket.resetAndDestroy());
      },
      'ehlo',
      'closed',
    ],
    ['says more before TLS begins', replying(hello, features, ok, ok, '220 go\r\n250 injected\r\n'), 'tls', 'not-smtp'],
    ['speaks no TLS after STARTTLS', replying(hello, features, ok, ok, '220 go\r\n', '500 what\r\n'), 'tls', 'tls'],
    ['says nothing after STARTTLS', replying(hello, features, ok, ok, '220 go\r\n'), 'tls', 'slow'],
    ['sends garbage as TLS', replying(hello, features, ok, ok, '220 go\r\n', Buffer.alloc(70_000, 22)), 'tls', 'tls'],
  ] as const)('%s: ends in time', async (_, serve, stage, kind) => {
    const { talk, milliseconds } = await meet(serve);
    expect([talk.stage, talk.broken?.kind]).toEqual([stage, kind]);
    expect(milliseconds).toBeLessThan(10_000);
  });

  it('drips an octet now and then: ends by the limit of a reply', async () => {
    const { talk } = await meet((socket) => {
      const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write('2')), 20);
    });
    expect(talk.broken?.kind).toBe('slow');
  });

  it('answers each line only just in time: ends by the limit of the whole', async () => {
    const { talk, milliseconds } = await meet((socket) => {
      const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write('220-x\r\n')), 250);
    });
    expect(talk.broken?.kind).toBe('slow');
    expect(milliseconds).toBeLessThan(10_000);
  });

  it('answers each command only just in time: ends as slow, so that a fleet is not tried one by one', async () => {
    const { talk } = await meet((socket) => {
      const answer = (text: string) => setTimeout(() => socket.write(text), 250);
      answer(hello);
      socket.on('data', () => answer(ok));
    });
    expect(talk.broken).toEqual({ kind: 'slow', words: 'it takes too long' });
  });

  it('floods for a while: uses little memory', async () => {
    const before = process.memoryUsage().rss;
    for (let at = 0; at < 20; at += 1) await meet(flooding('220-x\r\n', 1 << 16));
    expect(process.memoryUsage().rss - before).toBeLessThan(300 << 20);
  });

  it('accepts everything: gets NOOP, MAIL, RCPT, RSET, QUIT, and no DATA', async () => {
    const { talk, said } = await meet(replying(hello, '250 here\r\n', ok, ok, ok, ok, ok, '221 bye\r\n'), false);
    expect(talk.replies.rcpt?.code).toBe(250);
    expect(said.split('\r\n').map((line) => line.split(' ')[0])).toEqual([
      'EHLO',
      'NOOP',
      'NOOP',
      'MAIL',
      'RCPT',
      'RSET',
      'QUIT',
      '',
    ]);
  });
});

it('whatever a server sends, it ends with a result and without DATA', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '220 x\r\n',
      '250-x\r\n',
      '250 x\r\n',
      '250-STARTTLS\r\n',
      '354 go\r\n',
      '421 no\r\n',
      '\r\n',
      '220',
    ),
    fc.string({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.boolean(), async (pieces, withTls) => {
      const { talk, said } = await meet((socket) => {
        const left = pieces.map((text) => Buffer.from(text, 'latin1'));
        const next = (): void => void (left.length > 0 ? socket.write(left.shift() ?? '') : socket.end());
        next();
        socket.on('data', next);
      }, withTls);
      expect(talk.stage).toBeTypeOf('string');
      expect(said).not.toMatch(/^DATA|^BDAT/mu);
    }),
    { numRuns: 60 },
  );
});
