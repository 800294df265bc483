// The printed commands of a project in which every value is as strange as the parsers let it be: every shell parses
// them, shellcheck finds nothing, and what runs gets each value as one word, byte for byte, and nothing else runs.

import { spawnSync } from 'node:child_process';
import { relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsIn } from '../support/now-run.js';
import { parseHostName } from '../../src/names.js';
import { shortNames } from '../../src/render/now-run.js';
import { answerOf } from '../support/answer.js';
import { sections } from '../../src/render/sections.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf, type HostSettings } from '../../src/settings/settings.js';
import { blocksOf, pipedCommands, type PrintedBlock } from '../support/blocks.js';
import { codePoints } from '../support/code-points.js';
import {
  hostileFolders,
  hostileSettings,
  makeHostileProject,
  type HostileProject,
} from '../support/hostile-project.js';
import { openssl } from '../support/openssl.js';
import { requireTools } from '../support/require-tools.js';
import { canary, makeStubs, type Stubs } from '../support/shell-stubs.js';

const settings = parseSettings(hostileSettings, {
  file: '/x/settings.json',
  home: '/root',
  program: 'relaycerts',
  command: 'relaycerts',
});
const hosts = hostsOf(settings);
const { directory } = settings.postfix;
const shells = [['dash'], ['bash', '--norc'], ['bash', '--norc', '--posix'], ['busybox', 'ash']] as const;

let hostile: HostileProject;
let stubs: Stubs;
/** The output, by command line. */
const printed = new Map<string, string>();
const scripts = new Map<string, string>();

beforeAll(async () => {
  requireTools('shellcheck', 'dash', 'busybox');
  stubs = makeStubs();
  hostile = makeHostileProject();
  const print = async (...args: readonly string[]): Promise<void> =>
    void printed.set(args.join(' '), await hostile.print(args));
  await print('make');
  for (const { hostname } of hosts) {
    await print('show', hostname);
    await print('show', hostname, '--undo');
    for (const section of sections) await print('show', hostname, '--section', section);
    await print('show', hostname, '--format', 'json', '--section', 'rsync');
    for (const args of [
      [],
      ['--undo'],
      ...['rsync', 'request', 'verify', 'monitor'].map((one) => ['--section', one]),
    ]) {
      scripts.set([hostname, ...args].join(' '), await hostile.print(['show', hostname, '--format', 'sh', ...args]));
    }
  }
  await print('renew', '--ca');
  for (let stage = 1; stage <= 3; stage++) await print('renew', '--ca', '--rekey');
  await print('revoke', hosts.at(-1)?.hostname ?? '');
});
afterAll(() => {
  hostile.project.remove();
  stubs.remove();
});

/** The settings file as named from the program's folder. */
function fileWord(): string {
  return relative(hostile.project.folder, hostile.file);
}

/** The command that installs these hosts, or all. */
function installOf(...hostnames: readonly string[]): readonly string[] {
  return ['relaycerts', '--settings', fileWord(), 'deploy', ...hostnames];
}

/** The options and the target of ssh and rsync. */
function targetOf({ ssh }: HostSettings): { readonly port: readonly string[]; readonly sudo: readonly string[] } {
  return { port: ssh.port === 22 ? [] : ['-p', String(ssh.port)], sudo: ssh.user === 'root' ? [] : ['sudo'] };
}

function pipeOf(host: HostSettings, ...options: readonly string[]): readonly (readonly string[])[] {
  const { port, sudo } = targetOf(host);
  return [
    ['relaycerts', '--settings', fileWord(), 'show', host.hostname, '--format', 'sh', ...options],
    ['ssh', ...port, `${host.ssh.user}@${host.ssh.host}`, ...sudo, 'sh'],
  ];
}

function rsyncOf(host: HostSettings): readonly string[] {
  const { hostname, ssh, role } = host;
  const { port, sudo } = targetOf(host);
  const word = sudo.map((each) => `${each} `).join('');
  const names = ['crt.pem', 'key.pem', 'chain.pem'].map((end) => `${hostname}.${end}`);
  const files = [`${settings.domain}-ca.crt.pem`, ...names, ...(role === 'smtpd-server' ? ['relay_clientcerts'] : [])];
  const options = ['--checksum', '--times', '--perms', '--chmod=F600'];
  return [
    'rsync',
    ...options,
    ...(port.length === 0 ? [] : [`--rsh=ssh ${port.join(' ')}`]),
    `--rsync-path=${word}mkdir -p -m 0700 ${directory} && ${word}rsync`,
    ...files.map((name) => `${hostile.folder}/hosts/${hostname}/${name}`),
    `${ssh.user}@${ssh.host.includes(':') ? `[${ssh.host}]` : ssh.host}:${directory}/`,
  ];
}

/** Runs text with every program a stub: returns what ran; nothing was printed or left behind. */
function ran(text: string): readonly (readonly string[])[] {
  const runs = shells.slice(0, 2).map((shell) => stubs.run(shell, text, ['/etc/postfix', '/etc/cron.d', directory]));
  for (const { status, stderr, stdout } of runs) {
    expect([stderr, stdout], text).toEqual(['', '']);
    expect(status, text).toBe(0);
  }
  for (const { ran: words } of runs) expect(words).toEqual(runs[0]?.ran);
  return runs[0]?.ran ?? [];
}

const sorted = (argvs: readonly (readonly string[])[]) =>
  argvs.toSorted((one, other) => (one.join('\0') < other.join('\0') ? -1 : 1));

describe('the stubs', () => {
  it('see what a bad quoting would run', () => {
    expect(stubs.run(['dash'], `ssh "$(${canary} 1)" '\u202e'`).ran).toEqual([
      [canary, '1'],
      ['ssh', '', '\u202e'],
    ]);
    expect(stubs.run(['dash'], 'nothing-of-ours x').stderr).toMatch(/not found/u);
    expect(stubs.run(['dash'], 'echo >x').stderr).toContain('left behind: x');
  });
});

describe('every script', () => {
  it('is parsed by dash, bash and busybox, and by sh as it is here', () => {
    expect(scripts.size).toBe(hosts.length * 6);
    const blocks = [...printed.entries()].flatMap(([args, text]) =>
      args.includes('json') ? [] : blocksOf(text).flatMap(shellOf),
    );
    expect(blocks.length).toBeGreaterThan(40);
    for (const text of new Set([...scripts.values(), ...blocks])) {
      for (const [shell, ...args] of [['sh'], ...shells]) {
        const { status, stderr } = spawnSync(shell, [...args, '-n'], { input: text });
        expect([stderr.toString(), status], text).toEqual(['', 0]);
      }
    }
  });

  it('shellcheck finds nothing', () => {
    // What single quotes hold may look as if it were meant otherwise: $(...), a backslash before a quote, a curly quote.
    const looks = '--exclude=SC2016,SC1003,SC1112';
    for (const text of new Set(scripts.values())) {
      const { stdout, status } = spawnSync('shellcheck', ['--shell=sh', looks, '-'], { input: text });
      expect([stdout.toString(), status]).toEqual(['', 0]);
    }
  });
});

/** A block's text if it is for a shell. */
function shellOf(block: PrintedBlock): readonly string[] {
  return block.where === 'file' ? [] : [block.text];
}

describe.each(hosts.map((host) => ({ host, name: host.hostname })))('what is printed for $name', ({ host }) => {
  const show = (...args: readonly string[]): string => printed.get(['show', host.hostname, ...args].join(' ')) ?? '';

  it('copies exactly its files to exactly its folder', () => {
    const here = blocksOf(show('--section', 'rsync')).flatMap(shellOf);
    expect(here.map((text) => ran(text))).toEqual([[rsyncOf(host)]]);
    expect(ran(scripts.get(`${host.hostname} --section rsync`) ?? '')).toEqual([rsyncOf(host)]);
  });

  it('pipes the script to root there, and the way back', () => {
    expect(pipedCommands(show()).map((text) => ran(text))).toEqual([sorted(pipeOf(host))]);
    expect(pipedCommands(show('--undo')).map((text) => ran(text))).toEqual([sorted(pipeOf(host, '--undo'))]);
  });

  it('runs on the host what is meant, with each value as one word', () => {
    const texts = blocksOf(show()).filter(({ where }) => where === 'host');
    const words = texts.flatMap((block) => shellOf(block).flatMap((text) => ran(text)));
    const programs = new Set(words.map(([program = '']) => program));
    const own = host.role === 'smtp-client' ? ['posttls-finger'] : ['cat', 'pkill', 'postmap', 'ss'];
    expect(programs).toEqual(new Set(['cp', 'openssl', 'postconf', 'postfix', 'sleep', 'tail', ...own]));
    // Every word that names a file names one in the folder, or one that has nothing of the settings in its name.
    for (const [program, ...argv] of words) {
      // A pattern with the port in it.
      if (program === 'pkill' && host.role === 'smtpd-server') expect(argv.pop()).toBe(`^smtpd .*-n ${host.port} `);
      for (const word of argv) {
        // Values that are the same for all settings: how long tlsmgr stays, and the limits of a port under stress.
        const varying = word.replace(/ 1000\? 1 tlsmgr$|\$\{stress\?\{\d+\}:\{\d+\}\}/u, '');
        expect(varying.replace(/^\d+\/inet\/smtpd_recipient_restrictions=.*inline:\{(.*)\}$/u, '$1')).toMatch(
          /^[\w@%+=:,./ !()|&[\]<>-]*$/u,
        );
      }
    }
    const path = (end: string): string => `${directory}/${host.hostname}.${end}`;
    const ca = `${directory}/${settings.domain}-ca.crt.pem`;
    const purpose = host.role === 'smtp-client' ? 'sslclient' : 'sslserver';
    expect(words).toContainEqual(['openssl', 'verify', '-CAfile', ca, '-purpose', purpose, path('crt.pem')]);
    if (host.role === 'smtp-client') {
      const edit = words.find(([program, option]) => program === 'postconf' && option === '-e') ?? [];
      expect(edit).toContain(
        `relayhost = ${settings.smtpdServers.map(({ hostname, port }) => `[${hostname}]:${port}`).join(', ')}`,
      );
      const override = words.find(([program, option]) => program === 'postconf' && option === '-P') ?? [];
      expect(override).toContain(`relaycerts/unix/smtp_tls_chain_files=${path('chain.pem')}`);
      for (const { hostname, port } of settings.smtpdServers) {
        const first = ['posttls-finger', '-c', '-l', 'secure', '-o', 'dnssec_probe=', '-d', 'sha256'];
        const files = ['-F', ca, '-k', path('crt.pem'), '-K', path('key.pem')];
        expect(words).toContainEqual([...first, ...files, `[${hostname}]:${port}`, hostname]);
      }
    } else {
      const override = words.find(([program, option]) => program === 'postconf' && option === '-P') ?? [];
      expect(override).toContain(`${host.port}/inet/smtpd_tls_chain_files=${path('chain.pem')}`);
      expect(override).toContain(`${host.port}/inet/relay_clientcerts=texthash:${directory}/relay_clientcerts`);
      expect(words).toContainEqual(['postconf', '-M', `${host.port}/inet=${host.port} inet n - y - - smtpd`]);
    }
  });

  it('the request: key and request there, the signature here', () => {
    const blocks = blocksOf(show('--section', 'request'));
    const { port, sudo } = targetOf(host);
    const request = `${host.hostname}.csr.pem`;
    const there = ran(blocks[0]?.text ?? '');
    // A commonName ends at 64 characters.
    const subject = `/CN=${host.hostname.length > 64 ? 'c' : host.hostname}`;
    const first = ['openssl', 'req', '-new', '-key', `${host.hostname}.key.pem`, '-subj'];
    expect(there).toContainEqual([...first, subject, '-out', request]);
    // The request is written to the current folder of the paste.
    const here = stubs.run(['dash'], blocks[1]?.text ?? '');
    expect(here.stderr).toBe(`left behind: ${request}\n`);
    expect(here.ran).toEqual([
      ['relaycerts', '--settings', fileWord(), 'sign', request, '--host', host.hostname],
      ['ssh', ...port, `${host.ssh.user}@${host.ssh.host}`, ...sudo, 'cat', `${directory}/${request}`],
    ]);
  });

  it('a crontab line here reaches the shell intact in every cron', () => {
    const line = /^ {4}11 6 \* \* \* (relaycerts [^\n]*)/mu.exec(show('--section', 'monitor'))?.[1] ?? '';
    for (const unescapes of [/^\\([%\\])/u, /^\\(%)/u]) {
      const command = asCron(line, unescapes);
      expect(ran(`{ ${command}; } >&2`)).toEqual([['relaycerts', '--settings', hostile.file, 'status', '--due']]);
    }
  });

  it('a cron line there runs a script, which runs openssl and nothing else', () => {
    const script = `${directory}/check-expiry`;
    const line = /^\d+ 6 \* \* \* root ([^\n]*)/mu.exec(show('--section', 'monitor'))?.[1] ?? '';
    expect(line).toBe(`sh ${script}`);
    const [text = ''] =
      new RegExp(`(?<=cat >${script} <<'END' [^\\n]*\\n)[^]*?(?=^END$)`, 'mu').exec(show('--section', 'monitor')) ?? [];
    const check = ['openssl', 'x509', '-noout', '-checkend', '2592000'];
    // Every certificate of each file is checked; here each has two.
    const pem = '-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n';
    const files = [`${directory}/${host.hostname}.crt.pem`, `${directory}/${settings.domain}-ca.crt.pem`];
    const written = files.map((file) => `printf %b '${pem}${pem}' >${file}; `).join('');
    expect(ran(`${written}\n${text}`)).toEqual([check, check, check, check]);
  });

  it('every other command among the words is one line that runs as it is', () => {
    const commands = [...show().matchAll(/^ {4}(relaycerts [^\n]*)/gmu)].map(([, command = '']) => command);
    expect(commands).toHaveLength(host.role === 'smtp-client' ? 1 : 2);
    for (const command of commands) {
      const words = ran(command).find(([program]) => program === 'relaycerts') ?? [];
      expect(words.slice(0, 4)).toEqual(['relaycerts', '--settings', fileWord(), 'show']);
    }
    // No printed text is a marker by accident: each marker begins or ends a block.
    expect(show().match(/^# >>> /gmu)?.length).toBe(blocksOf(show()).length);
  });

  it('its JSON is the text, byte for byte', () => {
    const [json] = answerOf<{ hosts: { sections: { rsync: { blocks: { text: string }[] } } }[] }>(
      show('--format', 'json', '--section', 'rsync'),
    ).hosts;
    expect(json?.sections.rsync.blocks.map(({ text }) => text)).toEqual(
      blocksOf(show('--section', 'rsync')).flatMap(shellOf),
    );
  });
});

/** What cron makes of a command: `unescapes` is what it takes a backslash away from; a % that is left ends it. */
function asCron(command: string, unescapes: RegExp): string {
  let text = '';
  for (let at = 0; at < command.length; at++) {
    const rest = command.slice(at);
    if (rest.startsWith('%')) return text;
    const kept = unescapes.exec(rest)?.[1];
    text += kept ?? (rest.startsWith('\\') ? rest.slice(0, 2) : rest.slice(0, 1));
    if (rest.startsWith('\\')) at += 1;
  }
  return text;
}

/** What the commands of a block run, without the shell that the scripts are piped to. */
function ranIn(text: string): readonly (readonly string[])[] {
  return commandsIn(text)
    .flatMap((command) => ran(command))
    .filter(([program]) => program !== 'sh');
}

describe('what the commands that change print', () => {
  const labels = shortNames(
    settings,
    hosts.map(({ hostname }) => hostname),
  );

  it.each(['renew --ca', 'renew --ca --rekey', 'make'])('%s', (command) => {
    const words = ranIn(printed.get(command) ?? '');
    expect(words[0]).toEqual(installOf());
  });

  it('revoke', () => {
    const name = hosts.at(-1)?.hostname ?? '';
    expect(ranIn(printed.get(`revoke ${name}`) ?? '')).toEqual([
      installOf(...labels.slice(0, settings.smtpdServers.length)),
      ['relaycerts', '--settings', fileWord(), 'make', '--again', name],
    ]);
  });

  it('sign and renew', async () => {
    const own = 'own.xn--bcher-kva.example';
    hostile.change({ smtpClients: [...hostileSettings.smtpClients, { hostname: 'own' }] });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
    const request = openssl(['req', '-new', ...key, '-subj', '/CN=own']);
    const signed = await hostile.run(['sign', '-', '--host', 'own'], { input: request });
    expect(signed.status, signed.stderr).toBe(0);
    const names = [...settings.smtpdServers.map(({ hostname }) => hostname), parseHostName(own)];
    expect(ranIn(signed.stdout)).toEqual([installOf(...shortNames(settings, names))]);

    const renewed = await hostile.run(['renew', '--rekey', settings.smtpClients[0].hostname]);
    expect(renewed.status, renewed.stderr).toBe(0);
    const [client = ''] = shortNames(settings, [settings.smtpClients[0].hostname]);
    expect(ranIn(renewed.stdout)).toEqual([
      installOf(...shortNames(settings, names.slice(0, -1)), client),
      ['relaycerts', '--settings', fileWord(), 'show', client, '--section', 'verify'],
      ['relaycerts', '--settings', fileWord(), 'retire', client],
    ]);
  });
});

describe('the rest of the alphabet of paths', () => {
  it('is all in one folder or another', () => {
    const together = new Set(hostileFolders.join('/'));
    const wanted = codePoints.filter((character) => !/[\p{Cc}\p{Cs}]/u.test(character));
    expect(wanted.filter((character) => !together.has(character))).toEqual([]);
  });

  it.each(hostileFolders.map((folder, part) => ({ folder, part })).slice(1))(
    'part $part: copied, piped and watched as it is meant',
    async ({ folder }) => {
      const kept = hostile;
      hostile = makeHostileProject({}, folder);
      try {
        await hostile.print(['make']);
        for (const host of hosts) {
          expect(ran(await hostile.print(['show', host.hostname, '--format', 'sh', '--section', 'rsync']))).toEqual([
            rsyncOf(host),
          ]);
          const text = await hostile.print(['show', host.hostname]);
          expect(pipedCommands(text).map((command) => ran(command))).toEqual([sorted(pipeOf(host))]);
          const monitor = await hostile.print(['show', host.hostname, '--section', 'monitor']);
          const line = /^ {4}11 6 \* \* \* (relaycerts [^\n]*)/mu.exec(monitor)?.[1] ?? '';
          expect(ran(`{ ${asCron(line, /^\\([%\\])/u)}; } >&2`)).toEqual([
            ['relaycerts', '--settings', hostile.file, 'status', '--due'],
          ]);
        }
      } finally {
        hostile.project.remove();
        hostile = kept;
      }
    },
  );
});
