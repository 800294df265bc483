// What is printed for Postfix, under settings as strange as the parsers let them be, run to the letter on a stock
// configuration: the real postconf and postmap read back exactly what is meant, written down here once more, and nothing
// else has changed: no line, parameter, service or table entry was added, and nothing is expanded.

import { spawnSync } from 'node:child_process';
import { relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relayServices } from '../../src/render/relay-service.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf, type SmtpdServer } from '../../src/settings/settings.js';
import { blocksFor, blocksOf } from '../support/blocks.js';
import { hostileSettings, makeHostileProject, type HostileProject } from '../support/hostile-project.js';
import { requireTools } from '../support/require-tools.js';
import { makeStubs } from '../support/shell-stubs.js';
import { stockPostfix } from '../support/stock-postfix.js';

const directory = hostileSettings.postfix.directory.replace('/etc/', '/etc/postfix/');
const variants = [
  { tableType: 'texthash', pin: 'public-key', unlisted: 'defer', masterChroot: 'y' },
  { tableType: 'hash', pin: 'certificate', unlisted: 'reject', masterChroot: '-' },
] as const;

let hostile: HostileProject;
beforeAll(async () => {
  requireTools('postconf', 'openssl', 'dash');
  hostile = makeHostileProject({ postfix: { ...variants[0], directory } });
  await hostile.print(['make', '--quiet']);
});
afterAll(() => {
  hostile.project.remove();
});

const prelude = `${stockPostfix}
mount -t tmpfs none /usr/local/sbin
printf '#!/bin/sh\\necho canary: "$@" >&2\\n' >/usr/local/sbin/canary
chmod 755 /usr/local/sbin/canary
look() {
  for what in -n -xn -M -P -xP; do echo "== $what"; postconf $what; done
}
`;

interface Seen {
  readonly parameters: ReadonlyMap<string, string>;
  readonly expanded: ReadonlyMap<string, string>;
  readonly services: readonly string[];
  readonly overrides: ReadonlyMap<string, string>;
  readonly expandedOverrides: ReadonlyMap<string, string>;
}

/** Lines of `name = value`. */
function values(part = ''): ReadonlyMap<string, string> {
  return new Map(
    part
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => /^(\S+) =(?: (.*))?$/u.exec(line) ?? [line, line, 'no line of postconf'])
      .map(([, name = '', value = '']) => [name, value]),
  );
}

function seenIn(text: string): Seen {
  const parts = text.split(/^== .*\n/mu).slice(1);
  const services = (parts[2] ?? '')
    .replaceAll(/\n[ \t]+/gu, ' ')
    .split('\n')
    .filter((line) => line !== '');
  return {
    parameters: values(parts[0]),
    expanded: values(parts[1]),
    services: services.map((line) => line.split(/\s+/u).join(' ')),
    overrides: values(parts[3]),
    expandedOverrides: values(parts[4]),
  };
}

/** The configuration before and after the printed commands ran on the host, and what else they print. */
function installed(hostname: string, text: string, shell: string, then = ''): readonly [Seen, Seen, string] {
  const env = {
    ...process.env,
    text,
    shell,
    directory,
    bundle: `${hostile.folder}/hosts/${hostname}`,
  };
  const script = `${prelude}
mkdir -p -m 700 "$directory" && cp "$bundle"/* "$directory/"
look
echo '== end'
printf '%s\\n' "$text" | $shell >"$top/said" 2>&1 || { cat "$top/said" >&2; exit 9; }
if grep canary "$top/said" >&2; then exit 8; fi
echo '==== after'
look
echo '==== then'
${then}`;
  const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', script], { env });
  expect([stderr.toString(), status]).toEqual(['', 0]);
  const [before = '', after = '', said = ''] = stdout.toString().split(/^==== .*\n/mu);
  return [seenIn(before), seenIn(after), said];
}

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const defaults = spawnSync('postconf', ['-d']).stdout.toString();
const release = /^mail_version = .*$/mu.exec(defaults)?.[0] ?? '';
/** Whether this Postfix has a parameter. */
const isKnown = (name: string): boolean => defaults.includes(`\n${name} =`);
const isLate = Number(/3\.(\d+)/u.exec(release)?.[1]) >= 10;

/** What is pasted on a host before it is checked and reloaded, which needs a Postfix that runs. */
async function firstBlocks(hostname: string): Promise<string> {
  const blocks = blocksFor(await hostile.print(['show', hostname]), { host: hostname });
  const end = blocks.findIndex((block) => block.startsWith('openssl verify'));
  return end < 1 ? 'exit 99' : blocks.slice(0, end).join('\n');
}

describe.each(variants)('$tableType, $pin, $unlisted, chroot $masterChroot', (variant) => {
  const settings = parseSettings(
    { ...hostileSettings, postfix: { ...variant, directory } },
    { file: '/x/settings.json', home: '/root', program: 'relaycerts', command: 'relaycerts' },
  );
  const { domain, smtpdServers, smtpClients } = settings;
  beforeAll(async () => {
    hostile.change({ postfix: { ...variant, directory } });
    await hostile.print(['make', '--quiet']);
  });
  const protocols = '!SSLv2,!SSLv3,!TLSv1,!TLSv1.1';
  const ways = ['script', 'text'] as const;
  // One way for each host of each variant: postconf takes its time.
  const first = variants.indexOf(variant);
  const waysOf = (at: number) => (isDeep ? ways : ways.filter((_, way) => way === (at + first) % 2));
  const printed = async (hostname: string, way: (typeof ways)[number]): Promise<string> =>
    way === 'script' ? hostile.print(['show', hostname, '--format', 'sh']) : firstBlocks(hostname);

  it.each(smtpClients.flatMap(({ hostname }, at) => waysOf(at).map((way) => [hostname, way] as const)))(
    'main.cf and master.cf of %s, by the %s',
    async (hostname, way) => {
      const [before, after] = installed(hostname, await printed(hostname, way), way === 'script' ? 'dash' : 'bash');
      const client = smtpClients.find((one) => one.hostname === hostname);
      const wanted = new Map([
        ['default_transport', 'relaycerts'],
        ['relayhost', smtpdServers.map((server) => `[${server.hostname}]:${server.port}`).join(', ')],
      ]);
      const merged = new Map([...before.parameters, ...wanted]);
      expect(Object.fromEntries(after.parameters)).toEqual(Object.fromEntries(merged));
      for (const [name, value] of wanted) expect(after.expanded.get(name)).toBe(value);

      const ours = {
        syslog_name: 'postfix/relaycerts',
        smtp_tls_security_level: 'secure',
        smtp_tls_policy_maps: 'static:secure',
        smtp_tls_wrappermode: 'no',
        smtp_discard_ehlo_keywords: '',
        smtp_discard_ehlo_keyword_address_maps: '',
        smtp_never_send_ehlo: 'no',
        smtp_tls_secure_cert_match: 'nexthop',
        smtp_cname_overrides_servername: 'no',
        smtp_tls_CAfile: `${directory}/${domain}-ca.crt.pem`,
        smtp_tls_CApath: '',
        tls_append_default_CA: 'no',
        smtp_tls_trust_anchor_file: '',
        smtp_tls_chain_files: `${directory}/${hostname}.chain.pem`,
        smtp_tls_cert_file: '',
        smtp_tls_key_file: '',
        smtp_tls_eccert_file: '',
        smtp_tls_eckey_file: '',
        smtp_tls_mandatory_protocols: protocols,
        smtp_tls_connection_reuse: 'no',
        smtp_tls_loglevel: String(client?.tlsLogLevel),
        smtp_sasl_auth_enable: 'no',
        smtp_fallback_relay: '',
        soft_bounce: 'yes',
        ...(isLate ? { smtp_tls_enable_rpk: 'no', tls_required_enable: 'no' } : {}),
      };
      const overrides = new Map(Object.entries(ours).map(([name, value]) => [`relaycerts/unix/${name}`, value]));
      expect(Object.fromEntries(after.overrides)).toEqual(Object.fromEntries([...before.overrides, ...overrides]));
      for (const [name, value] of overrides) expect(after.expandedOverrides.get(name)).toBe(value);
      const options = Object.entries(ours).map(([name, value]) => ` -o ${name}=${value}`);
      const added = `relaycerts unix - - ${variant.masterChroot} - 10 smtp${options.join('')}`;
      expect(after.services.toSorted()).toEqual([...before.services, added].toSorted());
    },
  );

  /** The parameters that decide who relays, written down a second time by hand. */
  const locksOf = ({ hostname, tlsLogLevel }: SmtpdServer): Readonly<Record<string, string>> => ({
    syslog_name: 'postfix/relaycerts',
    smtpd_tls_security_level: 'encrypt',
    smtpd_tls_req_ccert: 'yes',
    smtpd_tls_CAfile: `${directory}/${domain}-ca.crt.pem`,
    smtpd_tls_CApath: '',
    tls_append_default_CA: 'no',
    smtpd_tls_chain_files: `${directory}/${hostname}.chain.pem`,
    smtpd_tls_fingerprint_digest: 'sha256',
    smtpd_tls_mandatory_protocols: protocols,
    tls_session_ticket_cipher: '',
    smtpd_tls_loglevel: String(tlsLogLevel),
    relay_clientcerts: `${variant.tableType}:${directory}/relay_clientcerts`,
    smtpd_relay_restrictions: `permit_tls_clientcerts,${variant.unlisted}`,
    smtpd_sasl_auth_enable: 'no',
    soft_bounce: variant.unlisted === 'reject' ? 'no' : 'yes',
    ...(isLate ? { smtpd_hide_client_session: 'yes', smtpd_tls_enable_rpk: 'no' } : {}),
  });

  it.each(smtpdServers.flatMap((server, at) => waysOf(at).map((way) => ({ server, way, name: server.hostname }))))(
    'master.cf and the table of $name, by the $way',
    async ({ server, way }) => {
      const { hostname, port } = server;
      const table = `${variant.tableType}:${directory}/relay_clientcerts`;
      const digest = variant.pin === 'certificate' ? '-fingerprint' : '-pubkey';
      const pins = smtpClients.map((client) => pinOf(`certs/smtp-client/${client.hostname}.crt.pem`, digest));
      const [before, after, said] = installed(
        hostname,
        await printed(hostname, way),
        way === 'script' ? 'dash' : 'bash',
        `${pins.map((pin) => `postmap -q ${pin} ${table}`).join('\n')}\necho ==; postmap -s ${table}`,
      );
      expect(after.parameters).toEqual(before.parameters);
      const services = relayServices(settings, server).map(({ id, line, overrides }) => {
        const known = overrides.filter(({ name }) => isKnown(name)).map(({ name, value }) => [name, value] as const);
        return { id, added: `${line}${known.map(([name, value]) => ` -o ${name}=${value}`).join('')}`, known };
      });
      expect(services[0]?.id).toBe(`${port}/inet`);
      expect(Object.fromEntries(services[0]?.known ?? [])).toMatchObject(locksOf(server));
      expect(after.services.toSorted()).toEqual([...before.services, ...services.map((one) => one.added)].toSorted());
      const wanted = new Map(
        services.flatMap(({ id, known }) => known.map(([name, value]) => [`${id}/${name}`, value] as const)),
      );
      const merged = Object.fromEntries([...before.overrides, ...wanted]);
      expect(Object.fromEntries(after.overrides)).toEqual(merged);
      for (const [name, value] of wanted) {
        if (!value.includes('${')) expect(after.expandedOverrides.get(name)).toBe(value);
      }
      const names = smtpClients.map((client) => client.hostname);
      const [found, all] = said.split('==\n');
      expect(found).toBe(names.map((name) => `${name}\n`).join(''));
      // A Postfix table folds the keys that it is asked for, and those that it lists.
      const entries = pins.map((pin, at) => `${pin.toLowerCase()}\t${names[at] ?? ''}`);
      expect(
        all
          ?.split('\n')
          .filter((line) => line !== '')
          .toSorted(),
      ).toEqual(entries.toSorted());
    },
  );

  it('the sections are the lines of the files, one parameter a line', async () => {
    for (const { hostname, role } of hostsOf(settings)) {
      for (const section of role === 'smtp-client' ? ['main.cf', 'master.cf'] : ['master.cf']) {
        const [block, ...others] = blocksOf(await hostile.print(['show', hostname, '--section', section]));
        expect(others).toEqual([]);
        const lines = (block?.text ?? '').trimEnd().split('\n');
        for (const line of lines) {
          expect(line).toMatch(
            /^(?:#.*|\w+ =(?: \S.*)?|\d+ inet n - [yn-] - - smtpd|relaycerts[\w-]* unix [n-] - [yn-] \S+ \S+ \w+| {2}-o \w+=\S*)$/u,
          );
          expect(line.replace(/\$\{stress\?\{\d+\}:\{\d+\}\}/u, '')).not.toMatch(/[$"'`\\]/u);
        }
      }
    }
  });
});

/** The digest as computed by openssl. */
function pinOf(path: string, what: string): string {
  const script =
    what === '-fingerprint'
      ? 'openssl x509 -in "$1" -noout -fingerprint -sha256 | sed "s/.*=//"'
      : 'openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c | sed "s/.*= //"';
  const { stdout } = spawnSync('sh', ['-c', script, 'sh', `${hostile.folder}/${path}`]);
  return stdout.toString().trim().toUpperCase();
}

describe('if the bundle is missing', () => {
  it("the script's hint is a command for the machine that relaycerts runs on", async () => {
    const [{ hostname }] = hostsOf(
      parseSettings(
        { ...hostileSettings },
        { file: '/x/settings.json', home: '/root', program: 'relaycerts', command: 'relaycerts' },
      ),
    ) as unknown as [{ hostname: string }];
    const text = await hostile.print(['show', hostname, '--format', 'sh']);
    const env = { ...process.env, text };
    const { status, stderr } = spawnSync(
      'unshare',
      ['--mount', 'sh', '-c', `${prelude}printf '%s\\n' "$text" | dash`],
      {
        env,
      },
    );
    expect(status).toBe(1);
    const hint = /^relaycerts: hint: copy the bundle first: ([^\n]*)\n$/mu.exec(stderr.toString())?.[1] ?? '';
    const stubs = makeStubs();
    expect(stubs.run(['dash'], hint).ran).toEqual([
      [
        'relaycerts',
        '--settings',
        relative(hostile.project.folder, hostile.file),
        'show',
        hostname,
        '--section',
        'rsync',
      ],
    ]);
    stubs.remove();
  });
});
