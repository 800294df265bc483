// Another server in the place of the relay, on its port, which refuses for good whatever it is told. It notes each
// connection, and what it is told, after the address of the client.

import { expect } from 'vitest';

import type { MailHost } from './mail-host.js';

const told = '/run/lab/told';

/** Takes the relay's own service off the port, and starts the other server; resolves with what ends that one. */
export async function startStandIn(relay: MailHost, greeting: string): Promise<() => Promise<void>> {
  await relay.exec(['postconf', '-M#', '2500/inet']);
  await relay.reload();
  await expect.poll(async () => (await relay.exec(['ss', '-Hltn', 'sport = :2500'])).stdout).toBe('');
  const server = `const { appendFileSync } = require('node:fs');
require('node:net').createServer((socket) => {
  const client = socket.remoteAddress.replace('::ffff:', '');
  appendFileSync('${told}', client + ' connects\\n');
  socket.on('error', () => {}).on('data', (data) => {
    appendFileSync('${told}', client + ' ' + data);
    socket.write('550 no\\r\\n');
  }).write('${greeting}\\r\\n');
}).listen(2500, () => appendFileSync('${told}', ''));`;
  await relay.writeFile('/run/lab/stand-in.cjs', server);
  await relay.sh(`rm -f ${told}
/opt/bin/node /run/lab/stand-in.cjs > /dev/null 2>&1 & echo $! > /run/lab/stand-in.pid
until [ -e ${told} ]; do sleep 0.1; done`);
  return async () => {
    await relay.sh('kill "$(cat /run/lab/stand-in.pid)"');
  };
}

/** What the other server was told. */
export function toldToStandIn(relay: MailHost): Promise<string> {
  return relay.machine.peek(told);
}
