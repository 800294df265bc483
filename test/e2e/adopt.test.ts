// A pair of hosts as the old Makefile, or another CA, set them up is adopted and moved while mail flows, and the CA is
// renewed afterwards: nothing is lost, nothing bounces, and the pins of the hosts stay. With RELAYCERTS_DEEP=1 also from
// easy-rsa and openssl ca.

import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { oldFiles } from '../support/old-makefile.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { reloadFaults, reloadReason, startFlow } from './lab/mail-flow.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';

const hosts = ['relayhost', 'mailhost', 'mailhost2'] as const;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let homes: readonly MailHost[];

beforeAll(async () => {
  requireTools('make', 'gpg', 'openssl', 'make-cadir');
  lab = await startLab({ relays: 1, homes: 2, faults: reloadFaults });
  desk = new Desk(lab.operator);
  [relay] = lab.relays;
  homes = lab.homes;
});
afterEach(() => lab.restore());
afterAll(() => lab.stop());

/** Where a CA's folder has the key and the certificate of a host, and its own certificate. */
interface Source {
  readonly what: string;
  readonly make: () => Promise<void>;
  readonly ca: string;
  readonly key: (host: string) => string;
  readonly certificate: (host: string) => string;
}

const roleOf = (host: string): string => (host.startsWith('relay') ? 'smtpd-server' : 'smtp-client');

async function makeByMakefile(): Promise<void> {
  await desk.run("gpg --batch --quiet --passphrase '' --quick-generate-key ann@example.org");
  for (const [name, text] of Object.entries(oldFiles('ann@example.org', hosts.slice(1)))) {
    await lab.operator.writeFile(`/home/operator/old/${name}`, text);
  }
  await desk.run('make --silent -C old');
}

async function makeByEasyRsa(): Promise<void> {
  const kinds = hosts.map(
    (host) => `build-${host === 'relayhost' ? 'server' : 'client'}-full ${host}.example.org nopass`,
  );
  const commands = ['init-pki', 'build-ca nopass', ...kinds].map((words) => `/usr/share/easy-rsa/easyrsa ${words}`);
  const names = 'EASYRSA_BATCH=1 EASYRSA_PKI=$PWD/easy EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1 EASYRSA_REQ_CN=Easy';
  await desk.run(
    `export ${names}\n${commands[0]} && ${commands[1]}\nunset EASYRSA_REQ_CN\n${commands.slice(2).join(' && ')}`,
  );
}

async function makeByOpensslCa(): Promise<void> {
  const config = `[ca]\ndefault_ca=d\n[d]\ndir=demoCA\ndatabase=$dir/index.txt\nnew_certs_dir=$dir/newcerts\nserial=$dir/serial\ncertificate=$dir/cacert.pem\nprivate_key=$dir/private/cakey.pem
default_md=sha256\ndefault_days=365\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nbasicConstraints=CA:FALSE
subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n`;
  await lab.operator.writeFile('/home/operator/ca.cnf', config);
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch';
  const issue = hosts.map((host) => {
    const folder = `demoCA/${host === 'relayhost' ? 'server' : 'client'}`;
    const request = `openssl req -new ${key} -subj /CN=${host}.example.org -keyout ${folder}/${host}.key -out ${host}.csr`;
    return `mkdir -p ${folder} && ${request} && openssl ca -batch -config ca.cnf -in ${host}.csr -out ${folder}/${host}.crt`;
  });
  const root = `openssl req -x509 ${key} -subj /CN=Demo -days 3650 -keyout demoCA/private/cakey.pem -out demoCA/cacert.pem`;
  const start = 'mkdir -p demoCA/private demoCA/newcerts; : > demoCA/index.txt; echo 01 > demoCA/serial';
  await desk.run(`umask 077; ${start}\n${[root, ...issue].join(' &&\n')}`);
}

const sources: readonly Source[] = [
  {
    what: 'the old Makefile',
    make: makeByMakefile,
    ca: 'old/certs/ca/example.org-ca.crt.pem',
    key: (host) => `old/certs/${roleOf(host)}/${host}.example.org.key.pem`,
    certificate: (host) => `old/certs/${roleOf(host)}/${host}.example.org.crt.pem`,
  },
  {
    what: 'easy-rsa',
    make: makeByEasyRsa,
    ca: 'easy/ca.crt',
    key: (host) => `easy/private/${host}.example.org.key`,
    certificate: (host) => `easy/issued/${host}.example.org.crt`,
  },
  {
    what: 'openssl ca',
    make: makeByOpensslCa,
    ca: 'demoCA/cacert.pem',
    key: (host) => `demoCA/${host === 'relayhost' ? 'server' : 'client'}/${host}.key`,
    certificate: (host) => `demoCA/${host === 'relayhost' ? 'server' : 'client'}/${host}.crt`,
  },
];

/** As it was set up by hand: a service that lists fingerprints and checks nothing else; homes that check nothing. */
async function setUpOld({ key, certificate, ca }: Source): Promise<void> {
  const folder = '/etc/postfix/old';
  for (const host of [relay, ...homes]) {
    const name = host.hostname.split('.')[0] ?? '';
    for (const [file, path] of [
      ['key.pem', key(name)],
      ['crt.pem', certificate(name)],
      ['ca.pem', ca],
    ] as const) {
      await host.writeFile(
        `${folder}/${file}`,
        await lab.operator.readFile(path),
        file === 'key.pem' ? '0600' : '0644',
      );
    }
  }
  const pins = await desk.run(
    hosts
      .slice(1)
      .map((name) => `openssl x509 -noout -fingerprint -sha256 -in ${certificate(name)} | sed 's/.*=//; s/$/ ${name}/'`)
      .join('\n'),
  );
  await relay.writeFile('/etc/postfix/relay_clientcerts', pins.stdout);
  await relay.sh(`postmap hash:/etc/postfix/relay_clientcerts
postconf -M '2500/inet=2500 inet n - n - - smtpd'
postconf -P 2500/inet/smtpd_tls_security_level=encrypt 2500/inet/smtpd_tls_ask_ccert=yes \\
  2500/inet/smtpd_tls_cert_file=${folder}/crt.pem 2500/inet/smtpd_tls_key_file=${folder}/key.pem \\
  2500/inet/smtpd_tls_fingerprint_digest=sha256 2500/inet/relay_clientcerts=hash:/etc/postfix/relay_clientcerts \\
  2500/inet/smtpd_relay_restrictions=permit_tls_clientcerts,defer`);
  await relay.reload();
  for (const home of homes) {
    await home.sh(`postconf -e 'relayhost = [${relay.hostname}]:2500' smtp_tls_security_level=encrypt \\
  smtp_tls_cert_file=${folder}/crt.pem smtp_tls_key_file=${folder}/key.pem`);
    await home.reload();
  }
}

const pinOf = (pem: string): string =>
  createHash('sha256')
    .update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');

/** Runs the lines after "Now run:" until none is left. */
async function runPrinted(stdout: string): Promise<void> {
  const lines = /^Now run.*:\n((?: {2}.*\n)+)/mu.exec(stdout)?.[1]?.trimEnd().split('\n') ?? [];
  for (const line of lines.map((one) => one.trim())) {
    const {
      code,
      stdout: next,
      stderr,
    } = await desk.run(line.startsWith('relaycerts deploy') ? `${line} --yes` : line, true);
    expect(code, `${line}: ${next}${stderr}`).toBe(0);
    await runPrinted(next);
  }
}

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
test.each(isDeep ? sources : sources.slice(0, 1))('from $what, with mail flowing all the time', async (source) => {
  await desk.run('rm -rf settings* certs hosts .relaycerts* .example.org-relaycerts* old easy demoCA');
  await source.make();
  await setUpOld(source);
  for (const home of homes) await deliver(home, lab.outside);
  const flow = await startFlow(homes, lab.outside);
  const folder = source.ca.split('/')[0] ?? '';
  await runPrinted((await desk.run(`relaycerts adopt ${folder} --yes`)).stdout);
  for (const home of homes) await home.waitForLog(/Verified TLS connection established to relayhost/u);
  await runPrinted((await desk.run('relaycerts renew --ca')).stdout);
  expect((await desk.run('relaycerts status')).stdout).toMatch(/^3 hosts: 3 ok; CA ok; passphrase ok\n/u);
  const waits = await flow.stop();
  // Only reloads made any mail wait.
  expect(waits.filter((why) => !reloadReason.test(why))).toEqual([]);
  for (const name of hosts) {
    const now = await lab.operator.readFile(`certs/${roleOf(name)}/${name}.example.org.crt.pem`);
    expect(pinOf(now)).toBe(pinOf(await lab.operator.readFile(source.certificate(name))));
  }
  expect((await relay.exec(['postconf', '-P', '2500/inet/smtpd_tls_req_ccert'])).stdout).toContain('yes');
});
