// The starting points of the fuzz run: real files of openssl, gpg and our own program, made again in every run.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeOperatorKey } from '../../src/custody/operator-key.js';
import { sealPassphrase } from '../../src/custody/seal.js';
import { readRecipientKeys } from '../../src/custody/recipient-key.js';
import { encodePrivateKey, generateKey } from '../../src/issue/keys.js';
import { encryptPrivateKey } from '../../src/issue/pbes2.js';
import { parseCountryCode, parseHostName, parseSshHost, parseSshUser } from '../../src/names.js';
import { Secret } from '../../src/secret.js';
import { keyTypes } from '../../src/settings/settings.js';
import { changeFolder } from '../../src/store/journal.js';
import { stageChange } from '../../src/store/transaction.js';
import { dkimStates, type FoundDkimKey } from '../../src/plan/dkim.js';
import { renderSelectors } from '../../src/store/dkim-keys.js';
import { renderInstalled } from '../../src/store/installed.js';
import { entryOf, ledgerEvents, renderEntries } from '../../src/store/ledger.js';
import { withLock } from '../../src/store/lock.js';
import { realDisk } from '../../src/sys/disk.js';
import { issuedAt, makeCa, makeLeaf } from './chain.js';
import { makeGnupg } from './gnupg.js';
import { makeScratch, openssl } from './openssl.js';

export const fuzzPassphrase = 'correct horse battery staple';

/** Files by kind. The first request is the one whose Ed25519 key is `requestKey`. */
export interface Seeds {
  readonly certificates: readonly Buffer[];
  readonly privateKeys: readonly Buffer[];
  readonly publicKeys: readonly Buffer[];
  readonly requests: readonly Buffer[];
  readonly requestKey: readonly Buffer[];
  readonly encryptedKeys: readonly Buffer[];
  /** The costliest keys allowed: with PBKDF2, and with scrypt. */
  readonly costlyKeys: readonly Buffer[];
  /** Binary OpenPGP. */
  readonly pgpKeys: readonly Buffer[];
  readonly pgpMessages: readonly Buffer[];
  readonly pgpSecret: readonly Buffer[];
  /** gpg's output on its status descriptor, and its colon listings. */
  readonly gpgStatus: readonly Buffer[];
  readonly gpgColons: readonly Buffer[];
  readonly settings: readonly Buffer[];
  readonly ledgers: readonly Buffer[];
  /** Lock files. */
  readonly holders: readonly Buffer[];
  readonly journals: readonly Buffer[];
  /** certs/installed.json. */
  readonly installed: readonly Buffer[];
  /** certs/dkim/selectors.json. */
  readonly selectors: readonly Buffer[];
}

export async function makeSeeds(): Promise<Seeds> {
  const [x509, gnupg, texts] = [await makeX509(), await makePgp(), await makeTexts()];
  return { ...x509, ...gnupg, ...texts };
}

type X509Seeds = Pick<
  Seeds,
  'certificates' | 'privateKeys' | 'publicKeys' | 'requests' | 'requestKey' | 'encryptedKeys' | 'costlyKeys'
>;

async function makeX509(): Promise<X509Seeds> {
  const ca = await makeCa({
    permittedDomains: ['example.org'],
    subject: {
      country: parseCountryCode('NL'),
      state: 'Utrecht',
      locality: '\u00dc',
      organization: 'O',
      organizationalUnit: '',
    },
  });
  const certificates = [ca.pem];
  const privateKeys: string[] = [];
  const publicKeys: string[] = [];
  for (const keyType of keyTypes) {
    const leaf = await makeLeaf(ca, {
      keyType,
      role: 'smtpd-server',
      altNames: ['relay2.example.org', 'xn--bcher-kva.example.org'],
    });
    certificates.push(leaf.pem);
    privateKeys.push(encodePrivateKey(leaf.keyPair.privateKey).revealText());
    publicKeys.push(leaf.keyPair.publicKey.export({ type: 'spki', format: 'pem' }).toString());
  }
  certificates.push(`${certificates[1] ?? ''}${certificates[2] ?? ''}`);
  const scratch = makeScratch();
  try {
    const key = scratch.write('key.pem', privateKeys[0] ?? '');
    const rsa = scratch.write('rsa.pem', privateKeys[2] ?? '');
    privateKeys.push(openssl(['ec', '-in', key]), openssl(['rsa', '-in', rsa, '-traditional']));
    const extensions = [
      'subjectAltName=DNS:a.example.org,IP:192.0.2.1,URI:https://example.org,email:a@example.org',
      'certificatePolicies=1.2.3.4',
      'nameConstraints=critical,permitted;DNS:example.org,excluded;IP:0.0.0.0/0.0.0.0',
    ].flatMap((extension) => ['-addext', extension]);
    certificates.push(
      openssl([
        'req',
        '-x509',
        '-new',
        '-key',
        key,
        '-subj',
        '/C=NL/O=Example/CN=a.example.org',
        '-days',
        '9000',
        ...extensions,
      ]),
    );
    const requestKey = await generateKey('ed25519');
    const requestPem = encodePrivateKey(requestKey.privateKey).revealText();
    const requests = [scratch.write('ed25519.pem', requestPem), key, rsa].map((path) =>
      openssl([
        'req',
        '-new',
        '-key',
        path,
        '-subj',
        '/CN=b.example.org',
        '-addext',
        'subjectAltName=DNS:b.example.org,IP:192.0.2.2',
      ]),
    );
    const passed = (args: readonly string[]): string =>
      openssl(['pkcs8', '-topk8', '-in', key, '-passout', `pass:${fuzzPassphrase}`, ...args]);
    const encryptedKeys = [
      await encryptPrivateKey(requestKey.privateKey, new Secret(fuzzPassphrase), 'random'),
      passed(['-v2', 'aes-256-cbc', '-iter', '1000']),
      passed(['-v2', 'aes-128-cbc', '-iter', '1000', '-v2prf', 'hmacWithSHA512']),
      passed(['-scrypt', '-scrypt_N', '1024', '-scrypt_r', '8', '-scrypt_p', '1']),
    ];
    const costlyKeys = [
      passed(['-v2', 'aes-256-cbc', '-iter', '600000', '-v2prf', 'hmacWithSHA512']),
      passed(['-scrypt', '-scrypt_N', '16384', '-scrypt_r', '8', '-scrypt_p', '8']),
    ];
    return {
      certificates: toBytes(certificates),
      privateKeys: toBytes(privateKeys),
      publicKeys: toBytes(publicKeys),
      requests: toBytes(requests),
      requestKey: toBytes([requestPem]),
      encryptedKeys: toBytes(encryptedKeys),
      costlyKeys: toBytes(costlyKeys),
    };
  } finally {
    scratch.remove();
  }
}

type PgpSeeds = Pick<Seeds, 'pgpKeys' | 'pgpMessages' | 'pgpSecret' | 'gpgStatus' | 'gpgColons'>;

async function makePgp(): Promise<PgpSeeds> {
  const { gpg, makeKey, run, dispose } = makeGnupg();
  try {
    const fingerprints = [
      makeKey({ userId: 'One <one@example.org>' }),
      makeKey({
        userId: 'Zw\u00f6lf <two@example.org>',
        algorithm: 'rsa2048',
        usage: 'sign',
        expire: '2y',
        subkey: 'rsa2048',
      }),
      makeKey({ userId: 'p256@example.org', algorithm: 'nistp256', usage: 'sign', subkey: 'nistp256' }),
    ];
    const operator = await makeOperatorKey(issuedAt, 'operator');
    const armored = operator.armored.revealText();
    const pgpKeys = [
      ...fingerprints.map((fingerprint) => gpg(['--export', fingerprint])),
      Buffer.from(operator.recipient.key.write()),
    ];
    // gpg rounded the second in which its keys become valid.
    const soon = new Date(Date.now() + 60_000);
    const recipients = (
      await Promise.all(pgpKeys.map((bytes) => readRecipientKeys(bytes, { from: 'gpg', at: soon })))
    ).flat();
    const sealed = await sealPassphrase(new Secret(fuzzPassphrase), recipients, soon);
    const common = ['--trust-model', 'always'];
    const pgpMessages = [
      Buffer.from(sealed.bytes),
      gpg([...common, '--encrypt', '--recipient', fingerprints[0] ?? ''], fuzzPassphrase),
      gpg([...common, '--encrypt', '--throw-keyids', '--recipient', fingerprints[1] ?? ''], fuzzPassphrase),
      gpg(['--pinentry-mode', 'loopback', '--passphrase', 'x', '--symmetric'], fuzzPassphrase),
      gpg(['--sign', '--local-user', fingerprints[0] ?? ''], fuzzPassphrase),
    ];
    const statuses = await Promise.all(
      [...pgpMessages, Buffer.from('x')].map((input) =>
        run('gpg', ['--batch', '--no-tty', '--status-fd', '3', '--decrypt'], { input, statusFd: true }),
      ),
    );
    return {
      pgpKeys,
      pgpMessages,
      pgpSecret: toBytes([armored]),
      gpgStatus: statuses.flatMap(({ statusText, stderr }) => toBytes([statusText, stderr])),
      gpgColons: [['--list-keys'], ['--list-secret-keys'], ['--list-keys', fingerprints[0] ?? '']].map((words) =>
        gpg(['--with-colons', ...words]),
      ),
    };
  } finally {
    dispose();
  }
}

const digest = 'a'.repeat(64);
const seenHosts = new Map(
  ['relayhost.example.org', 'mailhost.example.org'].map((name) => [
    parseHostName(name),
    {
      seen: new Date('2026-06-01T00:00:00Z'),
      certificate: digest,
      authorities: [digest],
      table: digest,
      configuration: undefined,
      ssh: { isLocal: false, needsSudo: true, user: parseSshUser('pi'), host: parseSshHost('192.0.2.7'), port: 2222 },
    },
  ]),
);

async function makeTexts(): Promise<
  Pick<Seeds, 'settings' | 'ledgers' | 'holders' | 'journals' | 'installed' | 'selectors'>
> {
  const every = {
    $schema: './settings.schema.json',
    domain: 'example.org',
    smtpdServers: [
      {
        hostname: 'r',
        port: 2500,
        altNames: ['s', 't.example.org'],
        sshUser: '_u',
        sshHost: '::1',
        sshPort: 22,
        tlsLogLevel: 1,
      },
    ],
    smtpClients: [
      { hostname: 'c', sshUser: 'u', sshHost: '192.0.2.1', sshPort: 1, tlsLogLevel: 0 },
      { hostname: 'b\u00fccher' },
    ],
    subject: { country: 'nl', state: 'A', locality: 'B b', organization: "O'C & \u5bb6", organizationalUnit: '"' },
    ca: { commonName: 'My CA', validDays: 3650, keyType: 'rsa-4096', permittedDomains: ['example.org'] },
    certificates: { validDays: 398, keyType: 'ed25519', renewBeforeDays: 30 },
    passphrase: { file: '~/x', recipients: ['keys/a.asc', '0xDEADBEEF', 'a@example.org'] },
    postfix: {
      directory: '/etc/postfix/relaycerts/example.org',
      tableType: 'cdb',
      pin: 'certificate',
      unlisted: 'reject',
      masterChroot: '-',
    },
  };
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-fuzz-'));
  try {
    const { info } = await makeCa();
    const entries = [
      entryOf('issued', 'ca', 'example.org relay CA', info, issuedAt),
      ...ledgerEvents.map((event) => entryOf(event, 'smtp-client', 'mailhost.example.org', info, issuedAt)),
    ];
    const lock = join(folder, '.relaycerts.lock');
    const sys = { say: () => undefined, lockWait: 0, pid: 4_194_304, machine: 'mailhost' };
    const holder = await withLock(lock, sys, async (held) => {
      await held.markChange();
      return readFileSync(lock);
    });
    await stageChange(realDisk(), folder, {
      writes: [
        { path: join(folder, 'certs/a'), bytes: Buffer.from('a'), mode: 0o600, folderMode: 0o755, isNew: true },
        { path: `${folder}-elsewhere/b`, bytes: Buffer.from('b'), mode: 0o644, folderMode: 0o700, isNew: false },
      ],
      appends: [{ path: join(folder, 'ledger'), text: renderEntries(entries), mode: 0o644 }],
      removes: [lock],
      empties: [join(folder, 'hosts')],
    });
    const journal = readFileSync(join(changeFolder(folder), 'draft'));
    const json = [
      JSON.stringify(every, undefined, 2),
      readFileSync(new URL('../../settings.example.json', import.meta.url), 'utf8'),
    ];
    return {
      settings: toBytes(json),
      ledgers: toBytes([renderEntries(entries)]),
      holders: [holder],
      journals: [journal],
      installed: toBytes([renderInstalled(seenHosts)]),
      selectors: toBytes([renderSelectors(dkimStates.map(dkimSeed))]),
    };
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(`${folder}-elsewhere`, { recursive: true, force: true });
  }
}

/** A DKIM key in this state. */
function dkimSeed(state: FoundDkimKey['state'], index: number): FoundDkimKey {
  const domain = parseHostName('example.org');
  const selector = `rc20261${index}`;
  return { domain, selector, keyType: 'rsa-2048', state, since: new Date(0), keyPath: '', key: undefined };
}

function toBytes(texts: readonly string[]): readonly Buffer[] {
  return texts.map((text) => Buffer.from(text));
}
