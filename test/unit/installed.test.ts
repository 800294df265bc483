// What hosts have, what they should have, what differs, and certs/installed.json after edits by others.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseFacts } from '../../src/check/host-facts.js';
import { seenContent } from '../../src/check/seen.js';
import { findingOf } from '../../src/findings/finding.js';
import { judgeInstallation, type HostContent, type SeenHost } from '../../src/plan/installed.js';
import type { Inventory } from '../../src/plan/inventory.js';
import { bundlesOf } from '../../src/render/bundle.js';
import { configurationDigest, expectedContents } from '../../src/render/installed.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf, type Settings } from '../../src/settings/settings.js';
import { installedChange, parseInstalled, readInstalled, renderInstalled } from '../../src/store/installed.js';
import { layoutOf, type Layout } from '../../src/store/layout.js';
import { parseSshHost, parseSshUser } from '../../src/names.js';
import { hostName } from '../support/chain.js';
import { changedHost, makeInventory, threeHosts } from '../support/inventory.js';

const at = new Date('2026-11-20T12:00:00.000Z');
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(64)) as [string, string, string, string];
const content: HostContent = { certificate: a, authorities: [b], table: c, configuration: d };
const seen: SeenHost = { ...content, seen: at };
const home = hostName('mailhost.example.org');
const relay = hostName('relayhost.example.org');

function contentsOf(settings: Settings, inventory: Inventory): readonly (HostContent | undefined)[] {
  return inventory.hosts.map(expectedContents(settings, inventory, bundlesOf(settings, inventory)));
}

describe('the judgement', () => {
  it.each<[string, Partial<SeenHost>, readonly string[]]>([
    ['the same', {}, []],
    ['another certificate', { certificate: d }, ['certificate']],
    ['another CA', { authorities: [c] }, ['authorities']],
    ['a CA more', { authorities: [b, c] }, ['authorities']],
    ['no CA', { authorities: [] }, ['authorities']],
    ['a CA twice in the file', { authorities: [b, b] }, []],
    ['another table', { table: d }, ['table']],
    ['a table that is not known', { table: undefined }, []],
    ['another configuration', { configuration: a }, ['configuration']],
    ['a configuration that is not known', { configuration: undefined }, []],
    ['all of them', { certificate: b, table: b, configuration: b }, ['certificate', 'table', 'configuration']],
  ])('%s', (_, change, parts) => {
    const found = judgeInstallation(content, { ...seen, ...change });
    expect(found).toEqual(parts.length === 0 ? { kind: 'installed', seen: at } : { kind: 'differs', seen: at, parts });
  });

  it('of a host that was not seen', () => {
    expect(judgeInstallation(content, undefined)).toEqual({ kind: 'never-seen' });
  });

  it('of two CAs does not ask for their order', () => {
    const expected = { ...content, authorities: [b, c] };
    expect(judgeInstallation(expected, { ...seen, authorities: [c, b] }).kind).toBe('installed');
  });
});

const factsWith = (more: string) =>
  parseFacts(`@chain /x/chain.pem\n certificate ${a}\n@authorities /x/ca.pem\n ${b}\n${more}@end\n`);
const tableSection = (digest: string) => `@file /x/relay_clientcerts 0:0 644\n mode -rw-r--r--\n sha256 ${digest}\n`;

const partsOf = (ids: readonly string[], text: string) => {
  const facts = factsWith(text) ?? { sections: [] };
  const findings = ids.map((id) => ({ ...findingOf('postfix-missing', relay), id }));
  const found = seenContent(content, facts, [{ host: relay, fine: '', findings }]);
  const { hosts } = parseInstalled(Buffer.from(renderInstalled(new Map([[relay, { ...found, seen: at }]]))));
  const judged = judgeInstallation(content, hosts.get(relay));
  return judged.kind === 'differs' ? judged.parts : judged.kind;
};

describe('what check saw', () => {
  it.each<[string, readonly string[], string, string | readonly string[]]>([
    ['nothing wrong', [], tableSection(c), 'installed'],
    ['a table that differs', ['table-differs'], tableSection(d), ['table']],
    ['no table', ['file-missing'], '', ['certificate', 'table']],
    ['the key of another', ['key-mismatch'], tableSection(c), ['certificate']],
    ['a wrong owner', ['owner-differs'], tableSection(c), ['configuration']],
    ['a setting that differs', ['setting-differs', 'table-differs'], tableSection(d), ['table', 'configuration']],
  ])('%s', (_, ids, text, parts) => {
    expect(partsOf(ids, text)).toEqual(parts);
  });

  it('another certificate, or CA file, by their digests', () => {
    const facts = parseFacts(`@chain /x\n certificate ${d}\n@authorities /x\n ${c}\n ${b}\n@end\n`) ?? { sections: [] };
    const found = seenContent(content, facts, []);
    expect([found.certificate, found.authorities, found.configuration]).toEqual([d, [c, b], content.configuration]);
  });
});

describe('what a host ought to have', () => {
  let state: Inventory;
  beforeAll(async () => {
    state = await makeInventory(threeHosts, at);
  });

  it('has a table on relays only, and is the same each time', () => {
    const contents = contentsOf(threeHosts, state);
    expect(contents.map((one) => one?.table !== undefined)).toEqual([true, false, false]);
    expect(new Set(contents.map((one) => one?.certificate)).size).toBe(3);
    expect(new Set(contents.map((one) => one?.configuration)).size).toBe(3);
    expect(contentsOf(threeHosts, state)).toEqual(contents);
  });

  it('is nothing for a revoked host, and the relay gets another table', () => {
    const [table] = contentsOf(threeHosts, state);
    const hosts = state.hosts.map((found) => changedHost(found, { isRevoked: found.host.hostname === home }));
    const [now, gone, other] = contentsOf(threeHosts, { ...state, hosts });
    expect([gone, now?.table === table?.table, now?.certificate === table?.certificate]).toEqual([
      undefined,
      false,
      true,
    ]);
    expect(other).toEqual(contentsOf(threeHosts, state)[2]);
  });

  it.each<[string, Record<string, unknown>, readonly boolean[]]>([
    ['port', { smtpdServers: [{ hostname: 'relayhost', port: 2525 }] }, [true, true, true]],
    [
      'the log level of one',
      { smtpClients: [{ hostname: 'mailhost', tlsLogLevel: 2 }, { hostname: 'second' }] },
      [false, true, false],
    ],
    [
      'the mail program of one',
      { smtpClients: [{ hostname: 'mailhost', program: 'msmtp' }, { hostname: 'second' }] },
      [false, true, false],
    ],
    ['who may log in there', { smtpdServers: [{ hostname: 'relayhost', sshUser: 'admin' }] }, [false, false, false]],
  ])('changes with %s', (_, change, changed) => {
    const raw = {
      domain: 'example.org',
      smtpdServers: [{ hostname: 'relayhost' }],
      smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
    };
    const place = { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'x' };
    const digests = (input: unknown): readonly string[] => {
      const settings = parseSettings(input, place);
      return hostsOf(settings).map((host) => configurationDigest(settings, host));
    };
    const [before, after] = [digests(raw), digests({ ...raw, ...change })];
    expect(before.map((digest, index) => digest !== after[index])).toEqual(changed);
  });
});

describe('installed.json', () => {
  let folder: string;
  let layout: Layout;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'relaycerts-installed-'));
    layout = layoutOf({ folder, domain: hostName('example.org') });
    mkdirSync(layout.certsFolder);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const client: SeenHost = { ...seen, table: undefined, configuration: undefined };
  const both = new Map([
    [relay, seen],
    [home, client],
  ]);
  const wholeText = renderInstalled(both);

  it('is one line for each host, and is read back the same', () => {
    expect(wholeText.split('\n')[3]).toBe(
      `    "${home}": {"seen":"2026-11-20T12:00:00.000Z","certificate":"${a}","authorities":["${b}"],"table":null,"configuration":null},`,
    );
    expect(parseInstalled(Buffer.from(wholeText))).toEqual({ hosts: both, flaw: undefined });
    expect(renderInstalled(new Map())).toBe('{\n  "version": 1,\n  "hosts": {}\n}\n');
    expect(parseInstalled(Buffer.from(renderInstalled(new Map())))).toEqual({ hosts: new Map(), flaw: undefined });
  });

  it('that is not there notes nothing', () => {
    expect(readInstalled(layout)).toEqual({ hosts: new Map(), problems: [] });
  });

  it.each([
    ['', 'is damaged'],
    ['{', 'is damaged'],
    ['[]', 'is damaged'],
    ['null', 'is damaged'],
    ['{"version":1}', 'is damaged'],
    ['{"version":1,"hosts":[]}', 'is damaged'],
    ['{"version":1,"hosts":null}', 'is damaged'],
    ['{"version":"1","hosts":{}}', 'is damaged'],
    ['{"hosts":{}}', 'is damaged'],
    ['{"version":2,"hosts":{}}', 'has version 2, which this relaycerts cannot read'],
  ])('%j counts as absent, with a warning', (text, flaw) => {
    writeFileSync(layout.installed.path, text);
    const { hosts, problems } = readInstalled(layout);
    expect(hosts.size).toBe(0);
    expect(problems).toEqual([
      {
        message: `"${layout.installed.path}" ${flaw}`,
        hint: { run: ['check'], before: 'to look at every host again:' },
      },
    ]);
  });

  it.each<[string, string, unknown]>([
    ['a name that is none', '../../etc/passwd', client],
    ['another spelling', 'MAILHOST.example.org', client],
    ['__proto__', '__proto__', client],
    ['no object', home, 'x'],
    ['null', home, null],
    ['no time', home, { seen: undefined }],
    ['a time that is none', home, { seen: '2026-13-40T99:00:00Z' }],
    ['a local time', home, { seen: '2026-11-20 12:00' }],
    ['a digest that is short', home, { certificate: 'ab' }],
    ['a digest in capitals', home, { certificate: 'A'.repeat(64) }],
    ['no list of CAs', home, { authorities: a }],
    ['a CA that is none', home, { authorities: [a, 7] }],
    ['CAs without end', home, { authorities: Array.from({ length: 101 }, () => a) }],
    ['a table that is a number', home, { table: 0 }],
    ['no table', home, { table: undefined }],
    ['a configuration that is text', home, { configuration: '\u001b[2J' }],
  ])('an entry with %s is left out, and the others count', (_, name, entry) => {
    const whole = { ...client, seen: at.toISOString(), table: null, configuration: null };
    const damaged = typeof entry === 'object' && entry !== null ? { ...whole, ...entry } : entry;
    const good = JSON.stringify({ ...whole, table: c });
    const text = `{"version":1,"hosts":{${JSON.stringify(relay)}:${good},${JSON.stringify(name)}:${JSON.stringify(damaged)}}}`;
    const { hosts, flaw } = parseInstalled(Buffer.from(text));
    expect([...hosts.keys()]).toEqual([relay]);
    expect(flaw).toBe('has damaged entries, which are skipped: 1');
  });

  it('that is a link is not followed, and counts as absent', () => {
    writeFileSync(join(folder, 'elsewhere'), wholeText);
    symlinkSync(join(folder, 'elsewhere'), layout.installed.path);
    const { hosts, problems } = readInstalled(layout);
    expect(hosts.size).toBe(0);
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining('symbolic link')]);
  });

  it('a change records what was seen, keeps the others, forgets undone ones', () => {
    const settings = parseSettings(
      {
        domain: 'example.org',
        smtpdServers: [{ hostname: 'relayhost' }],
        smtpClients: [{ hostname: 'mailhost', sshUser: 'pi', sshHost: '192.0.2.7', sshPort: 2222 }],
      },
      { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'x' },
    );
    const textOf = (before: typeof both, noted: ReadonlyMap<typeof home, SeenHost | undefined>): string => {
      const { writes, ...rest } = installedChange(layout, before, noted, settings);
      expect(rest).toEqual({ appends: [], removes: [], empties: [] });
      expect(writes.map(({ path, mode, isNew }) => [path, mode, isNew])).toEqual([
        [join(folder, 'certs/installed.json'), 0o644, false],
      ]);
      return Buffer.from(writes[0]?.bytes ?? '').toString();
    };
    const later: SeenHost = { ...client, seen: new Date('2026-11-21T00:00:00Z') };
    const way = {
      isLocal: false,
      needsSudo: true,
      user: parseSshUser('pi'),
      host: parseSshHost('192.0.2.7'),
      port: 2222,
    };
    const noted = renderInstalled(new Map([...both, [home, { ...later, ssh: way }]]));
    expect(textOf(both, new Map([[home, later]]))).toBe(noted);
    expect(parseInstalled(Buffer.from(noted)).hosts.get(home)?.ssh).toEqual(way);
    expect(parseInstalled(Buffer.from(noted.replace('2222', '0'))).hosts.get(home)?.ssh).toBeUndefined();
    expect(parseInstalled(Buffer.from(noted.replace('"pi"', '"-oX"'))).hosts.get(home)?.ssh).toBeUndefined();
    expect(textOf(both, new Map([[home, undefined]]))).toBe(renderInstalled(new Map([[relay, seen]])));
    // Since when it signs with this key, unless that was noted with a clock that was ahead.
    const sinceOf = (dkimSince: Date): Date | undefined =>
      parseInstalled(
        Buffer.from(
          textOf(new Map([[home, { ...client, dkim: c, dkimSince }]]), new Map([[home, { ...later, dkim: c }]])),
        ),
      ).hosts.get(home)?.dkimSince;
    expect(sinceOf(at)).toEqual(at);
    expect(sinceOf(new Date('2027-11-21T00:00:00Z'))).toEqual(later.seen);
  });
});
