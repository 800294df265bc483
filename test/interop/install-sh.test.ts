// The scripts that hosts run, as shell: shellcheck and shfmt read the files in src/, three shells and shellcheck read
// what is printed for each role and each place of the key, and none of it runs if a pipe cuts it short. Scripts that differ
// in their values and their last line only are for shellcheck with RELAYCERTS_DEEP=1, and so is each cut of all.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { renderAnsible } from '../../src/render/ansible.js';
import { renderDelivery } from '../../src/render/delivery.js';
import { renderSh, showHost } from '../../src/render/host.js';
import { renderRenewalTimer } from '../../src/render/renewal-timer.js';
import { lookPart, renderProbeFrom } from '../../src/render/probe-from.js';
import { renderProbe, renderScript } from '../../src/render/script.js';
import type { Section } from '../../src/render/sections.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf, mailPrograms } from '../../src/settings/settings.js';
import { blocksOf } from '../support/blocks.js';
import { requireTools } from '../support/require-tools.js';

const written = {
  domain: 'example.org',
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: mailPrograms.map((program) => ({ hostname: `${program}-host`, program })),
};
const place = { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts' };
const settings = parseSettings(written, place);

/** With all that the settings can ask for besides. */
const complete = ['verify', ['ann@example.org']].map((recipients) =>
  parseSettings(
    {
      ...written,
      inbound: { home: 'postfix-host', recipients },
      dkim: {},
      relayPort25: { spf: 'mark', srs: true, postscreen: true, dnsbl: ['bl.example.net'] },
    },
    place,
  ),
);

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';

/** The text piped to sh; `section` is undefined for the whole installation. */
const printed = hostsOf(settings).flatMap((host) => {
  const show = (section: Section | undefined, undo: boolean, keyPlace: 'here' | 'host') => {
    return {
      isLike: section === undefined && (undo || keyPlace === 'host'),
      name: `${host.hostname}, ${section ?? 'script'}${undo ? ' --undo' : ''}, key ${keyPlace}`,
      text: renderSh(showHost(settings, host, [], { section, undo, forceRoutes: false, keyPlace, isRevoked: false })),
    };
  };
  // What they print for a key of their own is that of Postfix.
  if (host.role === 'smtp-client' && host.program !== 'postfix') {
    return [show(undefined, false, 'here'), show(undefined, true, 'here'), show('verify', false, 'here')];
  }
  const whole = ([false, true] as const).flatMap((undo) => [
    show(undefined, undo, 'here'),
    show(undefined, undo, 'host'),
  ]);
  const sections = (['rsync', 'request', 'verify', 'monitor'] as const).map((section) => show(section, false, 'host'));
  return [...whole, ...sections];
});

/** What deploy runs on each host: the files that arrive are those of its bundle, or any. */
const received = hostsOf(settings).flatMap((host) =>
  (['all', 'trust'] as const).map((files) => {
    const options = { files, keyPlace: 'here', forceRoutes: false, at: new Date(0) } as const;
    const { script, input } = renderDelivery(settings, host, new Map(), options);
    // The last of the archive, after its header.
    const inner = input
      .subarray(input.indexOf('receive.sh\0') + 512)
      .toString('utf8')
      .replace(/\0+$/u, '');
    const isLike = files === 'trust' || (host.role === 'smtp-client' && host.program !== 'postfix');
    return { name: `${host.hostname}, ${files}`, script, inner, isLike };
  }),
);

function run(command: readonly [string, ...string[]], input = ''): string {
  const [program, ...args] = command;
  const { stdout, stderr, status, error } = spawnSync(program, args, { input, encoding: 'utf8' });
  return status === 0 ? stdout + stderr : `${String(error ?? status)}: ${stdout}${stderr}`;
}

function eachShellReads(text: string): void {
  for (const shell of [['dash'], ['busybox', 'ash'], ['bash', '--posix']] as const) {
    expect(run([...shell, '-n'], text)).toBe('');
  }
}

/** The scripts of hosts with everything, and what check runs there. */
const asked = complete.flatMap((all) =>
  hostsOf(all)
    .filter(({ isInbound }) => isInbound)
    .flatMap((host) => {
      const own = { keyPlace: 'here', mailDomain: undefined } as const;
      const tries = { peers: [], sender: '', recipients: ['ann@example.org'], isTrial: true };
      const name = `${host.hostname}, recipients ${String(all.inbound?.recipients)}`;
      return [
        { name, text: renderScript(all, host, { undo: false, forceRoutes: false, keyPlace: 'here' }) },
        { name: `${name}, check`, text: renderProbe(all, host, own) },
        {
          name: `${name}, sent`,
          text: renderScript(all, host, {
            undo: false,
            forceRoutes: false,
            keyPlace: 'here',
            look: lookPart(all, all.smtpClients[0]),
          }),
        },
        { name: `${name}, tries`, text: renderProbeFrom(all, host, tries) },
      ];
    }),
);

it.each(asked)('$name: passes shellcheck, and each shell reads it', ({ text }) => {
  expect(run(['shellcheck', '--shell=sh', '-'], text)).toBe('');
  eachShellReads(text);
});

beforeAll(() => requireTools('shellcheck', 'shfmt', 'dash', 'busybox', 'bash'));

describe('the files in src/render', () => {
  const files = readdirSync('src/render').filter((file) => file.endsWith('.sh'));

  it.each(files)('%s passes shellcheck and shfmt', (file) => {
    expect(run(['shellcheck', `src/render/${file}`])).toBe('');
    expect(run(['shfmt', '-d', `src/render/${file}`])).toBe('');
  });
});

describe.each(printed)('$name', ({ text, isLike }) => {
  it('passes shellcheck, and each shell reads it', () => {
    if (isDeep || !isLike) expect(run(['shellcheck', '-'], text)).toBe('');
    eachShellReads(text);
  });

  it('is a syntax error if it is cut short', () => {
    expect(text.endsWith('\n}\n')).toBe(true);
    // From the opening brace on: before it there are only comments. The last byte may be missing.
    const [from, to] = [text.indexOf('\n{\n') + 2, text.length - 2];
    const cuts = `$(seq ${from} ${isDeep ? 97 : 499} ${to}) $(seq ${to - 30} ${to})`;
    const whole = `text=$(cat); for cut in ${cuts}; do printf %s "$text" | head -c $cut | dash -n 2>/dev/null && echo $cut; done; :`;
    expect(run(['sh', '-c', whole], text)).toBe('');
  });
});

it.each(received)(
  'what deploy sends to $name passes shellcheck, and each shell reads it',
  ({ script, inner, isLike }) => {
    expect(inner).toContain("only='");
    for (const text of [script, inner]) {
      if (isDeep || !isLike) expect(run(['shellcheck', '--shell=sh', '-'], text)).toBe('');
      eachShellReads(text);
    }
  },
);

it('files that were not replaced yet have one name when a script fails', () => {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-frame-'));
  // The second file cannot be written: a folder is no text.
  const script = `host=h folder=. edited='a b' root_hint=none
. ./src/render/failure.sh
. ./src/render/frame.sh
for part in is_running resume put_bundle_back; do eval "$part() { :; }"; done
cd '${folder}'
config=$PWD saved=$PWD/saved
mkdir -p saved/before saved/new/b
for file in a b; do echo old >"$file" && cp "$file" saved/before; done
echo new >saved/new/a
begin_change
replace_files`;
  const { stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toContain('the configuration of h is as it was before');
  expect(readdirSync(folder)).toEqual(['a', 'b', 'saved']);
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old\n');
  rmSync(folder, { recursive: true });
});

it('puts files in place after those that they name, and takes them back before', () => {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-frame-'));
  const script = `host=h folder=. edited='master.cf main.cf' root_hint=none
. ./src/render/failure.sh
. ./src/render/frame.sh
for part in is_running resume put_bundle_back; do eval "$part() { :; }"; done
mv() { command mv "$@"; [ "\${3%.cf}" = "$3" ] || echo "\${3##*/}: $(cat "$3")"; }
cd '${folder}'
config=$PWD saved=$PWD/saved
write() { mkdir -p saved/before saved/new; for file in $edited; do echo "$1" >"saved/new/$file"; done; }
for file in $edited; do echo old >"$file"; done
write ours
(begin_change; replace_files; exit 1) || :
write ours
replace_files
end_change
write old
edited=$(backwards)
(begin_change; replace_files; exit 1) || :
write old
replace_files`;
  const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  const [into, outOf] = [
    ['master.cf: ours', 'main.cf: ours'],
    ['main.cf: old', 'master.cf: old'],
  ];
  expect(stdout.split('\n').filter((line) => line.includes('.cf: '))).toEqual([
    ...[into, outOf, into].flat(),
    ...[outOf, into, outOf].flat(),
  ]);
  rmSync(folder, { recursive: true });
});

it('what a run that was killed had prepared does not come into place', () => {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-frame-'));
  const script = `host=h folder=. edited=a root_hint=none
. ./src/render/failure.sh
. ./src/render/frame.sh
cd '${folder}'
config=$PWD saved=$PWD/saved
mkdir -p saved/before saved/new
for file in a saved/before/a saved/new/a; do echo old >"$file"; done
echo ours >a.relaycerts
replace_files`;
  expect(spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stderr).toBe('');
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old\n');
  expect(readdirSync(folder)).toEqual(['a', 'saved']);
  rmSync(folder, { recursive: true });
});

describe('what the role of export ansible runs', () => {
  const hosts = hostsOf(settings).map((host) => {
    const keyPlace = 'here' as const;
    return { host, keyPlace, certificate: undefined, previous: undefined, isRevoked: false };
  });
  const files = renderAnsible(settings, hosts, '/project/hosts');
  const textOf = (name: string): string => files.get(`roles/relaycerts/files/${name}.sh`) ?? '';
  const kinds = { relayhost: 'smtpd-server', 'postfix-host': 'smtp-client', 'exim-host': 'smtp-client-exim' };
  const looks = Object.entries(kinds).map(([host, kind]) => [
    `look at ${host}`,
    [textOf(`hosts/${host}.example.org`), textOf(kind), 'sent_files() { :; }', textOf('look'), 'look_host'].join('\n'),
  ]);

  it.each([['receive', textOf('receive')], ...looks])('%s passes shellcheck, and each shell reads it', (_, text) => {
    expect(run(['shellcheck', '--shell=sh', '-'], text)).toBe('');
    eachShellReads(text);
  });
});

it('the renewal script passes shellcheck, and each shell reads it', () => {
  const blocks = blocksOf(renderRenewalTimer(settings, [])).filter(({ where }) => where === 'here');
  const scripts = blocks.flatMap(({ text }) => [
    text,
    ...(/<<'END' \|\| exit\n([^]*?)\nEND\n/u.exec(text)?.slice(1) ?? []),
  ]);
  expect(scripts.some((text) => text.startsWith('#!/bin/sh\n'))).toBe(true);
  for (const text of scripts) {
    expect(run(['shellcheck', '--shell=sh', '-'], text)).toBe('');
    eachShellReads(text);
  }
});
