// The clients of a fleet in a separate file: what a row becomes, that each problem names its line, and that reading
// settings again parses nothing that has not changed.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RelaycertsError } from '../../src/errors.js';
import { readSettings } from '../../src/settings/load.js';
import type { Settings } from '../../src/settings/settings.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-clients-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const context = { home: '/home/postmaster', program: 'relaycerts', command: 'relaycerts' };

async function read(name: string, clients: string, more: object = {}, before?: Settings): Promise<Settings> {
  const settings = { domain: 'example.org', smtpdServers: [{ hostname: 'relayhost' }], smtpClients: { file: name } };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify({ ...settings, ...more }));
  writeFileSync(join(folder, name), clients);
  return readSettings(join(folder, 'settings.json'), context, before);
}

const problemsOf = async (name: string, clients: string, more: object = {}): Promise<readonly string[]> =>
  read(name, clients, more).then(
    () => [],
    (error: unknown) => (error as RelaycertsError).problems.map(({ message }) => message),
  );

describe('a row', () => {
  it('is a client, with the keys in which it differs', async () => {
    const csv = '\uFEFFhostname,sshPort,altNames,sshHost\r\nc1,,,\r\n\r\nc2.example.net,2222,"x y",\nc3,,,10.0.0.3\n';
    const json = [{ hostname: 'c1' }, { hostname: 'c2.example.net', sshPort: 2222, altNames: ['x', 'y'] }];
    const lines = [...json, { hostname: 'c3', sshHost: '10.0.0.3' }].map((row) => `${JSON.stringify(row)}\n`).join('');
    const found = await read('clients.csv', csv);
    expect(found.smtpClients).toEqual((await read('clients.jsonl', lines)).smtpClients);
    const inSettings = await read('other.csv', 'hostname\nc\n', {
      smtpClients: [...json, { hostname: 'c3', sshHost: '10.0.0.3' }],
    });
    expect(found.smtpClients).toEqual(inSettings.smtpClients);
    expect([found.clientsFile, inSettings.clientsFile]).toEqual([join(folder, 'clients.csv'), undefined]);
  });

  it('has its own host for ssh, however many are alike', async () => {
    const { smtpClients } = await read('clients.csv', 'hostname\nc1\nc2\n');
    expect(smtpClients.map(({ ssh }) => ssh.host)).toEqual(['c1.example.org', 'c2.example.org']);
  });
});

describe('a problem names the line', () => {
  it.each<readonly [string, string, RegExp]>([
    ['an unknown column', 'hostname,prot\nc1,\nc2,5\n', /clients\.csv: line 3.*unknown key "prot"/u],
    ['a bad value', 'hostname,sshPort\nc1,\nc2,0\n', /clients\.csv: line 3: sshPort: must be a whole number/u],
    ['a bad name', 'hostname\nc1\nc_2\n', /clients\.csv: line 3: hostname: not a host name/u],
    ['the first bad name', 'hostname\n*\n', /clients\.csv: line 2: hostname: not a host name/u],
    ['a name twice', 'hostname\nc1\nc2\nC1\n', /clients\.csv: line 4: hostname: is already at clients\.csv: line 2/u],
    ["the relay's name", 'hostname\nc1\nrelayhost\n', /line 3: hostname: is already at smtpdServers\[0\]/u],
    ['a cell too many', 'hostname\nc1\nc2,\n', /clients\.csv: line 3: has 2 cells, and the header 1/u],
    ['a quote in the wrong place', 'hostname,altNames\nc1,x"y"\n', /clients\.csv: line 2: a quote in the wrong place/u],
    ['no header', 'c1\nc2\n', /clients\.csv: line 1: expected a header with the column "hostname"/u],
    ['no clients', 'hostname\n', /clients\.csv: names no client/u],
    ['not UTF-8', 'hostname\n\uFFFD\n', /clients\.csv: line 2: not UTF-8/u],
  ])('%s', async (_, csv, words) => {
    expect((await problemsOf('clients.csv', csv)).join('\n')).toMatch(words);
  });

  it('of JSON lines too', async () => {
    expect(await problemsOf('c.jsonl', '{"hostname":"c1"}\n{x}\n')).toEqual(['c.jsonl: line 2: not JSON']);
    expect(await problemsOf('c.jsonl', '\n["c1"]\n')).toEqual(['c.jsonl: line 2: not an object']);
  });

  it('and the name of the file that is to be read', async () => {
    for (const smtpClients of [{ file: '' }, { file: 5 }, { file: 'a', port: 1 }]) {
      const [first] = await problemsOf('clients.csv', 'hostname\nc1\n', { smtpClients });
      expect(first).toMatch(/^settings\.json: smtpClients: (?:file must be the path|unknown key "port")/u);
    }
    const [missing] = await problemsOf('clients.csv', 'hostname\nc1\n', { smtpClients: { file: 'none.csv' } });
    expect(missing).toBe(`no clients file "${join(folder, 'none.csv')}"`);
  });
});

describe('settings that are read again', () => {
  it('are the same value as long as both files are the same', async () => {
    const before = await read('clients.csv', 'hostname\nc1\n');
    expect(await read('clients.csv', 'hostname\nc1\n', {}, before)).toBe(before);
    const after = await read('clients.csv', 'hostname\nc2\n', {}, before);
    expect(after.smtpClients.map(({ hostname }) => hostname)).toEqual(['c2.example.org']);
    expect((await read('clients.csv', 'hostname\nc2\n', { domain: 'example.net' }, after)).domain).toBe('example.net');
  });
});
