// `relaycerts make`, the whole program on a real disk: what it leaves, says and refuses.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project } from '../support/project.js';

const relay = 'relayhost.example.org';
const home = 'mailhost.example.org';

/** The bodies of the private keys in a PEM text. */
function secretsOf(pem: string): string[] {
  return pem.match(/-----BEGIN[^-]*PRIVATE KEY-----[^-]+/gu) ?? [];
}

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

describe('a first make', () => {
  it('leaves just the files of the design, each with its mode', async () => {
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(modesOf(project.folder)).toEqual({
      'settings.json': '0644',
      'certs/': '0755',
      'certs/ca/': '0755',
      'certs/ca/example.org-ca.key.pem': '0600',
      'certs/ca/example.org-ca.crt.pem': '0644',
      'certs/ca/issued.jsonl': '0644',
      'certs/smtpd-server/': '0755',
      [`certs/smtpd-server/${relay}.key.pem`]: '0600',
      [`certs/smtpd-server/${relay}.crt.pem`]: '0644',
      'certs/smtp-client/': '0755',
      [`certs/smtp-client/${home}.key.pem`]: '0600',
      [`certs/smtp-client/${home}.crt.pem`]: '0644',
      'hosts/': '0755',
      [`hosts/${relay}/`]: '0700',
      [`hosts/${relay}/example.org-ca.crt.pem`]: '0644',
      [`hosts/${relay}/${relay}.crt.pem`]: '0644',
      [`hosts/${relay}/${relay}.key.pem`]: '0600',
      [`hosts/${relay}/${relay}.chain.pem`]: '0600',
      [`hosts/${relay}/relay_clientcerts`]: '0644',
      [`hosts/${home}/`]: '0700',
      [`hosts/${home}/example.org-ca.crt.pem`]: '0644',
      [`hosts/${home}/${home}.crt.pem`]: '0644',
      [`hosts/${home}/${home}.key.pem`]: '0600',
      [`hosts/${home}/${home}.chain.pem`]: '0600',
    });
    expect(modesOf(project.home)).toEqual({
      '.config/': '0700',
      '.config/relaycerts/': '0700',
      '.config/relaycerts/operator-key.asc': '0600',
      '.example.org-relaycerts-passphrase.gpg': '0600',
    });
  });

  it('prints the instructions on stdout, and progress on stderr', async () => {
    const made = await project.run(['make']);
    expect(made.stdout).toContain('permit_tls_clientcerts,defer');
    expect(made.stdout).toContain('[relayhost.example.org]:2500');
    expect(made.stdout).not.toContain('relaycerts: made');
    expect(made.stderr).toContain('made the CA');
    expect((await project.run(['make', '--quiet'])).stderr).toBe('');
  });

  it.each([
    ['half a line', '{"time":"2026-11-20T12:00:00.000Z","event":"issu'],
    ['what a disk leaves of one', '\0\0\0\0'],
  ])('takes %s at the end of the ledger out, says so once', async (_what, torn) => {
    await putMade(project);
    const ledger = project.read('certs/ca/issued.jsonl');
    project.write('certs/ca/issued.jsonl', ledger + torn);
    const first = await project.run(['make']);
    expect([first.status, project.read('certs/ca/issued.jsonl')]).toEqual([0, ledger]);
    expect(first.stderr).toContain('relaycerts: took out of the ledger what a crash had left of its last line: "');
    expect((await project.run(['make'])).stderr).toBe(
      'relaycerts: nothing to make: everything that the settings ask for is there and right\n',
    );
  });

  it('ends a last line of the ledger that is whole, and leaves alone what is no line of its own', async () => {
    await putMade(project);
    const ledger = project.read('certs/ca/issued.jsonl');
    project.write('certs/ca/issued.jsonl', ledger.trimEnd());
    expect((await project.run(['make'])).stderr).toContain('relaycerts: ended the last line of the ledger');
    expect(project.read('certs/ca/issued.jsonl')).toBe(ledger);
    project.write('certs/ca/issued.jsonl', `${ledger}a note of mine`);
    expect((await project.run(['make'])).stderr).toContain(
      'issued.jsonl has lines that are no entry, and are skipped: 1\n',
    );
    expect(project.read('certs/ca/issued.jsonl')).toBe(`${ledger}a note of mine`);
  });

  it('writes one ledger line for each certificate', async () => {
    await putMade(project);
    const lines = project.read('certs/ca/issued.jsonl').trimEnd().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, string>);
    expect(entries.map(({ event, role, name }) => [event, role, name])).toEqual([
      ['issued', 'ca', 'example.org relay CA'],
      ['issued', 'smtpd-server', relay],
      ['issued', 'smtp-client', home],
    ]);
    expect(new Set(entries.map(({ serial }) => serial)).size).toBe(3);
  });

  it('makes a CA key that openssl opens with the passphrase that gpg gives', async () => {
    await putMade(project);
    const gnupg = join(project.home, 'gnupg');
    mkdirSync(gnupg, { mode: 0o700 });
    const env = { ...process.env, GNUPGHOME: gnupg, HOME: project.home };
    const gpg = (args: readonly string[]) => spawnSync('gpg', ['--batch', ...args], { env });
    try {
      expect(gpg(['--import', join(project.home, '.config/relaycerts/operator-key.asc')]).status).toBe(0);
      const opened = gpg(['--decrypt', join(project.home, '.example.org-relaycerts-passphrase.gpg')]);
      expect(opened.status, opened.stderr.toString()).toBe(0);
      const key = project.path('certs/ca/example.org-ca.key.pem');
      const args = ['pkey', '-in', key, '-passin', 'stdin', '-pubout'];
      const fromKey = spawnSync('openssl', args, { input: opened.stdout });
      const certificate = project.path('certs/ca/example.org-ca.crt.pem');
      const fromCertificate = spawnSync('openssl', ['x509', '-in', certificate, '-noout', '-pubkey']);
      expect(fromKey.stderr.toString()).toBe('');
      expect(fromKey.stdout.toString()).toBe(fromCertificate.stdout.toString());
      const wrong = spawnSync('openssl', args, { input: 'wrong' });
      expect(wrong.status).not.toBe(0);
    } finally {
      spawnSync('gpgconf', ['--kill', 'all'], { env });
    }
  });

  it('keeps the CA key out of every bundle, and each key to its host', async () => {
    await putMade(project);
    const [ca] = secretsOf(project.read('certs/ca/example.org-ca.key.pem'));
    const [relayKey] = secretsOf(project.read(`certs/smtpd-server/${relay}.key.pem`));
    const [homeKey] = secretsOf(project.read(`certs/smtp-client/${home}.key.pem`));
    for (const [host, own] of [
      [relay, relayKey],
      [home, homeKey],
    ] as const) {
      const all = readdirSync(project.path('hosts', host)).flatMap((name) =>
        secretsOf(project.read('hosts', host, name)),
      );
      expect(new Set(all)).toEqual(new Set([own]));
      expect(all).not.toContain(ca);
    }
  });

  it("puts a host's altNames into its certificate, on both sides", async () => {
    project.settings(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }],
        smtpClients: [{ hostname: 'mailhost', altNames: ['mail.example.net'] }],
      }),
    );
    await project.run(['make']);
    const namesOf = (path: string) =>
      spawnSync('openssl', ['x509', '-in', project.path(path), '-noout', '-ext', 'subjectAltName']).stdout.toString();
    expect(namesOf(`certs/smtpd-server/${relay}.crt.pem`)).toContain(`DNS:${relay}, DNS:mx.example.org`);
    expect(namesOf(`certs/smtp-client/${home}.crt.pem`)).toContain(`DNS:${home}, DNS:mail.example.net`);
    expect((await project.run(['make'])).stderr).toContain('nothing to make');
  });

  it('puts the key first into the chain', async () => {
    await putMade(project);
    const key = project.read(`certs/smtp-client/${home}.key.pem`);
    const certificate = project.read(`certs/smtp-client/${home}.crt.pem`);
    expect(project.read(`hosts/${home}/${home}.chain.pem`)).toBe(key + certificate);
  });

  it('works through a pipe that closes early', async () => {
    await putMade(project);
    const piped = project.spawn(['show'], { under: ['sh', '-c', '"$@" | head -n 1', 'sh'] });
    expect(piped.status).toBe(0);
    expect(piped.stderr).toBe('');
  });
});

describe('a second make', () => {
  it('changes not one byte, and says so', async () => {
    await putMade(project);
    const before = [treeOf(project.folder), treeOf(project.home)];
    const again = await project.run(['make']);
    expect(again.status).toBe(0);
    expect(again.stderr).toBe('relaycerts: nothing to make: everything that the settings ask for is there and right\n');
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    expect(again.stdout).toBe((await project.run(['show'])).stdout);
  });

  it('needs no passphrase', async () => {
    await putMade(project);
    rmSync(join(project.home, '.config'), { recursive: true });
    expect((await project.run(['make'])).status).toBe(0);
  });

  it('makes a new client alone, and adds its pin to the table of every relay', async () => {
    await putMade(project);
    const before = treeOf(project.folder);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const again = await project.run(['make']);
    expect(again.status, again.stderr).toBe(0);
    const after = treeOf(project.folder);
    const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
    expect(changed.toSorted()).toEqual(
      [
        'settings.json',
        'certs/ca/issued.jsonl',
        'certs/smtp-client/second.example.org.key.pem',
        'certs/smtp-client/second.example.org.crt.pem',
        `hosts/${relay}/relay_clientcerts`,
        'hosts/second.example.org/',
        'hosts/second.example.org/example.org-ca.crt.pem',
        'hosts/second.example.org/second.example.org.crt.pem',
        'hosts/second.example.org/second.example.org.key.pem',
        'hosts/second.example.org/second.example.org.chain.pem',
      ].toSorted(),
    );
    const table = project.read(`hosts/${relay}/relay_clientcerts`);
    const pins = table.split('\n').filter((line) => /^[0-9A-F]{2}:/u.test(line));
    expect(pins.map((line) => line.split(' ')[1])).toEqual([home, 'second.example.org']);
  });

  it('issues a certificate for the key that is there', async () => {
    await putMade(project);
    const key = project.read(`certs/smtp-client/${home}.key.pem`);
    const pin = (await project.run(['fingerprint', '--format', 'hex'])).stdout;
    rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
    expect((await project.run(['make'])).status).toBe(0);
    expect(project.read(`certs/smtp-client/${home}.key.pem`)).toBe(key);
    expect((await project.run(['fingerprint', '--format', 'hex'])).stdout).toBe(pin);
  });

  it('reads a table of thousands of clients, larger than 1 MiB', async () => {
    await putMade(project);
    const table = project.read('hosts', relay, 'relay_clientcerts');
    project.write(`hosts/${relay}/relay_clientcerts`, `${table}${`# ${'x'.repeat(70)}\n`.repeat(20_000)}`);
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(project.read('hosts', relay, 'relay_clientcerts')).toBe(table);
  });

  it('mends a bundle that was damaged', async () => {
    await putMade(project);
    const chain = project.read(`hosts/${home}/${home}.chain.pem`);
    project.write(`hosts/${home}/${home}.chain.pem`, 'damaged');
    rmSync(project.path(`hosts/${relay}/relay_clientcerts`));
    const again = await project.run(['make']);
    expect(again.status, again.stderr).toBe(0);
    expect(project.read(`hosts/${home}/${home}.chain.pem`)).toBe(chain);
    expect(project.read(`hosts/${relay}/relay_clientcerts`)).toContain(` ${home}\n`);
  });
});

describe('--dry-run', () => {
  it('prints the plan and writes nothing', async () => {
    const before = [treeOf(project.folder), treeOf(project.home)];
    const planned = await project.run(['make', '--dry-run']);
    expect(planned.status, planned.stderr).toBe(0);
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    for (const part of ['operator key', 'passphrase', "CA's key", "CA's certificate", relay, home, 'bundle']) {
      expect(planned.stdout).toContain(part);
    }
  });

  it('is empty after make', async () => {
    await putMade(project);
    expect((await project.run(['make', '--dry-run'])).stdout).toMatch(/^nothing to make/u);
    expect(JSON.parse((await project.run(['make', '--dry-run', '--json'])).stdout)).toEqual({ plan: [] });
  });
});

/** What somebody did to the files, and what make must say about it; it must touch nothing. */
const contradictions: readonly {
  readonly name: string;
  readonly change: (project: Project) => void | Promise<void>;
  readonly says: RegExp;
}[] = [
  {
    name: 'a CA without its key',
    change: (made) => rmSync(made.path('certs/ca/example.org-ca.key.pem')),
    says: /example\.org-ca\.crt\.pem" is there, but its key .*example\.org-ca\.key\.pem" is missing/u,
  },
  {
    name: "leaves without the CA's certificate",
    change: (made) => rmSync(made.path('certs/ca/example.org-ca.crt.pem')),
    says: /the CA's certificate is missing, but .*relayhost\.example\.org\.crt\.pem" was signed by it/u,
  },
  {
    name: 'the whole CA gone, and the leaves with it',
    change: (made) => {
      rmSync(made.path('certs'), { recursive: true });
    },
    says: /the CA's key and certificate are missing, but .*hosts.*was made with one/u,
  },
  {
    name: 'a certificate without its key',
    change: (made) => rmSync(made.path(`certs/smtp-client/${home}.key.pem`)),
    says: /mailhost\.example\.org\.crt\.pem" is there, but its key .* is missing/u,
  },
  {
    name: 'a key that does not match',
    change: (made) => made.write(`certs/smtp-client/${home}.key.pem`, made.read(`certs/smtpd-server/${relay}.key.pem`)),
    says: /mailhost\.example\.org\.key\.pem" does not belong to the certificate/u,
  },
  {
    name: 'a certificate with another name',
    change: (made) => {
      for (const end of ['key.pem', 'crt.pem']) {
        made.write(`certs/smtp-client/other.example.org.${end}`, made.read(`certs/smtp-client/${home}.${end}`));
        chmodSync(made.path(`certs/smtp-client/other.example.org.${end}`), 0o600);
      }
      made.settings(smallSettings({ smtpClients: [{ hostname: 'other' }] }));
    },
    says: /other\.example\.org\.crt\.pem" .*mailhost\.example\.org/u,
  },
  {
    name: "a relay's certificate in a client's place",
    change: (made) => {
      made.write(`certs/smtp-client/${home}.crt.pem`, made.read(`certs/smtpd-server/${relay}.crt.pem`));
    },
    says: /mailhost\.example\.org\.crt\.pem" /u,
  },
  {
    name: 'a certificate of another CA',
    change: async (made) => {
      const other = makeProject();
      await other.run(['make']);
      for (const end of ['key.pem', 'crt.pem']) {
        made.write(`certs/smtp-client/${home}.${end}`, other.read(`certs/smtp-client/${home}.${end}`));
      }
      other.remove();
    },
    says: /mailhost\.example\.org\.crt\.pem" .*another CA|not signed/u,
  },
  {
    name: 'another name for the CA in the settings',
    change: (made) => made.settings(smallSettings({ ca: { commonName: 'Another CA' } })),
    says: /example\.org-ca\.crt\.pem" .*Another CA/u,
  },
  {
    name: 'a name that the certificate lacks',
    change: (made) => made.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }] })),
    says: /relayhost\.example\.org\.crt\.pem" .*mx\.example\.org/u,
  },
  {
    name: "a name that a client's certificate lacks",
    change: (made) => made.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost', altNames: ['mx'] }] })),
    says: /mailhost\.example\.org\.crt\.pem" .*mx\.example\.org/u,
  },
  {
    name: 'a certificate that is no certificate',
    change: (made) => made.write(`certs/smtpd-server/${relay}.crt.pem`, 'not a certificate\n'),
    says: /relayhost\.example\.org\.crt\.pem.* holds no certificate/u,
  },
  {
    name: 'a key that is open to others',
    change: (made) => chmodSync(made.path(`certs/smtp-client/${home}.key.pem`), 0o640),
    says: /mailhost\.example\.org\.key\.pem" holds a private key and has mode 0640/u,
  },
  {
    name: 'a link where a key should be',
    change: (made) => {
      const key = made.path(`certs/smtp-client/${home}.key.pem`);
      renameSync(key, made.path('elsewhere'));
      symlinkSync(made.path('elsewhere'), key);
    },
    says: /mailhost\.example\.org\.key\.pem": it is a symbolic link/u,
  },
  {
    name: 'a folder where a certificate should be',
    change: (made) => {
      rmSync(made.path(`certs/smtp-client/${home}.crt.pem`));
      mkdirSync(made.path(`certs/smtp-client/${home}.crt.pem`));
    },
    says: /mailhost\.example\.org\.crt\.pem": it is a folder/u,
  },
];

describe('what contradicts the settings', () => {
  it.each(contradictions)('$name: says which file, and touches nothing', async ({ change, says }) => {
    await putMade(project);
    await change(project);
    const before = [treeOf(project.folder), treeOf(project.home)];
    const again = await project.run(['make']);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(says);
    expect(again.stderr).toMatch(/relaycerts: hint: \S/u);
    expect(again.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
    expect(again.stdout).toBe('');
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
  });

  it('a new client with the passphrase file gone: says so before anything is made', async () => {
    await putMade(project);
    rmSync(join(project.home, '.example.org-relaycerts-passphrase.gpg'));
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const before = treeOf(project.folder);
    const again = await project.run(['make']);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/passphrase file .* is missing/u);
    expect(treeOf(project.folder)).toEqual(before);
  });
});

describe('--passphrase-fd', () => {
  it('gives the passphrase of a new CA, and opens it again', () => {
    const first = project.spawn(['make', '--passphrase-fd', '0'], { input: 'correct horse battery staple\n' });
    expect(first.status, first.stderr).toBe(0);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    rmSync(join(project.home, '.config'), { recursive: true });
    const wrong = project.spawn(['make', '--passphrase-fd', '0'], { input: 'wrong\n' });
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/passphrase does not open/u);
    expect(wrong.stderr + wrong.stdout).not.toContain('wrong\n');
    const right = project.spawn(['make', '--passphrase-fd', '0'], { input: 'correct horse battery staple' });
    expect(right.status, right.stderr).toBe(0);
  });
});
