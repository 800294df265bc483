// What Postfix logs for each failure, on real hosts: each case has its own service on the relay and its own transport
// on the home host, with one flaw. All mails are sent at once. It runs on the installed release: scripts/in-release.sh
// runs it on others, and RELAYCERTS_LOG_LINES=FILE keeps what they logged, for new samples.

import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findLogKind } from '../../src/log/log-lines.js';
import { makeCa, makeLeaf, type LeafOptions, type TestCa } from '../support/chain.js';
// After chain.js, which makes Reflect ready for it.
import { BasicConstraintsExtension, X509CertificateGenerator } from '@peculiar/x509';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { patienceMs } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import {
  bundle,
  goodHome,
  goodRelay,
  logCases,
  openAnchor,
  proxyPort,
  unansweredAddress,
  type Parameters,
} from './log-cases.js';
import { folder } from '../support/folder.js';

const day = 86_400_000;
const caName = 'example.org relay CA';
const cases = Object.entries(logCases);
const firstPort = 2600;

let lab: Lab;
let relay: MailHost;
let home: MailHost;
let release: string;

interface Pem {
  readonly key: string;
  readonly certificate: string;
}

async function makePem(ca: TestCa, options: LeafOptions = {}): Promise<Pem> {
  const { pem, keyPair } = await makeLeaf(ca, options);
  return { key: String(keyPair.privateKey.export({ type: 'pkcs8', format: 'pem' })), certificate: pem };
}

const chainOf = ({ key, certificate }: Pem): string => key + certificate;

/** A CA that only shares our CA's name, and has no key identifier to tell them apart. */
async function makeNamesake(): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${caName}`,
    keys: await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  return certificate.toString('pem');
}

async function put(host: MailHost, files: Readonly<Record<string, string>>): Promise<void> {
  await host.sh(`mkdir -p ${folder}`);
  await Promise.all(Object.entries(files).map(([name, text]) => host.writeFile(`${folder}/${name}`, text, '0600')));
}

async function pinOf({ certificate }: Pem): Promise<string> {
  const { stdout } = await relay.sh('openssl x509 -noout -fingerprint -sha256', { input: certificate });
  return `${stdout.trim().replace(/^.*=/u, '')} mailhost.example.org\n`;
}

async function putFiles(): Promise<void> {
  const ca = await makeCa({ commonName: caName, at: new Date(Date.now() - 200 * day) });
  const other = await makeCa({ commonName: 'another CA' });
  const namesake = await makeNamesake();
  const past = { at: new Date(Date.now() - 100 * day), validDays: 30 };
  const future = { at: new Date(Date.now() + 100 * day) };
  const forRelay = { role: 'smtpd-server', hostname: relay.hostname } as const;
  const [own, expired, early, ofOther, rsa, second] = await Promise.all([
    makePem(ca),
    makePem(ca, past),
    makePem(ca, future),
    makePem(other),
    makePem(ca, { keyType: 'rsa-2048' }),
    makePem(ca),
  ]);
  const server = await makePem(ca, forRelay);
  await put(home, {
    [bundle.ca]: ca.pem,
    [bundle.home]: chainOf(own),
    'other-ca.pem': other.pem,
    'namesake-ca.pem': namesake,
    'of-other-ca.pem': chainOf(ofOther),
    'expired.pem': chainOf(expired),
    'future.pem': chainOf(early),
    'for-servers.pem': chainOf(server),
    'unlisted.pem': chainOf(second),
    'key-last.pem': own.certificate + own.key,
    'other-key-chain.pem': second.key + own.certificate,
    'certificate.pem': own.certificate,
    'other-key.pem': second.key,
    'rsa-key.pem': rsa.key,
  });
  await home.writeFile(openAnchor, other.pem);
  const encrypt = `openssl pkey -in ${bundle.home} -aes256 -passout pass:secret`;
  await home.sh(`cd ${folder} && { ${encrypt} && cat certificate.pem; } > encrypted.pem`);
  await put(relay, {
    [bundle.ca]: ca.pem,
    [bundle.relay]: chainOf(server),
    [bundle.table]: (await Promise.all([own, expired, early, ofOther].map(pinOf))).join(''),
    'namesake-ca.pem': namesake,
    'other-name.pem': chainOf(await makePem(ca, { ...forRelay, hostname: 'other.example.org' })),
    'expired.pem': chainOf(await makePem(ca, { ...forRelay, ...past })),
    'future.pem': chainOf(await makePem(ca, { ...forRelay, ...future })),
    'for-clients.pem': chainOf(await makePem(ca, { hostname: relay.hostname })),
    'key-last.pem': server.certificate + server.key,
  });
}

/** Lines of master.cf; the log has the case's name. */
function service(line: string, name: string, parameters: Parameters): string {
  const overrides = Object.entries({ syslog_name: `postfix/${name}`, ...parameters })
    .filter(([, value]) => value !== '-')
    .map(([key, value]) => `  -o { ${key} = ${value} }\n`);
  return `${line}\n${overrides.join('')}`;
}

async function configure(): Promise<void> {
  const services = cases.map(([name, one], at) =>
    service(`${firstPort + at} inet n - n - - smtpd`, name, { ...goodRelay, ...one.relay }),
  );
  // The relay's address has a working service.
  services.push(service('2500 inet n - n - - smtpd', 'any', goodRelay));
  const transports = cases.flatMap(([name, one]) =>
    one.isMissing === true ? [] : [service(`${name} unix - - n - - smtp`, name, { ...goodHome, ...one.home })],
  );
  const append = '{ echo; cat; } >> /etc/postfix/master.cf';
  await relay.sh(append, { input: services.join('') });
  await home.sh(append, { input: transports.join('') });
  const routes = cases.map(
    ([name, { to }], at) => `${name}.example.net ${name}:${to ?? `[${relay.hostname}]:${firstPort + at}`}\n`,
  );
  await home.writeFile('/etc/postfix/transport', routes.join(''));
  await home.setMainCf({ transport_maps: 'texthash:/etc/postfix/transport' });
  await home.sh(`ip address add ${unansweredAddress}/24 dev eth0`);
  await relay.sh(`ip route add blackhole ${unansweredAddress}
smtp-sink -u postfix -f MAIL -B '501 5.7.1 DSN support is disabled' 0.0.0.0:${proxyPort} 10 > /dev/null 2>&1 &`);
  await Promise.all([home.reload(), relay.reload()]);
}

beforeAll(async () => {
  requireTools('openssl', 'postfix', 'ip');
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  release = (await home.sh('postconf -dh mail_version')).stdout.trim();
  await putFiles();
  await configure();
  const recipients = cases.map(([name]) => `bob@${name}.example.net`);
  await home.exec(['/usr/sbin/sendmail', '-i', '-f', 'ann@example.org', ...recipients], { input: 'Subject: x\n\nx\n' });
  await Promise.all(
    cases.map(([name]) => home.waitForLog(new RegExp(String.raw`to=<bob@${name}\.example\.net>.* status=`, 'u'))),
  );
  // By now each connection has begun; what the relay says at its end is there once all have ended.
  const open = async (): Promise<boolean> => {
    const log = await relay.mailLog();
    return (log.match(/: connect from /gu)?.length ?? 0) > (log.match(/: disconnect from /gu)?.length ?? 0);
  };
  const end = Date.now() + patienceMs;
  while ((await open()) && Date.now() < end) await sleep(50);
});
afterAll(async () => {
  const out = process.env['RELAYCERTS_LOG_LINES'];
  for (const [name] of out === undefined ? [] : cases) {
    appendFileSync(out ?? '', (await linesOf(name)).map((line) => `${release} ${name} ${line}\n`).join(''));
  }
  await lab.stop();
});

/** The log of a case, as its hosts would write it under the names that relaycerts uses. */
async function linesOf(name: string): Promise<readonly string[]> {
  const text = `${await home.mailLog()}\n${await relay.mailLog()}`;
  const at = cases.findIndex(([each]) => each === name);
  return text
    .split('\n')
    .filter((line) => line.includes(`postfix/${name}/`) || line.includes(` private/${name}:`))
    .map((line) =>
      line
        .replace(`postfix/${name}/`, 'postfix/relaycerts/')
        .replace(` private/${name}:`, ' private/relaycerts:')
        .replaceAll(`@${name}.example.net`, '@example.net')
        .replaceAll(`:${firstPort + at}`, ':2500'),
    );
}

const kindsIn = (lines: readonly string[]) =>
  lines.flatMap((line) => {
    const kind = findLogKind(line);
    return kind === undefined ? [] : [kind];
  });

describe('the logs name the cause', () => {
  test.each(cases)('%s', async (name, { kinds, since = {} }) => {
    const minor = Number(release.split('.')[1]);
    const wanted = kinds.filter((kind) => minor >= (since[kind] ?? 0));
    const lines = await linesOf(name);
    const found = kindsIn(lines);
    const causes = found.filter(({ isSymptom }) => isSymptom !== true).map(({ id }) => id);
    expect([...new Set(causes)].toSorted(), lines.join('\n')).toEqual(wanted.toSorted());
    // If nothing names the cause, a symptom says where to look: there is always a line about a mail that waits.
    expect(found.length > 0 || lines.some((line) => line.includes('status=sent'))).toBe(true);
  });
});
