// What must be true of a project whatever happened to it, judged by openssl and not by our own code: keys and
// certificates that belong together, a CA key that opens, pins that have a certificate, modes, and nothing lost. Each
// check gives what is wrong as lines; none is good.

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decrypt, readMessage, readPrivateKey } from 'openpgp';
import { openssl, runTool } from './openssl.js';
import { modesOf, type Project } from './project.js';

const domain = 'example.org';
const roles = ['smtpd-server', 'smtp-client'] as const;
const caBase = `certs/ca/${domain}-ca`;

/** What a project holds that cannot be made again. */
export interface Holdings {
  /** Public key (SHA-256 of SubjectPublicKeyInfo) -> the file of its private key, for all of certs/. */
  readonly keys: ReadonlyMap<string, string>;
  /** Serial -> the certificate's file, for all of certs/. */
  readonly certificates: ReadonlyMap<string, string>;
  /** The pins that the first relay's bundle lists. */
  readonly listed: readonly string[];
  readonly passphrase: string;
}

/** openssl's answer for these bytes, asked for once: most files are the same at every point of a sweep. */
const answers = new Map<string, string>();
function askOnce(args: readonly string[], ...inputs: readonly Buffer[]): string {
  const digest = createHash('sha256');
  for (const input of inputs) digest.update(input).update('\0');
  const question = `${args.filter((word) => !word.startsWith('/')).join(' ')} ${digest.digest('hex')}`;
  const answer = answers.get(question) ?? openssl(args, inputs.length === 1 ? (inputs[0] ?? '') : '');
  answers.set(question, answer);
  return answer;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const derOf = (pem: string): Buffer => Buffer.from(pem.replaceAll(/-----[^-]+-----/gu, ''), 'base64');

/** The public key of a certificate, request or key that is not encrypted, as its SHA-256. */
function publicKeyOf(pem: Buffer): string {
  const text = pem.toString('latin1');
  if (text.includes('BEGIN CERTIFICATE REQUEST')) return sha256(derOf(askOnce(['req', '-noout', '-pubkey'], pem)));
  if (text.startsWith('-----BEGIN CERTIFICATE')) return sha256(derOf(askOnce(['x509', '-noout', '-pubkey'], pem)));
  return sha256(derOf(askOnce(['pkey', '-pubout'], pem)));
}

function serialOf(pem: Buffer): string {
  return askOnce(['x509', '-noout', '-serial'], pem)
    .trim()
    .replace(/^serial=0*/u, '')
    .toLowerCase();
}

/** The CA's public key, if the passphrase opens its key. */
function caPublicKey(path: string, passphrase: string): string | undefined {
  const question = `${sha256(readFileSync(path))} ${sha256(Buffer.from(passphrase))}`;
  const known = answers.get(question);
  const { status, stdout } =
    known === undefined
      ? runTool('openssl', ['pkey', '-in', path, '-passin', 'stdin', '-pubout'], passphrase)
      : { status: 0, stdout: known };
  if (status !== 0) return undefined;
  answers.set(question, stdout);
  return sha256(derOf(stdout));
}

/** What an OpenPGP file of the project says, opened with the operator key. */
async function openSealed(file: string, { home }: Project): Promise<string> {
  const operatorKey = readFileSync(join(home, '.config/relaycerts/operator-key.asc'));
  const sealed = readFileSync(file);
  const question = `${sha256(operatorKey)} ${sha256(sealed)}`;
  const known = answers.get(question);
  if (known !== undefined) return known;
  const decryptionKeys = await readPrivateKey({ armoredKey: operatorKey.toString() });
  const message = await readMessage({ binaryMessage: new Uint8Array(sealed) });
  const data: unknown = (await decrypt({ message, decryptionKeys })).data;
  if (typeof data !== 'string') throw new TypeError('an OpenPGP message that is no text');
  answers.set(question, data);
  return data;
}

/** The CA's passphrases that are there: in the file, and beside the key where a change was cut off. */
async function passphrasesOf(project: Project): Promise<readonly string[]> {
  const places = [
    join(project.home, `.${domain}-relaycerts-passphrase.gpg`),
    project.path(`${caBase}.passphrase.new.gpg`),
  ];
  return Promise.all(places.filter((path) => existsSync(path)).map((path) => openSealed(path, project)));
}

const filesOf = (folder: string): readonly string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .toSorted()
    : [];

/** All that certs/ holds. Files that are not whole yet (a crash left them) have other names, and do not count. */
export async function holdingsOf(project: Project): Promise<Holdings> {
  const keys = new Map<string, string>();
  const certificates = new Map<string, string>();
  const passphrases = await passphrasesOf(project);
  for (const file of filesOf(project.path('certs'))) {
    const name = file.slice(project.folder.length + 1);
    const pem = readFileSync(file);
    if (file.endsWith('.crt.pem')) certificates.set(serialOf(pem), name);
    if (!file.endsWith('.key.pem')) continue;
    const isEncrypted = pem.includes('ENCRYPTED');
    const opened = isEncrypted ? passphrases.map((word) => caPublicKey(file, word)).find(Boolean) : publicKeyOf(pem);
    if (opened !== undefined) keys.set(opened, name);
  }
  const [relay = ''] = hostsOf(project, 'smtpd-server');
  return { keys, certificates, listed: listedBy(project, relay), passphrase: passphrases[0] ?? '' };
}

/** The hosts that the settings name. */
function hostsOf(project: Project, role: (typeof roles)[number]): readonly string[] {
  const settings = JSON.parse(project.read('settings.json')) as Record<
    string,
    readonly { readonly hostname: string }[]
  >;
  const hosts = settings[role === 'smtpd-server' ? 'smtpdServers' : 'smtpClients'] ?? [];
  return hosts.map(({ hostname }) => (hostname.includes('.') ? hostname : `${hostname}.${domain}`));
}

/** The pins of a relay's table, in lower case without colons. */
function listedBy(project: Project, relay: string): readonly string[] {
  const table = project.path('hosts', relay, 'relay_clientcerts');
  const lines = existsSync(table) ? readFileSync(table, 'utf8').matchAll(/^([0-9A-F:]{95}) /gmu) : [];
  return [...lines].map(([, pin = '']) => pin.replaceAll(':', '').toLowerCase());
}

export interface LedgerLine {
  readonly event: string;
  readonly name: string;
  readonly serial: string;
}

const plainSerial = (serial: string): string => serial.toLowerCase().replace(/^0+/u, '');

/** The ledger's lines; a line that is none throws. */
export function ledgerOf(project: Project): readonly LedgerLine[] {
  const path = project.path('certs/ca/issued.jsonl');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as LedgerLine);
}

/** What may go: a file of certs/, as it was called before. */
export type MayGo = (name: string) => boolean;

/**
 * What holds at every instant, however the command ended: no file is wider than it should be, what was there is
 * somewhere still, and one of the passphrases that are there opens the CA's key.
 */
export async function wrongAtOnce(
  project: Project,
  before: Holdings,
  mayGo: MayGo = () => false,
): Promise<readonly string[]> {
  const now = await holdingsOf(project);
  const wrong = tooWide(project);
  for (const kind of ['keys', 'certificates'] as const) {
    for (const [id, name] of before[kind]) {
      if (!now[kind].has(id) && !mayGo(name)) wrong.push(`${name} is gone, and nothing has its ${kind} now`);
    }
  }
  const caKey = project.path(`${caBase}.key.pem`);
  if (existsSync(caKey)) {
    const passphrases = await passphrasesOf(project);
    if (!passphrases.some((word) => caPublicKey(caKey, word) !== undefined)) wrong.push('nothing opens the CA key');
  }
  return wrong;
}

/** Secrets that others could read, whatever name they have for the moment. */
function tooWide({ folder, home }: Project): string[] {
  const wrong: string[] = [];
  for (const [name, mode] of [...Object.entries(modesOf(folder)), ...Object.entries(modesOf(home))]) {
    const isSecret = /(?:key|chain)\.pem|operator-key|passphrase|\.p12|\.gpg/u.test(name);
    if (isSecret && !name.endsWith('/') && mode !== '0600') wrong.push(`${name} has mode ${mode}`);
    if (/^hosts\/[^/]+\/$|^certs\/revoked\/$/u.test(name) && mode !== '0700') wrong.push(`${name} has mode ${mode}`);
  }
  return wrong;
}

/** What must be true besides when a run has ended well: all is whole, nothing is left over, and no host is locked out. */
export async function wrongAtRest(project: Project, before: Holdings, mayGo?: MayGo): Promise<readonly string[]> {
  const lines = ledgerOf(project);
  const now = await holdingsOf(project);
  const wrong = [...(await wrongAtOnce(project, before, mayGo)), ...leftOver(project), ...wrongLedger(lines, now)];
  const caCertificate = readFileSync(project.path(`${caBase}.crt.pem`));
  const [passphrase = '', ...others] = await passphrasesOf(project);
  if (others.length > 0) wrong.push('a second passphrase lies beside the CA key');
  if (caPublicKey(project.path(`${caBase}.key.pem`), passphrase) !== publicKeyOf(caCertificate)) {
    wrong.push('the passphrase file does not open the key of the CA certificate');
  }
  const last = new Map(lines.map(({ name, event }) => [name, event]));
  const pins = new Set<string>();
  for (const role of roles) {
    for (const host of hostsOf(project, role)) {
      if (last.get(host) === 'revoked') {
        const left = [...filesOf(project.path('certs', role)), ...filesOf(project.path('hosts'))];
        const its = left.filter((path) => path.includes(`/${host}`));
        wrong.push(...its.map((path) => `${host} is revoked, and there is still ${path}`));
      } else {
        wrong.push(...wrongHost(project, role, host));
        if (role === 'smtp-client') for (const pin of pinsOf(project, host)) pins.add(pin);
      }
    }
  }
  const ended = new Set(
    lines.flatMap(({ event, serial }) => (/^re(?:tir|vok)ed$/u.test(event) ? [plainSerial(serial)] : [])),
  );
  const endedPins = new Set(
    [...now.certificates]
      .filter(([serial]) => ended.has(serial))
      .flatMap(([, name]) => allPins(readFileSync(project.path(name)))),
  );
  for (const relay of hostsOf(project, 'smtpd-server')) {
    if (last.get(relay) === 'revoked') continue;
    const listed = listedBy(project, relay);
    for (const pin of pins) if (!listed.includes(pin)) wrong.push(`${relay} does not list the pin ${pin}`);
    for (const pin of listed) if (!pins.has(pin)) wrong.push(`${relay} lists the pin ${pin} of no certificate`);
    for (const pin of before.listed) {
      if (!listed.includes(pin) && !endedPins.has(pin))
        wrong.push(`${relay} no longer lists the pin ${pin}, which is in use`);
    }
  }
  return wrong;
}

/** Files that only a run at work has, and folders that are nobody's bundle. */
function leftOver(project: Project): readonly string[] {
  const names = [
    ...Object.keys(modesOf(project.folder)),
    ...Object.keys(modesOf(project.home)).map((name) => `~/${name}`),
  ];
  const left = names.filter((name) => /\.tmp$|\.lock|relaycerts-[0-9a-f]{12}|(?<!-ca)\.new\./u.test(name));
  const hosts = roles.flatMap((role) => hostsOf(project, role));
  const folder = project.path('hosts');
  const odd = existsSync(folder) ? readdirSync(folder).filter((name) => !hosts.includes(name)) : [];
  return [...left, ...odd.map((name) => `hosts/${name}`)].map((name) => `${name} is left over`);
}

function wrongLedger(lines: readonly LedgerLine[], { certificates }: Holdings): readonly string[] {
  const issued = lines
    .filter(({ event }) => /^(?:issued|renewed|rekeyed)$/u.test(event))
    .map(({ serial }) => plainSerial(serial));
  const twice = issued.filter((serial, at) => issued.indexOf(serial) !== at);
  return [
    ...twice.map((serial) => `the ledger has the serial ${serial} twice`),
    ...[...certificates]
      .filter(([serial]) => !issued.includes(serial))
      .map(([, name]) => `${name} is not in the ledger`),
  ];
}

/** One host's key, certificate and bundle: they belong together, and openssl verifies what the host will trust. */
function wrongHost(project: Project, role: (typeof roles)[number], host: string): readonly string[] {
  const base = project.path('certs', role, host);
  const [key, certificate, request] = ['key', 'crt', 'csr']
    .map((end) => `${base}.${end}.pem`)
    .map((path) => (existsSync(path) ? readFileSync(path) : undefined));
  if (certificate === undefined) return [`${host} has no certificate`];
  const own = key ?? request;
  if (own === undefined) return [`${host} has no key`];
  const wrong: string[] = [];
  if (publicKeyOf(own) !== publicKeyOf(certificate)) wrong.push(`the key of ${host} is not its certificate's`);
  const bundle = (name: string): Buffer | undefined => {
    const path = project.path('hosts', host, name);
    return existsSync(path) && lstatSync(path).isFile() ? readFileSync(path) : undefined;
  };
  const expected = new Map([[`${host}.crt.pem`, certificate]]);
  if (key !== undefined) {
    expected.set(`${host}.key.pem`, key);
    expected.set(`${host}.chain.pem`, Buffer.concat([key, certificate]));
  }
  for (const [name, bytes] of expected) {
    if (bundle(name)?.equals(bytes) !== true) wrong.push(`the bundle of ${host} does not hold the right ${name}`);
  }
  const ca = bundle(`${domain}-ca.crt.pem`);
  if (ca === undefined) return [...wrong, `the bundle of ${host} has no CA certificate`];
  const purpose = role === 'smtp-client' ? 'sslclient' : 'sslserver';
  const trusted = project.path('hosts', host, `${domain}-ca.crt.pem`);
  try {
    askOnce(
      ['verify', '-x509_strict', '-purpose', purpose, '-verify_hostname', host, '-CAfile', trusted, `${base}.crt.pem`],
      ca,
      certificate,
    );
  } catch (error) {
    wrong.push(String(error));
  }
  return wrong;
}

/** The pins of a client that the relays must list: of its certificate, and of the one before. */
function pinsOf(project: Project, host: string): readonly string[] {
  const settings = JSON.parse(project.read('settings.json')) as { readonly postfix?: { readonly pin?: string } };
  const base = project.path('certs/smtp-client', host);
  const files = [`${base}.crt.pem`, `${base}.old.crt.pem`].filter((path) => existsSync(path));
  return files.map((path) => allPins(readFileSync(path))[settings.postfix?.pin === 'certificate' ? 1 : 0] ?? '');
}

/** Of the public key, and of the certificate. */
function allPins(certificate: Buffer): readonly [string, string] {
  return [publicKeyOf(certificate), sha256(derOf(certificate.toString('latin1')))];
}
