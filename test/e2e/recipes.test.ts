// The commands of README.md and docs/recipes.md on real hosts, as they are printed, in the order of a life: the first
// mail, another client, a stolen laptop, new keys, a new relay, a new machine with a backup and without, and the end.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { blocksFor } from '../support/blocks.js';
import { blocksUnder } from '../support/page.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Shell, clone } from './lab/newcomer.js';
import { Desk, contentOf, deliver, send, servedSerial } from './lab/operator.js';

const recipes = 'docs/recipes.md';
let lab: Lab;
let desk: Desk;
/** Runs before every line. */
let environment = 'export PATH="$HOME/.local/bin:$PATH"\n';
let [relay, newRelay, home, laptop]: readonly MailHost[] = [];
const before = new Map<MailHost, string>();

/** A user's answers: yes, and the password of the backup. */
function answered(line: string): string {
  const [, verb = ''] = /^relaycerts (\S+)/u.exec(line) ?? [];
  if (verb === 'deploy' || verb === 'clean') return `${line} --yes`;
  if (verb === 'adopt' && !line.endsWith(' --dry-run')) return `${line} --yes`;
  return ['backup', 'restore', 'export'].includes(verb) ? `${line} --password-fd 3 3<~/password` : line;
}

/** Another home folder acts as another machine; the program is the one that the newcomer installed. */
async function moveTo(machine: string): Promise<void> {
  const folder = `/home/operator/${machine}`;
  await lab.operator.sh(`mkdir -p ${folder}/project`);
  desk = new Desk(lab.operator, `${folder}/project`);
  environment = `export HOME=${folder} PATH="/home/operator/.local/bin:$PATH"\n`;
}

interface Written {
  smtpdServers: [{ altNames?: readonly string[] }];
  certificates?: { readonly validDays: number; readonly renewBeforeDays: number };
}

/** Changes settings.json, and returns its old contents. */
async function changeSettings(change: (settings: Written) => void): Promise<string> {
  const path = `${desk.folder}/settings.json`;
  const text = await lab.operator.readFile(path);
  const settings = JSON.parse(text) as Written;
  change(settings);
  await lab.operator.writeFile(path, JSON.stringify(settings));
  return text;
}

/** Runs a block line by line, each as printed. */
async function follow(block: string | undefined): Promise<void> {
  if (block === undefined) throw new TypeError('no such block');
  for (const line of block.trim().split('\n')) {
    const { code, stdout, stderr } = await desk.run(`${environment}${answered(line)}`, true);
    expect(code, `${line}\n${stdout}${stderr}`).toBe(0);
  }
}

/** What a newcomer answers on a machine that is none of the two hosts; '' is Enter. */
function answersTo(line: string): readonly (readonly [string, string])[] {
  if (line === 'relaycerts wizard') {
    return [
      ['Mail domain:', ''],
      ['Relay:', ''],
      ['Mail server at home:', 'mailhost'],
      ['This machine is:', ''],
      ['Write settings.json:', ''],
    ];
  }
  return line === 'relaycerts deploy' ? [['Do this on these 2 hosts?', 'y']] : [];
}

async function followAll(heading: string): Promise<void> {
  for (const block of blocksUnder(recipes, heading)) await follow(block);
}

const isThere = (host: MailHost | undefined): MailHost => {
  if (host === undefined) throw new TypeError('a lab with two relays and two homes');
  return host;
};

beforeAll(async () => {
  requireTools('openssl');
  lab = await startLab({ relays: 2, homes: 2, faults: ['pin-not-listed', 'no-client-certificate'] });
  [relay, newRelay] = lab.relays;
  [home, laptop] = lab.homes;
  for (const host of [...lab.relays, ...lab.homes]) before.set(host, await contentOf(host));
  desk = new Desk(lab.operator, '/home/operator/relay');
  await lab.operator.sh("umask 077; echo 'a password for the backup' >~/password");
});
afterAll(() => lab.stop());

describe('a life', () => {
  test('a newcomer, by the README: what it prints to try', async () => {
    await clone(lab.operator, 'relaycerts');
    const shell = await Shell.open(lab.operator);
    await shell.run('cd relaycerts');
    const [block = ''] = blocksUnder('README.md', 'Try it');
    for (const line of block.trim().split('\n')) await shell.run(line);
    expect(shell.screen()).toContain('deploy\n');
    shell.close();
  });

  test('and from nothing to the first mail: 6 commands, 4 questions', async () => {
    const shell = await Shell.open(lab.operator);
    await shell.run('cd relaycerts');
    const { lines } = shell;
    const install = blocksUnder('README.md', 'Install');
    const start = blocksUnder('README.md', 'From nothing to a relay');
    const [last, ...first] = [...install.slice(0, 1), ...start.slice(0, 1)].join('').trim().split('\n').toReversed();
    for (const line of first.toReversed()) await shell.run(line, answersTo(line));
    await deliver(isThere(home), lab.outside);
    expect(lines.slice(1)).toHaveLength(6);
    // Without what brings the program there.
    const own = lines.filter((line) => /^relaycerts (?:wizard|make|deploy)\b/u.test(line));
    expect(own).toEqual(['relaycerts wizard', 'relaycerts deploy']);
    expect(shell.screen().match(/^\S (?:Mail domain|Relay|Mail server at home|This machine is): \S/gmu)).toHaveLength(
      4,
    );
    // The two others are "write it?" and "do it?".
    expect(shell.screen().match(/^. [A-Z].*[:?] /gmu)).toHaveLength(6);
    await shell.run(last ?? '');
    // Where man looks for the pages of what is in ~/.local/bin.
    await shell.run('test -e ~/.local/share/man/man1/relaycerts.1');
    shell.close();
  });

  test('another client', async () => {
    await followAll('Another client');
    await deliver(isThere(laptop), lab.outside);
  });

  test('a stolen laptop is cut off, and relays again with a new key', async () => {
    const [cutOff, again] = blocksUnder(recipes, 'A stolen laptop');
    await follow(cutOff);
    await send(isThere(laptop));
    expect(await isThere(laptop).waitForDeferred()).toContain('said: 450 4.3.2');
    await deliver(isThere(home), lab.outside);
    await follow(again);
    await isThere(laptop).exec(['postqueue', '-f']);
    await deliver(isThere(laptop), lab.outside);
  });

  test('a client that leaves is as it was before', async () => {
    await followAll('A client that leaves');
    expect(await contentOf(isThere(laptop))).toBe(before.get(isThere(laptop)));
    await deliver(isThere(home), lab.outside);
  });

  test('a new key for a host', async () => {
    const [renewed, retired] = blocksUnder(recipes, 'A new key for a host');
    await follow(renewed);
    await deliver(isThere(home), lab.outside);
    await follow(retired);
    await deliver(isThere(home), lab.outside);
  });

  test('other names in a certificate', async () => {
    await changeSettings((settings) => {
      settings.smtpdServers[0].altNames = ['smtp.example.org'];
    });
    await followAll('Other names in a certificate');
    const { stdout } = await desk.run(
      'openssl s_client -starttls smtp -connect relayhost.example.org:2500 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName',
    );
    expect(stdout).toContain('DNS:relayhost.example.org, DNS:smtp.example.org');
    await deliver(isThere(home), lab.outside);
  });

  test('PKCS#12 for other programs', async () => {
    await followAll('PKCS#12 for other programs');
    const opened = await desk.run(
      'stat -c %a mailhost.example.org.p12; openssl pkcs12 -in mailhost.example.org.p12 -passin file:$HOME/password -nodes',
    );
    expect(opened.stdout).toMatch(/^600\n/u);
    expect(opened.stdout.match(/^-----BEGIN .*-----$/gmu)?.toSorted()).toEqual([
      '-----BEGIN CERTIFICATE-----',
      '-----BEGIN CERTIFICATE-----',
      '-----BEGIN PRIVATE KEY-----',
    ]);
  });

  test('the second year, unattended: cron renews what is due, and installs it', async () => {
    // Made to end in 25 days, which is soon by the usual settings.
    const settings = await changeSettings((one) => {
      one.certificates = { validDays: 25, renewBeforeDays: 5 };
    });
    await follow('relaycerts renew --force\nrelaycerts deploy');
    await lab.operator.writeFile(`${desk.folder}/settings.json`, settings);
    const due = await desk.run('relaycerts status', true);
    expect([due.code, due.stdout]).toEqual([3, expect.stringContaining('2 hosts: 2 due; CA ok')]);

    const [show = '', byHand] = blocksUnder(recipes, 'The second year, unattended');
    const [script = '', crontab = ''] = blocksFor((await desk.run(`${environment}${show}`)).stdout, 'here');
    // cron(8) keeps what crontab(1) is given, and runs it with an environment of its own.
    const keeper = '#!/bin/sh\n[ "$1" = - ] || exec cat ~/crontab\nexec cat >~/crontab\n';
    await lab.operator.writeFile('.local/bin/crontab', keeper, '0755');
    await desk.run(`${environment}${script}`);
    await desk.run(`${environment}${crontab}`);
    const [, command = ''] = /^23 4 \* \* \* (.*)$/mu.exec(await lab.operator.readFile('crontab')) ?? [];
    const old = await servedSerial(desk, isThere(relay));
    const cron = ['env', '-i', 'HOME=/home/operator', 'LOGNAME=operator', 'SHELL=/bin/sh', 'PATH=/usr/bin:/bin'];
    const { stdout, stderr } = await lab.operator.exec([...cron, 'sh', '-c', command.replaceAll(String.raw`\%`, '%')]);
    expect([stdout, stderr]).toEqual(['', '']);
    expect(await servedSerial(desk, isThere(relay))).not.toBe(old);
    expect((await desk.run('relaycerts status')).stdout).toContain('2 hosts: 2 ok; CA ok; passphrase ok');
    await deliver(isThere(home), lab.outside);
    await follow(byHand);
  });

  test('a new VPS with another name', async () => {
    const [added, removed] = blocksUnder(recipes, 'A new VPS with another name');
    await follow(added);
    await deliver(isThere(home), lab.outside);
    await follow(removed);
    expect(await contentOf(isThere(relay))).toBe(before.get(isThere(relay)));
    expect(await deliver(isThere(home), lab.outside)).toContain('by relayhost2.example.org');
  });

  test.each(['A new certificate for the CA', 'A new key for the CA'])('%s', async (heading) => {
    await followAll(heading);
    await deliver(isThere(home), lab.outside);
  });

  test('a new operator machine, with a backup', async () => {
    const [saved, restored] = blocksUnder(recipes, 'A new operator machine');
    await follow(saved);
    await moveTo('second');
    await lab.operator.sh('cp ~/password ~/example.org.backup.gpg ~/second');
    await follow(restored);
    await deliver(isThere(home), lab.outside);
  });

  test('a new operator machine, without one', async () => {
    const [, , anew] = blocksUnder(recipes, 'A new operator machine');
    await moveTo('third');
    await lab.operator.sh('cp ~/second/project/settings.json ~/third/project');
    await follow(anew);
    await deliver(isThere(home), lab.outside);
  });

  test('removing everything: each host is as it was before', async () => {
    const [block] = blocksUnder(recipes, 'Removing everything');
    await follow(block);
    for (const host of [relay, newRelay, home, laptop].map(isThere)) {
      expect(await contentOf(host)).toBe(before.get(host));
    }
    expect((await lab.operator.sh("find ~/third -name '*.pem' -o -name '*.gpg'")).stdout).toBe('');
  });

  test('a host that makes its own key, from the settings of the README', async () => {
    await moveTo('fourth');
    const [settings = ''] = blocksUnder('README.md', 'From nothing to a relay', 'json');
    await lab.operator.writeFile(`${desk.folder}/settings.json`, settings);
    await followAll('A host that makes its own key');
    await deliver(isThere(home), lab.outside);
    expect((await desk.run('find . -name "mailhost*key.pem"')).stdout).toBe('');
  });

  test('an existing CA, whose hosts keep their keys', async () => {
    await moveTo('fifth');
    await lab.operator.sh(`mkdir fifth/old && cd fifth/old
new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 800'
openssl req -x509 $new -subj '/CN=Our CA' -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.crt
for host in relayhost.example.org:serverAuth mailhost.example.org:clientAuth; do
  name=\${host%:*}
  openssl req -x509 -CA ca.crt -CAkey ca.key $new -subj "/CN=$name" -addext basicConstraints=critical,CA:FALSE \\
    -addext "subjectAltName=DNS:$name" -addext "extendedKeyUsage=\${host#*:}" -keyout "$name.key" -out "$name.crt"
done`);
    const pin = 'openssl x509 -noout -pubkey';
    const { stdout: old } = await lab.operator.sh(`cd fifth/old && ${pin} -in relayhost.example.org.crt`);
    await followAll('An existing CA');
    await deliver(isThere(home), lab.outside);
    const { stdout: served } = await desk.run(
      `openssl s_client -starttls smtp -connect relayhost.example.org:2500 </dev/null 2>/dev/null | ${pin}`,
    );
    expect(served).toBe(old);
  });
});
