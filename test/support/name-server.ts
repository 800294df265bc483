// DNS servers for tests, on 127.0.0.1: BIND's named with zones of its own, and a UDP socket that answers as a test says,
// for what no honest server does.

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTools } from './require-tools.js';

export interface NameServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  stop(): Promise<void>;
}

export interface Bind extends NameServer {
  readonly folder: string;
  /** Puts other records into zones, and waits until they are answered. */
  replace(records: Readonly<Record<string, string>>): Promise<void>;
}

const head = (zone: string, serial: number): string =>
  `$TTL 60\n@ IN SOA ns.${zone}. admin.${zone}. ${serial} 3600 600 86400 60\n@ IN NS ns.${zone}.\nns IN A 127.0.0.1\n`;

/** The whole text of a zone, with SOA and NS. */
export function zoneText(zone: string, records: string, serial = 1): string {
  return `$ORIGIN ${zone}.\n${head(zone, serial)}${records}\n`;
}

/** Starts named with zones by name; a name without records is a zone that cannot be loaded: SERVFAIL. */
export async function startBind(zones: Readonly<Record<string, string | undefined>>): Promise<Bind> {
  requireTools('named', 'named-checkzone');
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-named-'));
  const port = await freePort();
  const serials = new Map<string, number>();
  const write = (zone: string, records: string): number => {
    const serial = (serials.get(zone) ?? 0) + 1;
    serials.set(zone, serial);
    writeFileSync(join(folder, zone), zoneText(zone, records, serial));
    return serial;
  };
  for (const [zone, records] of Object.entries(zones)) if (records !== undefined) write(zone, records);
  const listed = Object.keys(zones).map((zone) => `zone "${zone}" { type master; file "${join(folder, zone)}"; };`);
  const configuration = join(folder, 'named.conf');
  const options = `directory "${folder}"; pid-file none; recursion no; dnssec-validation no; listen-on-v6 { none; };`;
  writeFileSync(
    configuration,
    `options { ${options} listen-on port ${port} { 127.0.0.1; }; session-keyfile none; };\ncontrols { };\n${listed.join('\n')}\n`,
  );
  // AppArmor lets the program at its usual place read only its usual folders.
  const program = join(folder, 'named-copy');
  copyFileSync('/usr/sbin/named', program);
  chmodSync(program, 0o755);
  const child = spawn(program, ['-g', '-n', '1', '-c', configuration], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const ended = once(child, 'close');
  const waitFor = (line: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!log.includes(line)) return;
        child.stderr.off('data', look);
        resolve();
      };
      child.stderr.on('data', look);
      child.once('close', () => reject(new Error(`named ended before "${line}":\n${log}`)));
      look();
    });
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await waitFor(' running\n');
  return {
    address: `127.0.0.1:${port}`,
    folder,
    replace: async (records) => {
      const loaded = Object.entries(records).map(
        ([zone, text]) => `zone ${zone}/IN: loaded serial ${write(zone, text)}\n`,
      );
      child.kill('SIGHUP');
      await Promise.all(loaded.map(waitFor));
    },
    stop: async () => {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  return port;
}

/** A server that answers each question with what `reply` makes of it; undefined: with nothing. */
export async function startLiar(reply: (question: Buffer) => Buffer | undefined): Promise<NameServer> {
  const socket = createSocket('udp4');
  socket.on('message', (question, { port, address }) => {
    const answer = reply(question);
    if (answer !== undefined) socket.send(answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const closed = once(socket, 'close');
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      socket.close();
      await closed;
    },
  };
}

/** An answer with these records' data, each of `type`; `code` is the rcode. */
export function answerTo(question: Buffer, code: number, type = 16, ...data: readonly Buffer[]): Buffer {
  const asked = question.subarray(12, question.indexOf(0, 12) + 5);
  const records = data.map((one) => {
    const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, 0]);
    record.writeUInt16BE(one.length, 10);
    return Buffer.concat([record, one]);
  });
  const header = Buffer.from([0, 0, 0x84, code, 0, 1, 0, 0, 0, 0, 0, 0]);
  question.copy(header, 0, 0, 2);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, asked, ...records]);
}
