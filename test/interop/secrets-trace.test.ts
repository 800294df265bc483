// Every command of the program under strace, with an operator key and with a GnuPG keyring: the passphrase, the CA's key,
// the hosts' keys and the operator key are in no argument, environment, output, pipe, temporary file or file of somebody
// else's, at no instant in a file that others may read, and afterwards in no file but their own. What is meant is listed
// here, with its reason; and each exception has to be seen, so that a search that finds nothing cannot pass.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafCommands, runsCommand } from '../support/command-tree.js';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { leaksInTree, leaksOf, readTrace, straceEnvironment, straceTo, type Leak } from '../support/leaks.js';
import { openssl } from '../support/openssl.js';
import { makeProject, program, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { filesBelow, keySecretOf, operatorSecret, textSecret, type KnownSecret } from '../support/secrets.js';
import { openTerminal } from '../support/terminal.js';

interface Exception {
  readonly secret: RegExp;
  /** `$1` is what `secret` found first. */
  readonly where: string;
  readonly why: string;
}

const always: readonly Exception[] = [
  {
    secret: /^key of (\S+)$/u,
    where: String.raw`(?:file|tree) \S+/certs/(?:smtp-client|smtpd-server)/$1\.key\.pem`,
    why: 'its own file',
  },
  {
    secret: /^key of (\S+)$/u,
    where: String.raw`(?:file|tree) \S+/hosts/$1/$1\.(?:key|chain)\.pem`,
    why: 'the bundle of the host itself',
  },
  {
    secret: /^key of (\S+)$/u,
    where: String.raw`(?:file|tree) \S+/certs/revoked/$1-[0-9a-f]+\.key\.pem`,
    why: 'what revoke puts away',
  },
  {
    secret: /^key of (\S+\.rc\d{6})$/u,
    where: String.raw`(?:file|tree) \S+/(?:certs/dkim/$1|hosts/relayhost\.example\.org/example\.org\.dkim)\.key\.pem`,
    why: 'its own file, and the bundle of the relay that signs',
  },
];
const operatorFile: Exception = {
  secret: /^operator key$/u,
  where: String.raw`(?:file|tree) \S+/\.config/relaycerts/operator-key\.asc`,
  why: 'its own file; without a password, as SECURITY.md says',
};
const fromGpg: Exception = {
  secret: /^passphrase$/u,
  where: 'pipe of gpg',
  why: 'gpg hands over what it decrypted, by a pipe that the program reads',
};

interface Command {
  readonly name: string;
  readonly args: readonly string[];
  readonly status?: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What else is known of secrets from here on: the command's input. */
  readonly given?: readonly KnownSecret[];
  /** What this command is for. */
  readonly prints?: Exception;
  readonly before?: () => void;
  readonly after?: () => void;
}

const [client, second] = ['mailhost.example.org', 'second.example.org'];
const chosen = 'correct horse battery staple, Vogelbeere';
const password = 'Xylophon-17-Quitte-Gamasche';
const wrong = 'wrong-Zitronenfalter-passphrase-4711';
const printing = (secret: RegExp, why: string): Exception => ({ secret, where: 'stdout', why });

const clients = (...names: readonly string[]) => ({ smtpClients: names.map((hostname) => ({ hostname })) });
const keep = (path: string): string => `${path}.kept`;
const damaged = (path: () => string, bytes: (whole: Buffer) => Buffer): Pick<Command, 'before' | 'after'> => ({
  before: () => {
    copyFileSync(path(), keep(path()));
    writeFileSync(path(), bytes(readFileSync(path())));
  },
  after: () => copyFileSync(keep(path()), path()),
});
const half = (whole: Buffer): Buffer => whole.subarray(0, whole.length / 2);
/** With one bit turned, at this part of its length. */
const turned =
  (part: number) =>
  (whole: Buffer): Buffer => {
    const other = Buffer.from(whole);
    const at = Math.floor(other.length * part);
    other[at] = (other[at] ?? 0) ^ 1;
    return other;
  };

for (const custody of ['operator key', 'GnuPG keyring'] as const) {
  const isGnupg = custody === 'GnuPG keyring';
  describe(`with the ${custody}`, () => {
    let gnupg: Gnupg;
    let project: Project;
    const known: KnownSecret[] = [];
    const passphrases: string[] = [];
    const used = new Set<Exception>();
    const exceptions = [...always, ...(isGnupg ? [fromGpg] : [operatorFile])];
    const environment = (): Record<string, string> => ({
      ...straceEnvironment,
      GNUPGHOME: gnupg.home,
      TMPDIR: join(project.home, 'tmp'),
    });
    const passphrase = isGnupg ? { recipients: ['alice@example.org'] } : {};
    const settings = (change: object = {}) => smallSettings({ passphrase, ...change });
    const operatorKey = (): string => join(project.home, '.config/relaycerts/operator-key.asc');
    const caKey = (): string => project.path('certs/ca/example.org-ca.key.pem');
    const sealed = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
    const traceFile = (): string => join(project.folder, '..', 'trace');

    beforeAll(() => {
      requireTools('strace', 'gpg', 'openssl', 'tmux');
      gnupg = makeGnupg();
      gnupg.makeKey({ userId: 'alice@example.org' });
      gnupg.makeKey({ userId: 'bob@example.org' });
      // A daemon that strace would wait for; it handles session keys, and never sees the passphrase.
      spawnSync('gpgconf', ['--launch', 'gpg-agent'], { env: { ...process.env, GNUPGHOME: gnupg.home } });
      project = makeProject(settings());
      mkdirSync(join(project.home, 'tmp'));
    });
    afterAll(() => {
      project.remove();
      gnupg.dispose();
    });

    /** Files already read, by their bytes: nothing is learnt twice. */
    const read = new Set<string>();
    const isNew = (path: string): boolean => {
      if (!existsSync(path)) return false;
      const bytes = readFileSync(path, 'latin1');
      return !read.has(bytes) && read.add(bytes) !== undefined;
    };

    /** Learns what is secret now; what was secret before stays so. */
    async function learn(): Promise<void> {
      if (isNew(sealed())) {
        const { stdout } = project.spawn(['passphrase', 'show', '--yes'], { env: environment() });
        const text = stdout.trimEnd();
        if (text !== '' && !passphrases.includes(text)) {
          passphrases.push(text);
          known.push(textSecret('passphrase', text));
        }
      }
      if (existsSync(project.path('certs'))) {
        for (const path of filesBelow(project.path('certs'))) {
          if (path.endsWith('.key.pem') && isNew(path)) known.push(keySecretOf(path, passphrases));
        }
      }
      if (isNew(operatorKey())) {
        const armored = readFileSync(operatorKey(), 'utf8');
        known.push(await operatorSecret(armored).catch(() => operatorSecret(armored, chosen)));
      }
    }

    /** True if a leak is intended; the exception has then occurred. */
    function isMeant({ secret, where }: Leak, allowed: readonly Exception[]): boolean {
      const exception = allowed.find((each) => {
        const match = each.secret.exec(secret);
        if (match === null) return false;
        return new RegExp(`^${each.where.replaceAll('$1', (match[1] ?? '').replaceAll('.', '\\.'))}$`, 'u').test(where);
      });
      if (exception !== undefined) used.add(exception);
      return exception !== undefined;
    }

    /** Runs a command under strace; it must not leak. */
    async function expectNoLeak(name: string, allowed: readonly Exception[], run: () => Promise<void>): Promise<void> {
      await run();
      const trace = readTrace(traceFile());
      expect(trace.programs.has('node'), name).toBe(true);
      await learn();
      const folders = [join(project.folder, '..'), gnupg.home];
      const leaks = [...leaksOf(trace, known), ...leaksInTree(folders, known)];
      expect(leaks.filter((leak) => !isMeant(leak, allowed))).toEqual([]);
    }

    const ask = [
      { name: 'help', args: ['--help'] },
      { name: 'help of a command', args: ['help', 'passphrase'] },
      { name: 'the wizard, without a terminal', args: ['wizard'], status: 2 },
    ];
    const looks: readonly Command[] = [
      { name: 'show', args: ['show'] },
      { name: 'show a script', args: ['show', 'mailhost', '--format', 'sh'] },
      { name: 'show its inverse', args: ['show', 'relayhost', '--format', 'sh', '--undo'] },
      { name: 'show JSON', args: ['show', '--format', 'json'] },
      { name: 'show the table', args: ['show', 'relayhost', '--section', 'relay_clientcerts'] },
      { name: 'show a request', args: ['show', 'mailhost', '--section', 'request'] },
      { name: 'fingerprint', args: ['fingerprint'] },
      { name: 'fingerprint of certificates, JSON', args: ['--json', 'fingerprint', '--of', 'certificate'] },
      { name: 'fingerprint of a key file', args: ['fingerprint', `certs/smtp-client/${client}.key.pem`], status: 1 },
      // Nothing is installed.
      { name: 'status', args: ['status'], status: 3 },
      { name: 'status, JSON', args: ['--json', 'status'], status: 3 },
      { name: 'status for a monitor', args: ['status', '--format', 'nagios'], status: 1 },
      { name: 'check of the files', args: ['check', '--offline'] },
      { name: 'what deploy would do', args: ['deploy', '--dry-run'] },
      { name: 'dns', args: ['dns'] },
      { name: 'explain', args: ['explain', '-'], input: 'Nov 27 00:37:48 relayhost postfix/smtpd[1]: connect\n' },
    ];
    const makes: readonly Command[] = [
      { name: 'make --dry-run', args: ['make', '--dry-run'] },
      { name: 'make', args: ['make', '--verbose'] },
      { name: 'a second make', args: ['make', '--verbose'] },
      { name: 'make, JSON', args: ['--json', 'make'] },
      {
        name: 'a new client with an RSA key',
        args: ['make', '--verbose'],
        before: () =>
          project.settings(settings({ ...clients('mailhost', 'second'), certificates: { keyType: 'rsa-2048' } })),
      },
      {
        name: 'a new client with an Ed25519 key',
        args: ['make'],
        before: () =>
          project.settings(
            settings({ ...clients('mailhost', 'second', 'third'), certificates: { keyType: 'ed25519' } }),
          ),
      },
      {
        name: 'a DKIM key',
        args: ['make', '--verbose'],
        before: () => project.settings(settings({ ...clients('mailhost', 'second', 'third'), dkim: {} })),
      },
    ];
    const renewals: readonly Command[] = [
      { name: 'renew', args: ['renew'] },
      { name: 'renew --force', args: ['renew', 'mailhost', '--force', '--verbose'] },
      { name: 'renew --rekey', args: ['renew', '--rekey', 'mailhost', '--verbose'] },
      { name: 'retire', args: ['retire'] },
      { name: 'renew --ca', args: ['renew', '--ca'] },
      ...[1, 2, 3].map((stage) => ({ name: `renew --ca --rekey, ${stage}`, args: ['renew', '--ca', '--rekey'] })),
      {
        name: 'sign',
        args: ['sign', 'own.csr.pem', '--host', 'own'],
        before: () => {
          const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
          project.write('own.csr.pem', openssl(['req', '-new', ...key, '-subj', '/CN=own']));
          project.settings(settings(clients('mailhost', 'second', 'third', 'own')));
        },
      },
      { name: 'revoke', args: ['revoke', 'second', '--reason', 'a test'] },
      { name: 'make --again', args: ['make', '--again', 'second'] },
    ];
    const exports: readonly Command[] = [
      {
        name: 'export p12',
        args: ['export', 'p12', 'mailhost', '--password-fd', '0'],
        input: password,
        given: [textSecret('PKCS#12 password', password)],
      },
      {
        name: 'export p12 to stdout',
        args: ['export', 'p12', 'third', '--password-fd', '0', '--out', '-'],
        input: password,
      },
      { name: 'export ansible', args: ['export', 'ansible'] },
      {
        name: 'export docker',
        args: ['export', 'docker', 'mailhost'],
        prints: {
          secret: /^key of mailhost\.example\.org$/u,
          where: String.raw`(?:file|tree) \S+/mailhost\.example\.org-docker/relaycerts/\.?mailhost\.example\.org\.chain\.pem(?:\.relaycerts-[0-9a-f]+)?`,
          why: 'what the container needs, also before it has its name',
        },
        before: () => {
          const [contained, ...rest] = clients('mailhost', 'second', 'third', 'own').smtpClients;
          project.settings(settings({ smtpClients: [{ ...contained, container: 'boky' }, ...rest] }));
        },
        after: () => {
          rmSync(project.path('mailhost.example.org-docker'), { recursive: true });
          project.settings(settings(clients('mailhost', 'second', 'third', 'own')));
        },
      },
      { name: 'export p12 without a password', args: ['export', 'p12', 'mailhost', '--out', 'x.p12'], status: 2 },
    ];
    const custodies: readonly Command[] = [
      { name: 'passphrase recipients', args: ['passphrase', 'recipients'] },
      { name: 'passphrase recipients, JSON', args: ['--json', 'passphrase', 'recipients'] },
      {
        name: 'passphrase show',
        args: ['passphrase', 'show', '--yes'],
        prints: printing(/^passphrase$/u, 'what the command is for'),
      },
      {
        name: 'passphrase show, JSON',
        args: ['--json', 'passphrase', 'show', '--yes'],
        prints: printing(/^passphrase$/u, 'what the command is for'),
      },
      { name: 'passphrase show that nobody agreed to', args: ['passphrase', 'show'], status: 2 },
      { name: 'passphrase change', args: ['passphrase', 'change', '--verbose'] },
      {
        name: 'passphrase change to one that is given',
        args: ['passphrase', 'change', '--new-passphrase-fd', '0'],
        input: `${chosen}\n`,
        given: [textSecret('passphrase', chosen)],
      },
      {
        name: 'renew with a given passphrase',
        args: ['renew', 'mailhost', '--force', '--passphrase-fd', '0'],
        input: `${chosen}\n`,
      },
      {
        name: 'passphrase export-key',
        args: ['passphrase', 'export-key', '--yes'],
        ...(isGnupg ? { status: 1 } : { prints: printing(/^operator key$/u, 'what the command is for') }),
      },
      {
        name: 'passphrase operator-password without a terminal',
        args: ['passphrase', 'operator-password'],
        status: isGnupg ? 1 : 2,
      },
      {
        name: 'make for another recipient',
        args: ['make', '--verbose'],
        before: () => {
          const recipients = isGnupg ? ['alice@example.org', 'bob@example.org'] : [];
          project.settings(settings({ ...clients('mailhost', 'second', 'third', 'own'), passphrase: { recipients } }));
        },
      },
    ];
    const backups: readonly Command[] = [
      {
        name: 'backup',
        args: ['backup', 'backup.gpg', '--password-fd', '0'],
        input: password,
      },
      {
        name: 'restore',
        args: ['--settings', 'restored/settings.json', 'restore', 'backup.gpg', '--password-fd', '0'],
        input: password,
        before: () => mkdirSync(project.path('restored')),
      },
      {
        name: 'adopt',
        args: '--settings adopted/settings.json adopt --ca-key old.key.pem --ca-cert old.crt.pem --yes --passphrase-fd 0'.split(
          ' ',
        ),
        input: password,
        before: () => {
          mkdirSync(project.path('adopted'));
          project.write('adopted/settings.json', project.read('settings.json'));
          const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-passout', `pass:${password}`];
          const files = ['-keyout', project.path('old.key.pem'), '-out', project.path('old.crt.pem')];
          const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
          openssl(['req', '-x509', '-days', '100', ...key, ...files, ...usage, '-subj', '/CN=old']);
          known.push(keySecretOf(project.path('old.key.pem'), [password]));
        },
      },
    ];
    const renewal = ['renew', 'mailhost', '--force'];
    const errors: readonly Command[] = [
      {
        name: 'a wrong passphrase',
        args: [...renewal, '--passphrase-fd', '0'],
        input: wrong,
        given: [textSecret('given passphrase', wrong)],
        status: 1,
      },
      {
        name: 'a wrong passphrase, for debugging',
        args: [...renewal, '--passphrase-fd', '0'],
        input: wrong,
        status: 1,
        env: { RELAYCERTS_DEBUG: '1' },
      },
      { name: 'half a CA key', args: renewal, status: 1, env: { RELAYCERTS_DEBUG: '1' }, ...damaged(caKey, half) },
      {
        name: 'a CA key with a bit turned',
        args: renewal,
        status: 1,
        env: { RELAYCERTS_DEBUG: '1' },
        ...damaged(caKey, turned(0.5)),
      },
      {
        name: 'half a passphrase file',
        args: renewal,
        status: 1,
        env: { RELAYCERTS_DEBUG: '1' },
        ...damaged(sealed, half),
      },
      {
        name: 'a passphrase file with a bit turned',
        args: renewal,
        status: 1,
        env: { RELAYCERTS_DEBUG: '1' },
        ...damaged(sealed, turned(0.9)),
      },
      { name: 'debugging a renewal', args: [...renewal, '--verbose'], env: { RELAYCERTS_DEBUG: '1' } },
      { name: 'a secret for an option', args: ['make', '--passphrase-fd', 'x'], status: 2 },
      { name: 'completion', args: ['completion', 'bash', '--words', '--', 'show', ''] },
      { name: 'add', args: ['add', 'fourth'] },
      { name: 'remove', args: ['remove', 'second'] },
    ];
    const ends: readonly Command[] = [
      { name: 'clean without a terminal', args: ['clean'], status: 2 },
      { name: 'clean', args: ['clean', '--yes'] },
      { name: 'clean --all', args: ['clean', '--all', '--yes'] },
    ];

    const commands = [...ask, ...makes, ...looks, ...renewals, ...exports, ...custodies, ...backups, ...errors];
    const check = async ({
      name,
      args,
      status = 0,
      input = '',
      env = {},
      given = [],
      ...rest
    }: Command): Promise<void> => {
      const { prints, before, after } = rest;
      before?.();
      known.push(...given);
      let result: Result | undefined;
      await expectNoLeak(name, [...exceptions, ...(prints === undefined ? [] : [prints])], async () => {
        result = project.spawn(args, { under: straceTo(traceFile()), env: { ...environment(), ...env }, input });
        after?.();
        expect(result.status, `${result.stdout.slice(0, 300)}\n${result.stderr}`).toBe(status);
        await Promise.resolve();
      });
      if (prints !== undefined) expect(used).toContain(prints);
    };

    it.each(commands)('$name', check);

    const setOperatorPassword = async (): Promise<void> => {
      const kept = readFileSync(operatorKey());
      known.push(textSecret('password of the operator key', chosen));
      await expectNoLeak('operator-password', exceptions, async () => {
        const terminal = await openTerminal({
          command: ['env', ...straceTo(traceFile()), process.execPath, program, 'passphrase', 'operator-password'],
          cwd: project.folder,
          env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8', ...environment() },
        });
        try {
          await terminal.waitFor('New password of the operator key (Enter: none):');
          terminal.type(chosen);
          terminal.press('Enter');
          await terminal.waitFor('The same again:');
          terminal.type(chosen);
          terminal.press('Enter');
          await terminal.waitFor('has its new password');
          expect(await terminal.ended()).toBe(0);
          expect(terminal.sent()).not.toContain(chosen.slice(0, 16));
        } finally {
          terminal.dispose();
        }
      });
      writeFileSync(operatorKey(), kept, { mode: 0o600 });
    };
    // With a keyring there is no operator key.
    if (!isGnupg) it('passphrase operator-password on a terminal', setOperatorPassword);

    it.each(ends)('$name', check);

    it('are all commands that the program has', () => {
      const leaves = leafCommands();
      expect(leaves).toEqual(expect.arrayContaining(['make', 'clean', 'export p12', 'passphrase export-key']));
      const traced = [...commands, ...ends].map(({ args }) => args);
      expect(leaves.filter((leaf) => !traced.some((args) => runsCommand(args, leaf)))).toEqual([]);
    });

    it('every exception occurred, so the search finds what there is', () => {
      for (const exception of exceptions) expect(used).toContain(exception);
      const names = new Set(known.map(({ name }) => name));
      for (const name of ['passphrase', 'CA key', `key of ${client}`, `key of ${second}`, 'PKCS#12 password']) {
        expect(names).toContain(name);
      }
      expect(names.has('operator key')).toBe(!isGnupg);
      expect(passphrases.length).toBeGreaterThanOrEqual(3);
    });
  });
}
