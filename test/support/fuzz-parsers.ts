// Every parser of the program as the fuzz run calls it: what makes its inputs, and what must be true of its result.
// `parse` returns true if the input is accepted and false if it is refused as data; it may also throw a refusal.

import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseCertificates, parseSignedCertificate } from '../../src/certificate/certificate.js';
import { DerError, readElements, readOid, readSmallInteger, type DerElement } from '../../src/certificate/der.js';
import { parsePinned, pinOf, renderPins } from '../../src/certificate/fingerprint.js';
import { boundInput, readPemBlocks, writePem } from '../../src/certificate/pem.js';
import { parsePrivateKey, readHostKey } from '../../src/certificate/private-key.js';
import { encodeSpki, keyTypeOfSpki } from '../../src/certificate/public-key.js';
import { parseRequest } from '../../src/certificate/request.js';
import { readHostKeys, sshKeyOfSpki } from '../../src/certificate/ssh-key.js';
import { checkCa, checkLeaf } from '../../src/certificate/verify.js';
import { decryptWithGpg } from '../../src/custody/gpg.js';
import { parseStatus } from '../../src/custody/gpg-status.js';
import { listPublicKeys, listSecretKeys } from '../../src/custody/keyring.js';
import { openWithOperatorKey } from '../../src/custody/open.js';
import { readOperatorKey } from '../../src/custody/operator-key.js';
import { isText, readArmor, readKeyIds, readPackets, readSessionKeyId } from '../../src/custody/packets.js';
import { parsePassphrase } from '../../src/custody/passphrase.js';
import { readRecipientKeys } from '../../src/custody/recipient-key.js';
import { findInKeyring } from '../../src/custody/recipients.js';
import { readSealedTo } from '../../src/custody/sealed-to.js';
import { RelaycertsError, renderHint } from '../../src/errors.js';
import type { Run } from '../../src/sys/run.js';
import { decryptPrivateKey } from '../../src/issue/pbes2.js';
import * as names from '../../src/names.js';
import { describeFinding } from '../../src/plan/findings.js';
import { Secret } from '../../src/secret.js';
import { readClientRows } from '../../src/settings/clients-file.js';
import { parseDnsServer } from '../../src/settings/domain-mail.js';
import { parsePath, parseRecipient } from '../../src/settings/fields.js';
import { parseJsonc } from '../../src/settings/jsonc.js';
import { readSettings } from '../../src/settings/load.js';
import { layoutOf } from '../../src/store/layout.js';
import { parseJournal } from '../../src/store/journal.js';
import { parseSelectors, renderSelectors } from '../../src/store/dkim-keys.js';
import { parseInstalled, renderInstalled } from '../../src/store/installed.js';
import { readLedger, renderEntries } from '../../src/store/ledger.js';
import { isTarName, readTar, writeTar } from '../../src/store/tar.js';
import { readMark, withLock } from '../../src/store/lock.js';
import { openWithLock } from '../../src/sys/flock.js';
import { keyOption } from '../../src/wizard/gnupg.js';
import { formatList, parseList } from '../../src/wizard/lists.js';
import { derOf, jsonLines, jsonOf, packetsOf, pemLike, textOf, words } from './fuzz-inputs.js';
import type { Random } from './fuzz-random.js';
import { fuzzPassphrase, type Seeds } from './fuzz-seeds.js';
import * as hardOnes from './fuzz-hard.js';
import * as structures from './fuzz-structures.js';

export interface FuzzedParser {
  readonly name: string;
  /** The number of inputs for this one in a daily run, without the slow ones. */
  readonly count: number;
  readonly make: (random: Random) => Buffer;
  readonly parse: (bytes: Buffer) => boolean | Promise<boolean>;
  /** Inputs that were once a fault, or nearly, by name: as large as allowed. */
  readonly hard: () => Readonly<Record<string, Buffer>>;
  /** Octets of the inputs that try to be slow: at the parser's limit, and beyond it. */
  readonly sizes: readonly number[];
}

const mebibyte = 1 << 20;
const from = 'the file';
const at = new Date('2026-06-01T00:00:00Z');

const settingsEntry = { name: 'project/settings.json', bytes: Buffer.from('{}'), mode: 0o644 } as const;

/** What must hold for any input; otherwise it is our fault. */
function hold(fact: boolean, what: string): void {
  if (!fact) throw new Error(`does not hold: ${what}`);
}

function walkDer(bytes: Buffer): number {
  const open: (readonly DerElement[])[] = [readElements(bytes)];
  let count = 0;
  for (let list = open.pop(); list !== undefined; list = open.pop()) {
    count += list.length;
    for (const element of list) {
      if (element.tag === 0x06) readOid(element);
      if (element.tag === 0x02 && element.contents.length < 6) readSmallInteger(element);
      if ((element.tag & 0x20) !== 0) open.push(readElements(element.contents));
    }
  }
  return count;
}

/** gpg as the parsers of its output see it. */
function fakeGpg(stdout: Buffer, statusText: string, stderr: string, status = 0): Run {
  return () => Promise.resolve({ status, stdout: Buffer.from(stdout), stderr, statusText });
}

export function fuzzedParsers(seeds: Seeds, scratch: string): readonly FuzzedParser[] {
  let held: number | undefined;
  const requestKey = createPrivateKey(seeds.requestKey[0] ?? '');
  const parser = (
    name: string,
    count: number,
    make: FuzzedParser['make'],
    parse: FuzzedParser['parse'],
    { sizes = [mebibyte - 64], hard = () => ({}) }: Partial<Pick<FuzzedParser, 'sizes' | 'hard'>> = {},
  ): FuzzedParser => ({ name, count, make, parse, sizes, hard });

  const folder = mkdtempSync(join(scratch === '' ? tmpdir() : scratch, 'project-'));
  const settingsFile = join(folder, 'settings.json');
  const layout = layoutOf({ folder, domain: names.parseHostName('example.org') });
  mkdirSync(layout.caFolder, { recursive: true });
  const allBlocks = [...seeds.certificates, ...seeds.requests, ...seeds.publicKeys];
  const [ca] = parseCertificates(seeds.certificates[0] ?? '', { from });
  const domain = names.parseHostName('example.org');
  const sshKeys = [ca].flatMap(({ spki }) => sshKeyOfSpki(spki) ?? []);

  const named = (name: string, parse: (text: string) => string, good: readonly string[]): FuzzedParser =>
    parser(`names: ${name}`, 6000, textOf(good), (bytes) => {
      const value = parse(bytes.toString());
      hold(parse(value) === value, `${name} of ${value} is itself`);
      return true;
    });

  return [
    parser('PEM', 6000, pemLike(allBlocks), (bytes) => {
      const blocks = readPemBlocks(boundInput(bytes, from), from);
      for (const { label, der, hasHeaders } of firstOf(blocks, 50)) {
        if (hasHeaders) continue;
        const [again, ...more] = readPemBlocks(Buffer.from(writePem(label, der), 'latin1'), from);
        hold(more.length === 0 && again?.label === label && again.der.equals(der), 'PEM goes round');
      }
      return blocks.length > 0;
    }),
    parser('ssh host keys', 4000, textOf([...sshKeys, `Welcome!\n${sshKeys.join(' a comment\n')}\n`]), (bytes) => {
      const keys = readHostKeys(bytes.toString('latin1'));
      hold(isDeepStrictEqual(readHostKeys(keys.join('\n')), keys), 'host keys are themselves');
      hold(keys.join('').length < 5 * 6000, 'a few, none too long');
      return keys.length > 0;
    }),
    parser('DER', 10_000, derOf(allBlocks), (bytes) => walkDer(bytes) > 0),
    parser(
      'certificates',
      8000,
      pemLike(seeds.certificates),
      (bytes) => {
        const quick = parseSignedCertificate(bytes, () => from, [{ info: ca, isKnown: () => false }]);
        const infos = parseCertificates(bytes, { from });
        if (quick !== undefined) hold(isDeepStrictEqual({ ...quick }, { ...infos[0] }), 'both readers say the same');
        for (const info of firstOf(infos, 20)) {
          const [again] = parseCertificates(info.pem, { from });
          hold(again.der.equals(info.der), 'a certificate goes round');
          const leaf = { role: 'smtpd-server' as const, isInbound: false, hostname: 'a.example.org', altNames: [] };
          let found = checkCa(info, { commonName: 'x', permittedDomains: [] }, at);
          try {
            found = [...found, ...checkLeaf(info, ca, leaf, at)];
            encodeSpki(info.publicKey);
          } catch (error) {
            if (!(error instanceof RelaycertsError)) throw error;
          }
          for (const finding of found) assertPlain(describeFinding(finding, 'ca', '/x').message);
        }
        return infos.length > 0;
      },
      { hard: () => hardOnes.certificates(seeds) },
    ),
    parser('private keys', 4000, pemLike(seeds.privateKeys), (bytes) => {
      const spki = encodeSpki(parsePrivateKey(bytes, { from }));
      const quick = createPublicKey({ key: readHostKey('/x', bytes).spki, format: 'der', type: 'spki' });
      hold(encodeSpki(quick).equals(spki), 'the public half is the same');
      return spki.length > 0;
    }),
    parser('pins', 5000, pemLike([...seeds.publicKeys, ...seeds.certificates.slice(0, 3)]), (bytes) => {
      const pins = parsePinned(bytes, { from }).map((one) => pinOf(one, 'public-key', 'sha256'));
      for (const format of ['postfix', 'openssl', 'hex', 'json'] as const) {
        hold(/^[\n -~]*$/u.test([...renderPins(pins, format)].join('')), 'pins are printed in ASCII');
      }
      return true;
    }),
    parser('public keys by DER', 8000, derOf(seeds.publicKeys), (bytes) => keyTypeOfSpki(bytes) !== undefined),
    parser(
      'requests',
      5000,
      (random) => {
        const [der] = structures.readPem(seeds.requests[0] ?? Buffer.alloc(0)).map((block) => block.der);
        if (der === undefined || random.chance(0.3)) return pemLike(seeds.requests)(random);
        return structures.mutateRequest(der, requestKey, random, words);
      },
      (bytes) => {
        const request = parseRequest(bytes, { from });
        hold(parseRequest(request.pem, { from }).spki.equals(request.spki), 'a request goes round');
        return true;
      },
      { hard: () => hardOnes.requests(seeds) },
    ),
    parser(
      'encrypted keys',
      250,
      pemLike(seeds.encryptedKeys),
      async (bytes) => encodeSpki(await decryptPrivateKey(bytes, new Secret(fuzzPassphrase), { from })).length > 0,
      { hard: () => hardOnes.encryptedKeys(seeds) },
    ),
    parser('OpenPGP packets', 12_000, packetsOf([...seeds.pgpKeys, ...seeds.pgpMessages], 'MESSAGE'), (bytes) => {
      isText(bytes);
      const blocks = readArmor(bytes);
      for (const block of blocks.length === 0 ? [{ bytes }] : blocks) {
        const { packets, flaw } = readPackets(block.bytes ?? new Uint8Array());
        for (const packet of packets)
          hold((readSessionKeyId(packet) ?? '0'.repeat(16)).length === 16, 'a key ID has 16 digits');
        if (flaw !== undefined) return false;
      }
      return true;
    }),
    parser(
      'OpenPGP key IDs',
      8000,
      packetsOf(seeds.pgpKeys, 'PUBLIC KEY BLOCK'),
      (bytes) => readKeyIds(bytes) !== undefined,
      { hard: () => hardOnes.pgpKeys(seeds) },
    ),
    parser(
      'sealed files',
      8000,
      packetsOf(seeds.pgpMessages, 'MESSAGE'),
      (bytes) => readSealedTo(bytes, { from }).message.length > 0,
      { sizes: [65_000, 70_000], hard: () => hardOnes.messages() },
    ),
    parser(
      'recipient keys',
      1500,
      packetsOf(seeds.pgpKeys, 'PUBLIC KEY BLOCK'),
      async (bytes) => (await readRecipientKeys(bytes, { from, at: new Date() })).length > 0,
      { hard: () => hardOnes.pgpKeys(seeds) },
    ),
    parser(
      'operator key',
      800,
      textOf(seeds.pgpSecret),
      async (bytes) => (await readOperatorKey({ armored: new Secret(bytes), from })).keyIds.length > 0,
      { sizes: [mebibyte - 64] },
    ),
    parser(
      'sealed files, opened',
      600,
      packetsOf(seeds.pgpMessages.slice(0, 2), 'MESSAGE'),
      async (bytes) => {
        const { message } = readSealedTo(bytes, { from });
        const operatorKey = { armored: new Secret(seeds.pgpSecret[0] ?? ''), from, password: undefined };
        return (await openWithOperatorKey(message, from, operatorKey)).revealBytes().length > 0;
      },
      { sizes: [65_000], hard: () => hardOnes.messages() },
    ),
    parser(
      'passphrase',
      3000,
      textOf([`${fuzzPassphrase}\n`, 'a\r\n', 'a'.repeat(1023)]),
      (bytes) => parsePassphrase(new Secret(bytes), from).revealBytes().length > 0,
      { sizes: [65_536] },
    ),
    parser(
      'gpg status',
      5000,
      textOf(seeds.gpgStatus),
      async (bytes) => {
        const text = bytes.toString();
        const isAny = parseStatus(text).length > 0;
        const run = fakeGpg(Buffer.from('x'), text, text, 2);
        await decryptWithGpg(
          { bytes, from, operatorKey: undefined, operatorKeyPath: from, run, tty: undefined },
          'missing',
        );
        return isAny;
      },
      { sizes: [mebibyte / 4] },
    ),
    parser(
      'gpg key lists',
      5000,
      textOf(seeds.gpgColons),
      async (bytes) => {
        const run = fakeGpg(bytes, '', '');
        const keys = [...(await listPublicKeys(run, 'x')), ...(await listSecretKeys(run))];
        for (const key of keys) {
          assertPlain(keyOption(key, at).label);
          hold(typeof key.algorithm === 'string', 'an algorithm is text');
        }
        for (const wanted of ['one@example.org', 'DEADBEEF']) {
          await findInKeyring(wanted, { run, at }).catch((error: unknown) => {
            if (!(error instanceof RelaycertsError)) throw error;
            assertPlain(error.message);
          });
        }
        return keys.length > 0;
      },
      { sizes: [mebibyte / 4], hard: hardOnes.keyLists },
    ),
    parser(
      'recipients as written',
      4000,
      textOf(['A B <a@example.org>', '0xDEADBEEF', 'A'.repeat(40), 'a@example.org', '<a@b>']),
      async (bytes) => {
        const run = fakeGpg(Buffer.alloc(0), '', '');
        try {
          await findInKeyring(bytes.toString(), { run, at });
        } catch (error) {
          // Not in the (empty) keyring is what a name that parses gets.
          if (error instanceof RelaycertsError && error.message.endsWith('is not in the GnuPG keyring')) return true;
          throw error;
        }
        return true;
      },
    ),
    parser(
      'JSON',
      10_000,
      (random) => (random.chance(0.3) ? textOf(commented(seeds.settings)) : jsonOf(seeds.settings))(random),
      (bytes) => {
        const parsed = parseJsonc(bytes.toString());
        if ('value' in parsed) return true;
        for (const { what, hint } of parsed.flaws) assertPlain(`${what} ${hint}`);
        return false;
      },
      { hard: hardOnes.settings },
    ),
    parser(
      'settings',
      3000,
      jsonOf(seeds.settings),
      async (bytes) => {
        writeFileSync(settingsFile, bytes);
        return (
          (await readSettings(settingsFile, { home: '/home/postmaster', program: 'relaycerts', command: 'relaycerts' }))
            .file === settingsFile
        );
      },
      { sizes: [mebibyte - 64, mebibyte + 64], hard: hardOnes.settings },
    ),
    named('parseHostName', names.parseHostName, [
      'relay.example.org',
      'b\u00fccher.example',
      'xn--bcher-kva.example',
      `${'a'.repeat(63)}.example`,
    ]),
    named('completeHostName', (text) => names.completeHostName(text, domain), [
      'relay',
      'b\u00fccher',
      'relay.example.net',
    ]),
    named('parseSshHost', names.parseSshHost, ['relay', '192.0.2.1', '2001:db8::1', 'my_alias', '\u00fcber']),
    named('parseSshUser', names.parseSshUser, ['root', '_a.b-c']),
    named('parseAddress', names.parseAddress, ['Ann.b+c@example.org', 'a@b\u00fccher.example']),
    named('parseSender', names.parseSender, ['Ann.b+c@example.org', 'example.org', 'a@b\u00fccher.example']),
    named('parseAbsolutePath', names.parseAbsolutePath, ['/etc/postfix/relaycerts/example.org', '/opt/a/b/']),
    named('parseCountryCode', names.parseCountryCode, ['NL', 'nl']),
    named('parseSerial', names.parseSerial, ['00ab', 'ff'.repeat(20), '01']),
    named('parseRecipient', parseRecipient, ['keys/a.asc', 'A <a@example.org>']),
    named('parseDnsServer', parseDnsServer, ['192.0.2.53', '2001:db8::53', '[2001:db8::53]:5353', '192.0.2.53:53']),
    named('parsePath', parsePath, ['~/x.gpg', '/root/x y']),
    parser(
      'ledger',
      3000,
      (random) => (random.chance(0.5) ? jsonLines(seeds.ledgers, random) : textOf(seeds.ledgers)(random)),
      async (bytes) => {
        writeFileSync(layout.ledger.path, bytes);
        const { entries, damaged } = readLedger(layout);
        for (const entry of firstOf(entries, 20)) {
          hold(/^[^\n]+\n$/u.test(renderEntries([entry])), 'an entry is a line');
        }
        return damaged === 0 && entries.length > 0;
      },
      { hard: () => hardOnes.ledgers(seeds) },
    ),
    parser(
      'lock',
      1000,
      textOf(seeds.holders),
      async (bytes) => {
        held ??= await openWithLock(layout.lock);
        hold(held !== undefined, 'the lock is free');
        writeFileSync(layout.lock, bytes);
        const sys = { say: assertPlain, lockWait: 0, pid: 1, machine: 'here' };
        try {
          await withLock(layout.lock, sys, () => Promise.resolve());
        } catch (error) {
          if (!(error instanceof RelaycertsError) || error.code !== 'lock') throw error;
          hold(isRefusal(error, 'lock'), 'a held lock is a refusal');
          hold(readMark(layout.lock).length <= bytes.length, 'a mark is a part of the file');
          return error.message.includes('(process ');
        }
        throw new Error('a lock was taken from its holder');
      },
      { sizes: [4000, 5000] },
    ),
    parser('installed.json', 6000, jsonOf(seeds.installed), (bytes) => {
      const { hosts, flaw } = parseInstalled(bytes);
      const written = parseInstalled(Buffer.from(renderInstalled(hosts)));
      hold(isDeepStrictEqual(written, { hosts, flaw: undefined }), 'what was seen goes round');
      return flaw === undefined;
    }),
    parser('selectors.json', 6000, jsonOf(seeds.selectors), (bytes) => {
      const entries = parseSelectors(bytes);
      if (entries === undefined) return false;
      const keys = entries.map((entry) => ({ ...entry, keyPath: '', key: undefined }));
      hold(isDeepStrictEqual(parseSelectors(Buffer.from(renderSelectors(keys))), entries), 'selectors go round');
      hold(
        entries.every(({ selector }) => /^rc\d{6}[b-z]?$/u.test(selector)),
        'a selector is a file name and a label',
      );
      return true;
    }),
    parser('archive of a backup', 6000, textOf([writeTar([settingsEntry], at).toString('latin1')]), (bytes) => {
      const found = readTar(bytes);
      if ('flaw' in found) return false;
      hold(
        found.every(({ name, mode }) => isTarName(name) && [0o600, 0o644].includes(mode)),
        'a name and a mode of ours',
      );
      return true;
    }),
    parser('journal', 6000, jsonOf(seeds.journals), (bytes) => {
      const journal = parseJournal(bytes);
      if (journal === undefined) return false;
      // What is carried out later must be complete.
      const { folders, writes, appends, removes, empties } = journal;
      const paths = [...folders, ...writes, ...appends, ...removes].map(({ path }) => path);
      hold(
        [...paths, ...empties].every((path) => typeof path === 'string'),
        'a path is text',
      );
      hold(
        writes.every(({ staged }) => typeof staged === 'string'),
        'what is staged has a path',
      );
      hold(
        appends.every(({ offset, text }) => Number.isSafeInteger(offset) && typeof text === 'string'),
        'an append',
      );
      hold(
        [...writes, ...appends].every(({ mode }) => [0o600, 0o644].includes(mode)),
        'a mode is one of ours',
      );
      return true;
    }),
    ...(['csv', 'jsonl'] as const).map((kind) =>
      parser(
        `settings: clients in ${kind}`,
        3000,
        textOf(
          kind === 'csv'
            ? ['hostname,sshPort,altNames\nc1,22,\nc2,,"a b"\n', 'hostname\r\nc1\r\n']
            : ['{"hostname":"c1"}\n{"hostname":"c2","sshPort":2222}\n'],
        ),
        (bytes) => {
          const file = join(folder, `clients.${kind}`);
          writeFileSync(file, bytes);
          const rows = readClientRows(file);
          hold(
            rows.every(({ line, kind: one }) => line > 0 && one.startsWith('{')),
            'every client has a line',
          );
          return rows.length > 0;
        },
      ),
    ),
    parser('wizard: lists', 8000, textOf(['a, b,c', '"a,b", c', ' a ,, b ']), (bytes) => {
      const items = parseList(bytes.toString());
      const isWritable = items.every((item) => !item.includes('"') && item.trim() === item);
      if (isWritable) hold(isDeepStrictEqual(parseList(formatList(items)), items), 'a list goes round');
      return items.length > 0;
    }),
  ];
}

/** Settings with comments and trailing commas. */
function commented(settings: readonly Buffer[]): readonly string[] {
  return settings.map(
    (json) => `// comment\n${json.toString().replaceAll('\n', ' /* why */\n').replaceAll('}', ',}')}`,
  );
}

function firstOf<Item>(items: readonly Item[], most: number): readonly Item[] {
  return items.slice(0, most);
}

/** A line for a terminal: short, and nothing in it moves the cursor. */
function assertPlain(text: string): void {
  hold(text !== '' && text.length <= 2000, `a line of ${text.length} characters is short: ${text.slice(0, 200)}`);
  hold(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text), `no control character in ${JSON.stringify(text)}`);
}

/** A refusal: an error of ours with printable words; or der.ts's own, which its callers turn into one. */
export function isRefusal(error: unknown, name: string): boolean {
  if (error instanceof DerError) return name === 'DER' || name === 'public keys by DER';
  if (!(error instanceof RelaycertsError)) return false;
  hold(error.problems.length >= 1 && error.problems.length <= 200, `${error.problems.length} problems are told`);
  for (const text of [error.message, error.hint, ...error.problems.flatMap(({ message, hint }) => [message, hint])]) {
    if (text !== undefined) assertPlain(renderHint(text, 'relaycerts'));
  }
  return true;
}
