// What must be true of every complete state, judged by openssl and not by our own code: keys and certificates match,
// the passphrase opens the CA key, every bundle is what its host needs, tables list the right pins, and no secret is
// open to others. Each check returns what is wrong as lines. This file does not know how a state came about.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decrypt, readMessage, readPrivateKey } from 'openpgp';
import { openssl } from './openssl.js';
import { modesOf, treeOf, type Project } from './project.js';

const domain = 'example.org';
const roles = ['smtpd-server', 'smtp-client'] as const;
type Role = (typeof roles)[number];

/** openssl's answer about an input and the files in `args`, asked for once: most are the same in every state. */
const answers = new Map<string, string>();
function askOnce(args: readonly string[], input: Buffer | string = ''): string {
  const words = args.map((word) => (word.startsWith('/') ? sha256(readFileSync(word)) : word));
  const question = [...words, sha256(input)].join(' ');
  const answer = answers.get(question) ?? openssl(args, input);
  answers.set(question, answer);
  return answer;
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
const derOf = (pem: string): Buffer => Buffer.from(pem.replaceAll(/-----[^-]+-----/gu, ''), 'base64');

/** The public key of a certificate, a request or a plain key, as its SHA-256. */
function publicKeyOf(pem: Buffer): string {
  const [, what = ''] = /-----BEGIN ([A-Z ]+)-----/u.exec(pem.toString('latin1')) ?? [];
  const command = { CERTIFICATE: 'x509', 'CERTIFICATE REQUEST': 'req' }[what];
  const args = command === undefined ? ['pkey', '-pubout'] : [command, '-noout', '-pubkey'];
  return sha256(derOf(askOnce(args, pem)));
}

/** What is wrong with a complete state; nothing if there is no CA. */
export async function wrongIn(project: Project): Promise<readonly string[]> {
  const ca = project.path(`certs/ca/${domain}-ca.crt.pem`);
  if (!existsSync(ca)) return [...tooWide(project), ...leftOver(project)];
  return [
    ...tooWide(project),
    ...leftOver(project),
    ...(await wrongCa(project, readFileSync(ca))),
    ...wrongLedger(project),
    ...roles.flatMap((role) => hostsOf(project, role).flatMap((host) => wrongHost(project, role, host))),
    ...wrongTables(project),
  ];
}

/** Secrets that others could read, under any name. */
export function tooWide({ folder, home }: Project): readonly string[] {
  const entries = [...Object.entries(modesOf(folder)), ...Object.entries(modesOf(home))];
  return entries.flatMap(([name, mode]) => {
    const isSecret = /(?:key|chain)\.pem|operator-key|passphrase|\.gpg/u.test(name) && !name.endsWith('/');
    const isClosed = /^(?:hosts\/[^/]+|certs\/revoked|\.relaycerts\.change)\/$/u.test(name);
    const isWrong = (isSecret && mode !== '0600') || (isClosed && mode !== '0700');
    return isWrong ? [`${name} has mode ${mode}`] : [];
  });
}

/** What exists only during an unfinished change. */
export function leftOver({ folder, home }: Project): readonly string[] {
  const names = [...Object.keys(modesOf(folder)), ...Object.keys(modesOf(home)).map((name) => `~/${name}`)];
  return names.filter(isStaged).map((name) => `${name} is left over`);
}

/** True if this is the name of a staged file. */
function isStaged(name: string): boolean {
  return /\.relaycerts(?:\.change|-)/u.test(name);
}

/**
 * A state in a form for comparison with another one that comes from the same base: each name with its mode, and whether
 * its content is still that of the base. Staged files do not count.
 */
export function shapeOf(project: Project, base: Project): string {
  const rows = (['folder', 'home'] as const).flatMap((part) => {
    const before = treeOf(base[part]);
    return Object.entries(treeOf(project[part])).flatMap(([name, state]) => {
      // The operator key's folder is made before the commit, and stays.
      if (name === '.relaycerts.lock' || isStaged(name) || /^\.config\/(?:relaycerts\/)?$/u.test(name)) return [];
      return [`${part} ${name} ${state.slice(0, 4)} ${before[name] === state ? 'old' : 'new'}`];
    });
  });
  return rows.join('\n');
}

async function wrongCa(project: Project, certificate: Buffer): Promise<readonly string[]> {
  const passphrase = await openPassphrase(project);
  try {
    const path = project.path(`certs/ca/${domain}-ca.key.pem`);
    const opened = askOnce(['pkey', '-in', path, '-passin', 'stdin', '-pubout'], passphrase);
    return sha256(derOf(opened)) === publicKeyOf(certificate) ? [] : ["the CA's key is not its certificate's"];
  } catch (error) {
    return [`the passphrase does not open the CA's key: ${String(error)}`];
  }
}

/** The CA's passphrase, opened with the operator key. */
async function openPassphrase({ home }: Project): Promise<string> {
  const operatorKey = readFileSync(join(home, '.config/relaycerts/operator-key.asc'), 'utf8');
  const sealed = readFileSync(join(home, `.${domain}-relaycerts-passphrase.gpg`));
  const question = `${sha256(operatorKey)} ${sha256(sealed)}`;
  const known = answers.get(question);
  if (known !== undefined) return known;
  const decryptionKeys = await readPrivateKey({ armoredKey: operatorKey });
  const message = await readMessage({ binaryMessage: new Uint8Array(sealed) });
  const opened: { readonly data: unknown } = await decrypt({ message, decryptionKeys });
  const passphrase = String(opened.data);
  answers.set(question, passphrase);
  return passphrase;
}

/** The hosts in the settings. */
function hostsOf(project: Project, role: Role): readonly string[] {
  const settings = JSON.parse(project.read('settings.json')) as Record<string, readonly { hostname: string }[]>;
  const hosts = settings[role === 'smtpd-server' ? 'smtpdServers' : 'smtpClients'] ?? [];
  return hosts.map(({ hostname }) => `${hostname}.${domain}`);
}

/** All files below, from the folder. */
function filesOf(project: Project, folder: string): readonly string[] {
  const path = project.path(folder);
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length));
}

const isRevoked = (project: Project, host: string): boolean =>
  filesOf(project, 'certs/revoked').some((name) => name.startsWith(`/${host}-`));

/** One host's key, certificate and bundle: they match, and openssl verifies what the host will trust. */
function wrongHost(project: Project, role: Role, host: string): readonly string[] {
  const read = (...parts: readonly string[]): Buffer | undefined =>
    existsSync(project.path(...parts)) ? readFileSync(project.path(...parts)) : undefined;
  if (isRevoked(project, host)) {
    const left = [...filesOf(project, `certs/${role}`), ...filesOf(project, 'hosts')];
    return left.filter((name) => name.includes(host)).map((name) => `${host} is revoked, and there is still ${name}`);
  }
  const base = `certs/${role}/${host}`;
  const [key, request] = [read(`${base}.key.pem`), read(`${base}.csr.pem`)];
  const [own, certificate] = [key ?? request, read(`${base}.crt.pem`)];
  // A client that is not made yet.
  if (own === undefined && certificate === undefined && !existsSync(project.path('hosts', host))) return [];
  if (own === undefined || certificate === undefined) return [`${host} has only a part of its files`];
  const wrong = publicKeyOf(own) === publicKeyOf(certificate) ? [] : [`the key of ${host} is not its certificate's`];
  const ca = read('hosts', host, `${domain}-ca.crt.pem`);
  if (ca === undefined) return [...wrong, `the bundle of ${host} has no CA certificate`];
  const expected = new Map([
    [`${host}.crt.pem`, certificate],
    [`${host}.key.pem`, key],
    [`${host}.chain.pem`, key && Buffer.concat([key, certificate])],
  ]);
  for (const [name, bytes] of expected) {
    const found = read('hosts', host, name);
    if (found?.toString() !== bytes?.toString()) wrong.push(`the bundle of ${host} does not hold the right ${name}`);
  }
  const purpose = role === 'smtp-client' ? 'sslclient' : 'sslserver';
  const trusted = project.path('hosts', host, `${domain}-ca.crt.pem`);
  const verify = ['verify', '-x509_strict', '-purpose', purpose, '-verify_hostname', host, '-CAfile', trusted];
  try {
    askOnce([...verify, project.path(`${base}.crt.pem`)]);
  } catch (error) {
    wrong.push(String(error));
  }
  return wrong;
}

/** A relay lists exactly the pins of the clients that are made and not revoked. */
function wrongTables(project: Project): readonly string[] {
  const { postfix } = JSON.parse(project.read('settings.json')) as { readonly postfix?: { readonly pin?: string } };
  const pins = hostsOf(project, 'smtp-client').flatMap((host) => {
    const files = [`${host}.crt.pem`, `${host}.old.crt.pem`].map((name) => project.path('certs/smtp-client', name));
    const found = files.filter((path) => existsSync(path)).map((path) => readFileSync(path));
    return found.map((pem) => (postfix?.pin === 'certificate' ? sha256(derOf(pem.toString())) : publicKeyOf(pem)));
  });
  return hostsOf(project, 'smtpd-server').flatMap((relay) => {
    const lines = project.read('hosts', relay, 'relay_clientcerts').matchAll(/^([0-9A-F:]{95}) /gmu);
    const listed = [...lines].map(([, pin = '']) => pin.replaceAll(':', '').toLowerCase());
    const isRight = listed.toSorted().join(' ') === pins.toSorted().join(' ');
    return isRight ? [] : [`${relay} lists ${listed.join(' ')} and not ${pins.join(' ')}`];
  });
}

/** Every certificate is in the ledger, and no serial was issued twice. */
function wrongLedger(project: Project): readonly string[] {
  const lines = project.read('certs/ca/issued.jsonl').trimEnd().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as { readonly event: string; readonly serial: string });
  const issued = entries.flatMap(({ event, serial }) =>
    /^(?:issued|renewed|rekeyed)$/u.test(event) ? [plain(serial)] : [],
  );
  const missing = filesOf(project, 'certs').filter((name) => {
    if (!name.endsWith('.crt.pem')) return false;
    const serial = askOnce(['x509', '-noout', '-serial'], readFileSync(project.path('certs', name)));
    return !issued.includes(plain(serial.trim().replace('serial=', '')));
  });
  return [
    ...(new Set(issued).size === issued.length ? [] : ['the ledger has a serial twice']),
    ...missing.map((name) => `certs${name} is not in the ledger`),
  ];
}

const plain = (serial: string): string => serial.toLowerCase().replace(/^0+/u, '');
