// certs/revoked/ is the only record of what is revoked: what the names and the keys in it mean, and what a revocation
// puts there.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fingerprintOf } from '../../src/certificate/fingerprint.js';
import { encodePrivateKey } from '../../src/issue/keys.js';
import type { Role } from '../../src/settings/settings.js';
import { layoutOf, type Layout } from '../../src/store/layout.js';
import { isRevokedHost, planRevocation, readRevoked } from '../../src/store/revoked.js';
import { hostName, makeCa, makeLeaf, type TestCa, type TestLeaf } from '../support/chain.js';
import { threeHosts } from '../support/inventory.js';
import { makeScratch, openssl } from '../support/openssl.js';

const mailhost = hostName('mailhost.example.org');
const client = threeHosts.smtpClients[0];

let ca: TestCa;
let leaf: TestLeaf;
let other: TestLeaf;
let request: string;
beforeAll(async () => {
  ca = await makeCa();
  leaf = await makeLeaf(ca);
  other = await makeLeaf(ca);
  const scratch = makeScratch();
  const key = scratch.write('key.pem', encodePrivateKey(other.keyPair.privateKey).revealText());
  request = openssl(['req', '-new', '-key', key, '-subj', '/CN=mailhost.example.org']);
  scratch.remove();
});

let layout: Layout;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-revoked-'));
  layout = layoutOf({ folder, domain: hostName('example.org') });
  mkdirSync(layout.revokedFolder, { recursive: true });
});
afterEach(() => {
  rmSync(layout.folder, { recursive: true });
});

const put = (name: string, content: string | Buffer = 'damaged'): void =>
  writeFileSync(join(layout.revokedFolder, name), content);
const pinOf = ({ info }: TestLeaf): string => fingerprintOf(info, 'public-key', 'sha256');
const keyOf = ({ keyPair }: TestLeaf): string => encodePrivateKey(keyPair.privateKey).revealText();

describe('what the names say', () => {
  it.each<readonly [string, readonly (readonly [string, readonly string[]])[]]>([
    ['mailhost.example.org-17af.crt.pem', [['mailhost.example.org', ['17af']]]],
    ['mailhost.example.org-17af.old.crt.pem', [['mailhost.example.org', ['17af']]]],
    ['mailhost.example.org-17af-2.key.pem', [['mailhost.example.org', ['17af']]]],
    ['mailhost.example.org-unknown.csr.pem', [['mailhost.example.org', ['unknown']]]],
    ['mailhost.example.org-unknown-12.key.pem', [['mailhost.example.org', ['unknown']]]],
    ['a-b-17.c-d.example-17af.crt.pem', [['a-b-17.c-d.example', ['17af']]]],
    ['mail.xn--90ae-17af.crt.pem', [['mail.xn--90ae', ['17af']]]],
    ['xn--bcher-kva.example-ab.key.pem', [['xn--bcher-kva.example', ['ab']]]],
    // Foreign files mean nothing.
    ['mailhost.example.org.crt.pem', []],
    ['mailhost.example.org-17AF.crt.pem', []],
    ['mailhost.example.org-17af.crt.pem.bak', []],
    ['.mailhost.example.org-17af.crt.pem', []],
    ['-17af.crt.pem', []],
    ['README', []],
  ])('%s', async (name, hosts) => {
    put(name);
    const revoked = await readRevoked(layout);
    expect([...revoked.hosts]).toEqual(hosts);
    expect([...revoked.keys]).toEqual([]);
  });

  it('each serial once, and who made its own key', async () => {
    for (const end of ['17.crt.pem', '17.key.pem', '17.old.crt.pem', '23.crt.pem', '23.csr.pem']) {
      put(`mailhost.example.org-${end}`);
    }
    const { hosts, ownKey } = await readRevoked(layout);
    expect([...hosts]).toEqual([[mailhost, ['17', '23']]]);
    expect([...ownKey]).toEqual([mailhost]);
  });

  it('nothing if there is no folder', async () => {
    rmSync(layout.revokedFolder, { recursive: true });
    const { hosts, ownKey, keys } = await readRevoked(layout);
    expect([hosts.size, ownKey.size, keys.size]).toEqual([0, 0, 0]);
  });
});

describe('the keys that never come back', () => {
  it.each<readonly [string, () => string, () => TestLeaf]>([
    ['crt.pem', () => leaf.pem, () => leaf],
    ['old.crt.pem', () => leaf.pem, () => leaf],
    ['key.pem', () => keyOf(leaf), () => leaf],
    ['csr.pem', () => request, () => other],
  ])('of a %s', async (end, content, whose) => {
    put(`mailhost.example.org-17.${end}`, content());
    expect([...(await readRevoked(layout)).keys]).toEqual([pinOf(whose())]);
  });

  it('are one for a key and its certificate', async () => {
    put('mailhost.example.org-17.crt.pem', leaf.pem);
    put('mailhost.example.org-17.key.pem', keyOf(leaf));
    expect([...(await readRevoked(layout)).keys]).toEqual([pinOf(leaf)]);
  });

  it('are none of a file of another kind, and a link stops the reading', async () => {
    put('mailhost.example.org-17.crt.pem', keyOf(leaf));
    put('mailhost.example.org-18.key.pem', '');
    expect((await readRevoked(layout)).keys.size).toBe(0);
    symlinkSync('/etc/passwd', join(layout.revokedFolder, 'mailhost.example.org-19.crt.pem'));
    await expect(readRevoked(layout)).rejects.toMatchObject({ code: 'files' });
  });
});

const asked = async (hostname = mailhost, info = undefined as TestLeaf['info'] | undefined): Promise<boolean> =>
  isRevokedHost(await readRevoked(layout), hostname, info);

it('as long as it has no certificate of another key', async () => {
  expect(await asked()).toBe(false);
  put('mailhost.example.org-17.crt.pem', leaf.pem);
  expect(await asked()).toBe(true);
  expect(await asked(mailhost, leaf.info)).toBe(true);
  const renewed = await makeLeaf(ca, { keyPair: leaf.keyPair });
  expect(await asked(mailhost, renewed.info)).toBe(true);
  expect(await asked(mailhost, other.info)).toBe(false);
});

describe('a host is revoked', () => {
  it('and no other host with it', async () => {
    put('mailhost.example.org-17.crt.pem', leaf.pem);
    expect(await asked(hostName('second.example.org'))).toBe(false);
    expect(await asked(hostName('host.example.org'))).toBe(false);
  });

  it('also if the file is damaged', async () => {
    put('mailhost.example.org-17.crt.pem', leaf.pem.slice(0, 100));
    expect(await asked()).toBe(true);
  });
});

const paths = (role: Role = client.role): Readonly<Record<string, string>> => ({
  'crt.pem': layout.certificate(role, mailhost).path,
  'old.crt.pem': layout.previous(role, mailhost).path,
  'key.pem': layout.key(role, mailhost).path,
  'csr.pem': layout.request(role, mailhost).path,
});

const write = (end: string, content: string): void => {
  const path = paths()[end] ?? '';
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
};

describe('a revocation', () => {
  it('keeps each file that is there, byte for byte and with its mode', async () => {
    write('crt.pem', leaf.pem);
    write('key.pem', 'damaged, and kept all the same');
    const { keeps } = await planRevocation(layout, client, '17');
    expect(keeps.map(({ path, mode, folderMode, isNew }) => [basename(path), mode, folderMode, isNew])).toEqual([
      ['mailhost.example.org-17.crt.pem', 0o644, 0o700, true],
      ['mailhost.example.org-17.key.pem', 0o600, 0o700, true],
    ]);
    expect(keeps.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual([
      leaf.pem,
      readFileSync(paths()['key.pem'] ?? '', 'utf8'),
    ]);
  });

  it('clears every place of the host, in either role, and of its bundle', async () => {
    const { keeps, removes } = await planRevocation(layout, client, undefined);
    expect(keeps).toEqual([]);
    expect(removes).toEqual([
      ...Object.values(paths()),
      ...Object.values(paths('smtpd-server')),
      ...Object.values(layout.bundle(mailhost)).map(({ path }) => path),
    ]);
  });

  it('uses the next free name, and what it writes is read back', async () => {
    write('crt.pem', leaf.pem);
    write('csr.pem', request);
    const names: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (const { path, bytes } of (await planRevocation(layout, client, undefined)).keeps) {
        writeFileSync(path, bytes, { flag: 'wx' });
        names.push(basename(path));
      }
    }
    expect(names).toEqual(
      ['unknown', 'unknown-2', 'unknown-3'].flatMap((serial) =>
        ['crt', 'csr'].map((kind) => `mailhost.example.org-${serial}.${kind}.pem`),
      ),
    );
    const { hosts, ownKey, keys } = await readRevoked(layout);
    expect([[...hosts.keys()], [...ownKey], [...keys].toSorted()]).toEqual([
      [mailhost],
      [mailhost],
      [pinOf(leaf), pinOf(other)].toSorted(),
    ]);
  });
});
