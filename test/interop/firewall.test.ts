// The line for nftables, in a network of its own: with it a connection gets through that the host's rules refuse.

import { spawnSync } from 'node:child_process';
import { beforeAll, expect, it } from 'vitest';
import { firewallStep } from '../../src/render/firewall.js';
import { parseSettings } from '../../src/settings/schema.js';
import { requireTools } from '../support/require-tools.js';
import { smallSettings } from '../support/project.js';

beforeAll(() => requireTools('unshare', 'ip', 'nft'));

const settings = parseSettings(smallSettings(), {
  file: '/project/settings.json',
  home: '/home/operator',
  program: 'relaycerts',
  command: 'relaycerts',
  uid: 0,
});

/** Prints what a client of port 2500 gets, before and after the line on stdin. */
const tried = `
const { execSync } = require('node:child_process');
const net = require('node:net');
const line = require('node:fs').readFileSync(0, 'utf8');
const connect = () => new Promise((fulfil) => {
  const socket = net.connect(2500, '127.0.0.1', () => { socket.destroy(); fulfil('open'); });
  socket.on('error', ({ code }) => fulfil(code));
});
const server = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(2500, async () => {
  console.log(await connect());
  execSync(line);
  console.log(await connect());
  server.close();
});
`;

it.each(['reject', 'tcp dport 1-65535 reject with tcp reset'])('opens the port before a final "%s"', (last) => {
  const { parts } = firewallStep(settings, settings.smtpdServers[0]);
  const [, line = ''] = /\n {4}(nft .*)$/mu.exec(parts.filter((part) => typeof part === 'string').join('\n')) ?? [];
  const rules = `
ip link set lo up
nft add table inet filter
nft 'add chain inet filter input { type filter hook input priority 0; policy accept; }'
nft add rule inet filter input ct state established,related accept
nft add rule inet filter input ${last}
exec "$@"`;
  const words = ['-n', 'sh', '-ec', rules, 'sh', process.execPath, '-e', tried];
  const { stdout, stderr } = spawnSync('unshare', words, { input: line, encoding: 'utf8' });
  expect([stdout.split('\n'), stderr]).toEqual([['ECONNREFUSED', 'open', ''], '']);
});
