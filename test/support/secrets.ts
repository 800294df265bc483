// The secrets of a project, and how each looks if it leaks: parts of 16 octets, so that half a secret is found too, in
// the clear, in hexadecimal and in base64 (as lines of PEM or by itself).

import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as openpgp from 'openpgp';

export interface KnownSecret {
  /** `passphrase`, `CA key`, `key of FQDN`, `operator key`. */
  readonly name: string;
  readonly needles: readonly Buffer[];
}

const window = 16;

/** Windows that do not overlap, and the last one: a run of 31 octets holds at least one of them. */
function windowsOf<Part extends Buffer | string>(whole: Part, size: number): readonly Part[] {
  if (whole.length <= size) return [whole];
  const starts = Array.from({ length: Math.floor(whole.length / size) }, (_, at) => at * size);
  return [...new Set([...starts, whole.length - size])].map((at) => whole.slice(at, at + size) as Part);
}

/** The secret in each of its forms. */
function needlesOf(bytes: Buffer): readonly Buffer[] {
  const hex = windowsOf(bytes, window).map((part) => part.toString('hex'));
  // Base64 works on groups of three octets, which may begin at any of them.
  const base64 = [0, 1, 2].flatMap((skip) => {
    const groups = bytes.subarray(skip, skip + Math.floor((bytes.length - skip) / 3) * 3).toString('base64');
    return groups.length < 12 ? [] : windowsOf(groups, 20);
  });
  const url = base64.map((part) => part.replaceAll('+', '-').replaceAll('/', '_'));
  const texts = [...hex, ...hex.map((part) => part.toUpperCase()), ...base64, ...url];
  return [...windowsOf(bytes, window), ...[...new Set(texts)].map((text) => Buffer.from(text))];
}

/** A passphrase: its text, and its octets if the text is hexadecimal. */
export function textSecret(name: string, text: string): KnownSecret {
  const octets = /^(?:[0-9a-f]{2}){16,}$/u.test(text) ? needlesOf(Buffer.from(text, 'hex')) : [];
  return { name, needles: [...needlesOf(Buffer.from(text)), ...octets] };
}

/** The numbers of a private key; the rest of its DER is its public key and its frame. */
function keySecret(name: string, pem: string | Buffer, passphrase?: string): KnownSecret {
  const key = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  const jwk = key.export({ format: 'jwk' });
  const numbers = [jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].filter((part) => part !== undefined);
  if (numbers.length === 0) throw new Error(`${name} has no private number`);
  return { name, needles: numbers.flatMap((part) => needlesOf(Buffer.from(part, 'base64url'))) };
}

/** The numbers in the operator key's secret packets; `password` opens them if they have one. */
export async function operatorSecret(armored: string, password?: string): Promise<KnownSecret> {
  const read = await openpgp.readPrivateKey({ armoredKey: armored });
  const key = password === undefined ? read : await openpgp.decryptKey({ privateKey: read, passphrase: password });
  const packets = [key, ...key.subkeys].map(({ keyPacket }) => keyPacket as { readonly privateParams?: object });
  const numbers = packets.flatMap(({ privateParams = {} }) =>
    Object.values(privateParams).filter((value): value is Uint8Array => value instanceof Uint8Array),
  );
  if (numbers.length < 2) throw new Error('the operator key has no private numbers');
  return { name: 'operator key', needles: numbers.flatMap((part) => needlesOf(Buffer.from(part))) };
}

/** Every file below, links not followed. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) return filesBelow(path);
    return stats?.isFile() === true ? [path] : [];
  });
}

/** A private key below certs/: a host's, or the CA's, which one of the passphrases opens. */
export function keySecretOf(path: string, passphrases: readonly string[]): KnownSecret {
  const pem = readFileSync(path);
  if (pem.includes('ENCRYPTED')) return caSecret(pem, passphrases);
  // FQDN; FQDN.new during a rekey; FQDN-SERIAL once it is revoked.
  return keySecret(`key of ${basename(path, '.key.pem').replace(/\.new$|-[0-9a-f]{32,40}$/u, '')}`, pem);
}

function caSecret(pem: Buffer, passphrases: readonly string[]): KnownSecret {
  for (const passphrase of passphrases) {
    try {
      return keySecret('CA key', pem, passphrase);
    } catch {
      // Under another one of them.
    }
  }
  throw new Error("no known passphrase opens the CA's key");
}
