// A relay that accepts a home's connection and then says nothing: the look from home ends by itself, ends with a limit
// around it, and leaves no process; with the timeout(1) of coreutils and with busybox's.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { factsFrom, judgeLook } from '../../src/check/from-home.js';
import { renderProbeFrom } from '../../src/render/probe-from.js';
import { threeHosts } from '../support/inventory.js';
import { putMade } from '../support/made-project.js';
import { makeProject, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

const [relay] = threeHosts.smtpdServers;
const [home] = threeHosts.smtpClients;
const server = createServer({ allowHalfOpen: true });
let project: Project;

beforeEach(async () => {
  requireTools('openssl', 'busybox');
  project = makeProject();
  await putMade(project);
  mkdirSync(project.path('busybox'));
  for (const name of ['sh', 'timeout']) symlinkSync('/usr/bin/busybox', project.path('busybox', name));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  project.remove();
});

it.each([
  ['coreutils', '', 1, 'sh'],
  ['busybox', 'busybox', 1, 'sh'],
  ['coreutils, whose limit around it is shorter', '', 600, 'timeout 1 sh'],
])('%s', async (_, tools, seconds, command) => {
  const { port } = server.address() as AddressInfo;
  const text = renderProbeFrom(threeHosts, home, {
    peers: [{ hostname: relay.hostname, place: `127.0.0.1:${port}` }],
    sender: '',
    recipients: ['postmaster@example.com'],
    isTrial: false,
  });
  const script = text
    .replace(/^folder=.*$/mu, `folder='${project.path('hosts', home.hostname)}'`)
    .replace('$words 60', `$words ${seconds}`);
  const env = { ...process.env, PATH: `${project.path(tools)}:${process.env['PATH']}` };
  const child = spawn('sh', ['-c', command], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.end(script);
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  const [socket] = (await once(server, 'connection')) as [Socket];
  socket.resume();
  // It closes its end only when openssl is gone.
  await Promise.all([once(child, 'close'), once(socket, 'end')]);
  socket.destroy();
  if (seconds > 1) return;
  const reports = judgeLook(threeHosts, home, factsFrom(home, { kind: 'ran', status: 0, stdout, stderr: '' }));
  expect(reports[0]?.findings.map(({ id }) => id)).toEqual(['no-connection']);
});
