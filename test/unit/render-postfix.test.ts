// The output for Postfix, as tables: both locks, the order of the relays, parameters of later releases, the words of
// the commands. No disk, no program.

import { describe, expect, it } from 'vitest';
import { parseSshHost, parseSshUser } from '../../src/names.js';
import { rootCommand } from '../../src/render/commands.js';
import { homeInMain } from '../../src/render/container-parameters.js';
import { homeParameters, homeService, oldestRelease, type Parameter } from '../../src/render/postfix.js';
import { relayServices } from '../../src/render/relay-service.js';
import { renderTable } from '../../src/render/table.js';
import { parseSettings } from '../../src/settings/schema.js';
import type { Settings } from '../../src/settings/settings.js';
import { shellWord } from '../../src/shell-word.js';

function settingsWith(change: Readonly<Record<string, unknown>> = {}): Settings {
  const small = {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mail' }],
  };
  return parseSettings(
    { ...small, ...change },
    { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts' },
  );
}

const one = settingsWith();
const two = settingsWith({ smtpdServers: [{ hostname: 'a' }, { hostname: 'b.example.net', port: 587 }] });
const valueOf = (parameters: readonly Parameter[], name: string): string | undefined =>
  parameters.find((parameter) => parameter.name === name)?.value;
const laterOf = (parameters: readonly Parameter[]): readonly string[] =>
  parameters.flatMap(({ name, since }) => (since === undefined ? [] : [`${name} ${since.join('.')}`]));

describe('shellWord', () => {
  it.each([
    ['a.b-c_d/e:f@g%h+i=j,k', 'a.b-c_d/e:f@g%h+i=j,k'],
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", String.raw`'it'\''s'`],
    ['$(id)`id`"\\', "'$(id)`id`\"\\'"],
    ['~/x', "'~/x'"],
    ['!SSLv2', "'!SSLv2'"],
    ['[a]:25', "'[a]:25'"],
    ['ü', "'ü'"],
  ])('%j is printed as %s', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });

  it.each(['a\nb', 'a\rb', 'a\0b'])('%j is a mistake of ours', (text) => {
    expect(() => shellWord(text)).toThrow(TypeError);
  });
});

describe('the home host', () => {
  it('has two settings in main.cf: the relays in order, and the transport', () => {
    expect(homeParameters(two)).toEqual([
      { name: 'default_transport', value: 'relaycerts' },
      { name: 'relayhost', value: '[a.example.org]:2500, [b.example.net]:587' },
    ]);
  });

  it('trusts each relay only under the name in relayhost, and only our CA', () => {
    const { id, line, overrides } = homeService(two, two.smtpClients[0]);
    expect([id, line]).toEqual(['relaycerts/unix', 'relaycerts unix - - y - 10 smtp']);
    expect(valueOf(overrides, 'smtp_tls_secure_cert_match')).toBe('nexthop');
    expect(valueOf(overrides, 'smtp_tls_security_level')).toBe('secure');
    expect(valueOf(overrides, 'smtp_tls_CAfile')).toBe('/etc/postfix/relaycerts/example.org/example.org-ca.crt.pem');
    expect(valueOf(overrides, 'smtp_tls_policy_maps')).toBe('static:secure');
    for (const name of ['CApath', 'trust_anchor_file']) {
      expect(valueOf(overrides, `smtp_tls_${name}`)).toBe('');
    }
    expect(valueOf(overrides, 'tls_append_default_CA')).toBe('no');
    expect(laterOf(overrides)).toEqual(['smtp_tls_enable_rpk 3.9', 'tls_required_enable 3.10']);
    expect(overrides.filter(({ value }) => /\s/u.test(value))).toEqual([]);
    expect(new Set(overrides.map(({ name }) => name)).size).toBe(overrides.length);
  });

  it.each([
    ['one relay', one, 'yes'],
    ['two relays', two, 'yes'],
    ['one relay that may reject', settingsWith({ postfix: { unlisted: 'reject' } }), 'no'],
  ])('with %s, returns mail only if the settings ask for it', (_what, settings, value) => {
    expect(valueOf(homeService(settings, settings.smtpClients[0]).overrides, 'soft_bounce')).toBe(value);
  });

  it('in a container keeps what it refuses from the world permanent', () => {
    expect(valueOf(homeInMain(two, two.smtpClients[0]), 'soft_bounce')).toBeUndefined();
  });

  it('needs Postfix 3.5 only for several relays', () => {
    expect([oldestRelease(one, 'smtp-client'), oldestRelease(two, 'smtp-client')]).toEqual([
      [3, 4],
      [3, 5],
    ]);
    expect(oldestRelease(two, 'smtpd-server')).toEqual([3, 4]);
  });
});

describe('the relay', () => {
  const services = relayServices(one, one.smtpdServers[0]);
  const [{ id, line, overrides }, tlsmgr, cleanup] = services;

  it('has both locks', () => {
    expect(valueOf(overrides, 'smtpd_tls_security_level')).toBe('encrypt');
    expect(valueOf(overrides, 'smtpd_tls_req_ccert')).toBe('yes');
    expect(valueOf(overrides, 'smtpd_tls_CApath')).toBe('');
    expect(valueOf(overrides, 'smtpd_relay_restrictions')).toBe('permit_tls_clientcerts,defer');
    expect(valueOf(overrides, 'smtpd_tls_fingerprint_digest')).toBe('sha256');
  });

  it('has no white space in a value, and no name twice', () => {
    expect([id, line]).toEqual(['2500/inet', '2500 inet n - y - - smtpd']);
    for (const service of services) {
      expect(service.overrides.filter(({ value }) => /\s/u.test(value))).toEqual([]);
      expect(new Set(service.overrides.map(({ name }) => name)).size).toBe(service.overrides.length);
    }
  });

  it('uses a tlsmgr without a session cache and a cleanup without checks', () => {
    expect(`${valueOf(overrides, 'tlsmgr_service_name') ?? ''}/unix`).toBe(tlsmgr?.id);
    expect(`${valueOf(overrides, 'cleanup_service_name') ?? ''}/unix`).toBe(cleanup?.id);
    expect(valueOf(tlsmgr?.overrides ?? [], 'smtpd_tls_session_cache_database')).toBe('');
    expect(valueOf(cleanup?.overrides ?? [], 'header_checks')).toBe('');
  });

  it('uses port, chroot, table type, folder and unlisted from the settings', () => {
    const postfix = { directory: '/etc/mtls', tableType: 'cdb', unlisted: 'reject', masterChroot: 'n' };
    const other = settingsWith({ postfix, smtpdServers: [{ hostname: 'relayhost', port: 2626, tlsLogLevel: 2 }] });
    const [service, ...more] = relayServices(other, other.smtpdServers[0]);
    expect([service, ...more].map((each) => each.line)).toEqual([
      '2626 inet n - n - - smtpd',
      'relaycerts-2626-tlsmgr unix - - n 1000? 1 tlsmgr',
      'relaycerts-2626-cleanup unix n - n - 0 cleanup',
    ]);
    expect(valueOf(service.overrides, 'relay_clientcerts')).toBe('cdb:/etc/mtls/relay_clientcerts');
    expect(valueOf(service.overrides, 'smtpd_relay_restrictions')).toBe('permit_tls_clientcerts,reject');
    expect(valueOf(service.overrides, 'soft_bounce')).toBe('no');
    expect(valueOf(service.overrides, 'smtpd_tls_loglevel')).toBe('2');
  });

  it('lets mail wait for a domain whose MX is any relay, under any of its names', () => {
    const pair = settingsWith({ smtpdServers: [{ hostname: 'a', altNames: ['mx.example.net'] }, { hostname: 'b' }] });
    for (const server of pair.smtpdServers) {
      const [service] = relayServices(pair, server);
      expect(valueOf(service.overrides, 'smtpd_recipient_restrictions')).toBe(
        'permit_auth_destination,check_recipient_mx_access,inline:{a.example.org=DEFER,mx.example.net=DEFER,b.example.org=DEFER}',
      );
    }
  });

  it('puts overrides in the service that reads them', () => {
    const overridden = {
      message_size_limit: '50000000',
      header_checks: 'regexp:/etc/x',
      smtpd_milters: 'inet:[::1]:1',
    };
    const own = settingsWith({ smtpdServers: [{ hostname: 'relayhost', overrides: overridden }] });
    const [relay, , checks] = relayServices(own, own.smtpdServers[0]);
    const given = (parameters: readonly Parameter[] = []) =>
      Object.keys(overridden).map((name) => valueOf(parameters, name));
    expect(given(relay.overrides)).toEqual(['50000000', undefined, 'inet:[::1]:1']);
    expect(given(checks?.overrides)).toEqual(['50000000', 'regexp:/etc/x', undefined]);
  });
});

const limitsOf = (...smtpClients: readonly object[]) => {
  const settings = settingsWith({ smtpClients });
  const [{ overrides }] = relayServices(settings, settings.smtpdServers[0]);
  return overrides;
};

describe('the senders of clients', () => {
  it('are in no parameter if no client has any', () => {
    expect(limitsOf({ hostname: 'a' })).toEqual(limitsOf({ hostname: 'b' }, { hostname: 'c' }));
    expect(JSON.stringify(limitsOf({ hostname: 'a' }))).not.toMatch(/restriction_classes|relaycerts_senders|pipemap/u);
    expect(valueOf(limitsOf({ hostname: 'a' }), 'smtpd_sender_restrictions')).toBe('');
  });

  it('are one class for each distinct set, in any order', () => {
    const overrides = limitsOf(
      { hostname: 'free' },
      { hostname: 'a', senders: ['ann@example.org', 'example.net'] },
      { hostname: 'b', senders: ['ben@example.org'] },
      { hostname: 'c', senders: ['Example.net', 'ann@example.org', 'ANN@example.org'] },
    );
    expect(valueOf(overrides, 'smtpd_restriction_classes')).toBe('relaycerts_senders_1,relaycerts_senders_2');
    expect(valueOf(overrides, 'relaycerts_senders_1')).toBe(
      'check_sender_access,inline:{<>=OK,.example.net=OK,ann@example.org=OK,example.net=OK},check_sender_access,static:DEFER,defer',
    );
    expect(valueOf(overrides, 'relaycerts_senders_2')).toBe(
      'check_sender_access,inline:{<>=OK,ben@example.org=OK},check_sender_access,static:DEFER,defer',
    );
    const hosts =
      'a.example.org=relaycerts_senders_1,b.example.org=relaycerts_senders_2,c.example.org=relaycerts_senders_1';
    expect(valueOf(overrides, 'smtpd_sender_restrictions')).toBe(
      `check_ccert_access,pipemap:{texthash:/etc/postfix/relaycerts/example.org/relay_clientcerts,inline:{${hosts}}}`,
    );
    expect(overrides.filter(({ value }) => /\s/u.test(value))).toEqual([]);
    expect(new Set(overrides.map(({ name }) => name)).size).toBe(overrides.length);
  });

  it('fit into one argument of a program, however many pass', () => {
    const hosts = Array.from({ length: 2500 }, (_, at) => ({ hostname: `${at.toString(36)}.ab`, senders: ['a.b'] }));
    const domains = Array.from({ length: 3800 }, (_, at) => `${at.toString(36)}.ab`);
    for (const overrides of [limitsOf(...hosts), limitsOf({ hostname: 'a', senders: domains })]) {
      const longest = Math.max(...overrides.map(({ value }) => value.length));
      expect(longest).toBeGreaterThan(60_000);
      expect(longest).toBeLessThan(128_000);
    }
    const long = hosts.map(({ senders }, at) => ({ hostname: `h${at}`, senders }));
    expect(() => limitsOf(...long)).toThrow('over 25000 octets of senders');
  });
});

describe('relay_clientcerts', () => {
  it('without pins is only a comment', () => {
    expect(renderTable(one, [])).toMatch(/^# [^\n]+\n$/u);
  });
});

describe('the commands that reach a host', () => {
  it.each([
    ['root', 'relayhost.example.org', 22, 'ssh root@relayhost.example.org sh'],
    ['root', '2001:db8::25', 22, 'ssh root@2001:db8::25 sh'],
    ['admin', 'vps', 2222, 'ssh -p 2222 admin@vps sudo sh'],
  ])('%s, %s, %d', (user, host, port, command) => {
    expect(
      rootCommand(
        { isLocal: false, needsSudo: user !== 'root', user: parseSshUser(user), host: parseSshHost(host), port },
        'sh',
      ),
    ).toBe(command);
  });
});
