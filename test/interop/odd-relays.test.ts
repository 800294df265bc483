// Relays that show odd certificates, or end or hang in the handshake: check has one finding for each, in time, and its
// words are safe for a terminal. openssl makes the certificates, because our own code would not.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { judgeConnection } from '../../src/check/relay.js';
import { converse } from '../../src/probe/conversation.js';
import { threeHosts } from '../support/inventory.js';

const [relay] = threeHosts.smtpdServers;
const patience = { connect: 2000, reply: 1000, whole: 4000 };
const servers: Server[] = [];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-odd-'));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Key and certificate, one PEM each. */
function makePair(...options: readonly (string | Buffer)[]): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '9'];
  execFileSync('openssl', [...words, '-keyout', key, '-out', cert, ...options.map(String)], { stdio: 'ignore' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

/** Speaks SMTP until STARTTLS, then does this. */
async function findWith(
  startTls: (socket: Socket) => void,
): Promise<readonly { readonly id: string; readonly message: string }[]> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 relayhost.example.org ESMTP\r\n');
    const onData = (data: Buffer): void => {
      const text = data.toString('latin1');
      if (text.startsWith('EHLO')) socket.write('250-relayhost.example.org\r\n250 STARTTLS\r\n');
      else if (text.startsWith('NOOP')) socket.write('250 ok\r\n');
      else if (text.startsWith('STARTTLS')) {
        socket.off('data', onData);
        socket.write('220 go\r\n');
        startTls(socket);
      }
    };
    socket.on('data', onData);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const tls = { name: relay.hostname, ca: '', shown: undefined };
  const talk = await converse({ address: '127.0.0.1', port, helo: 'x', tls, mail: undefined }, patience);
  return judgeConnection(talk, { relay, certificate: undefined, names: [relay.hostname] });
}

/** Ends the handshake with this certificate, and the connection at EHLO. */
const showing =
  ({ key, cert }: { readonly key: string; readonly cert: string }) =>
  (socket: Socket): void => {
    const secure = new TLSSocket(socket, { isServer: true, key, cert });
    secure.on('error', () => undefined);
    secure.on('data', () => secure.destroy());
  };

it.each([
  ['without a subject', ['-subj', '/', '-addext', 'subjectAltName=critical,DNS:relayhost.example.org'], 'nobody'],
  ['with octets that are not UTF-8', ['-subj', '/CN=caf\u00E9\u202E\u001B[2J'], 'caf'],
  ['with a long name', ['-subj', `/O=${'x'.repeat(64)}/OU=${'y'.repeat(64)}/CN=${'z'.repeat(64)}`], 'xxx'],
  [
    'with a hundred names',
    ['-subj', '/CN=x', '-addext', `subjectAltName=${'DNS:a.example.net,'.repeat(99)}DNS:b`],
    'CN=x',
  ],
] as const)('a certificate %s is one that this CA did not issue', async (_, options, word) => {
  const [finding, ...more] = await findWith(showing(makePair(...options)));
  expect([finding?.id, more]).toEqual(['served-untrusted', []]);
  expect(finding?.message).toContain(word);
  expect(finding?.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(finding?.message.length).toBeLessThan(500);
});

it('a chain of a thousand certificates is refused by the handshake', async () => {
  const { key, cert } = makePair('-subj', '/CN=x');
  const [finding] = await findWith(showing({ key, cert: cert.repeat(1000) }));
  expect(finding?.id).toBe('handshake-failed');
});

it.each([
  ['hangs after its first record', Buffer.from('160303003d02000039', 'hex')],
  ['hangs at once', Buffer.alloc(0)],
])('a relay that %s: the handshake does not begin', async (_, octets) => {
  const [finding] = await findWith((socket) => {
    socket.once('data', () => socket.write(octets));
  });
  expect([finding?.id, finding?.message.includes('the handshake does not end')]).toEqual(['handshake-failed', true]);
});
