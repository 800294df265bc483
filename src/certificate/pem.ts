// The textual encoding of RFC 7468: blocks between -----BEGIN and -----END lines. Text around the blocks is skipped, as
// OpenSSL does. Callers decide what a label means.

import { RelaycertsError, quote } from '../errors.js';
import { derTags } from './der.js';

/** Far more octets than any certificate, key or chain that Postfix reads. */
const maxInputOctets = 1024 * 1024;

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`... */
  readonly label: string;
  readonly der: Buffer;
  /** It has RFC 1421 headers (`Proc-Type: 4,ENCRYPTED`); `der` is then empty. */
  readonly hasHeaders: boolean;
}

const blockStart = '-----BEGIN ';
const dashes = '-----';

/** A certificate, key or request from outside that cannot be used. `cause` must not quote a private key. */
export function inputError(message: string, hint = 'copy the whole file again', cause?: unknown): RelaycertsError {
  return new RelaycertsError('certificate', message, { hint, cause });
}

/** The input as bytes, at most 1 MiB. @throws RelaycertsError `certificate` */
export function boundInput(input: Uint8Array | string, from: string): Buffer {
  const bytes = typeof input === 'string' ? Buffer.from(input, 'utf8') : Buffer.from(input);
  if (bytes.length > maxInputOctets) {
    const hint = 'give a file that holds certificates or keys and nothing else';
    throw inputError(`${from} has ${bytes.length} octets, more than ${maxInputOctets}`, hint);
  }
  return bytes;
}

/** True if the bytes contain a PEM block. */
export function looksLikePem(bytes: Buffer): boolean {
  return bytes.includes(blockStart);
}

/**
 * All blocks, in the file's order. `from` names the input in errors.
 * @throws RelaycertsError `certificate` if a block does not end or is not base64
 * @source RFC 7468 2
 */
export function readPemBlocks(bytes: Buffer, from: string): readonly PemBlock[] {
  const text = bytes.toString('latin1');
  const blocks: PemBlock[] = [];
  for (let at = text.indexOf(blockStart); at !== -1; at = text.indexOf(blockStart, at)) {
    const labelEnd = text.indexOf(dashes, at + blockStart.length);
    const label = text.slice(at + blockStart.length, labelEnd === -1 ? at + blockStart.length : labelEnd);
    const end = `${dashes}END ${label}${dashes}`;
    const bodyEnd = label === '' || label.includes('\n') ? -1 : text.indexOf(end, labelEnd);
    if (bodyEnd === -1) throw inputError(`${from} holds a PEM block that does not end`);
    const body = text.slice(labelEnd + dashes.length, bodyEnd);
    const hasHeaders = body.includes(':');
    const base64 = body.replaceAll(/\s/gu, '');
    if (!hasHeaders && !/^[A-Za-z0-9+/]+={0,2}$/u.test(base64)) {
      throw inputError(`${from} holds a PEM block ${quote(label)} that is not base64`);
    }
    blocks.push({ label, der: hasHeaders ? Buffer.alloc(0) : Buffer.from(base64, 'base64'), hasHeaders });
    at = bodyEnd + end.length;
  }
  return blocks;
}

/**
 * The DER of every PEM block with one of the labels or, if the input is not PEM, of a DER file; empty if it is neither.
 * `from` names the input in errors.
 * @throws RelaycertsError `certificate` if it is over 1 MiB or a PEM block is damaged
 */
export function readPemOrDer(input: Uint8Array | string, from: string, labels: readonly string[]): readonly Buffer[] {
  const bytes = boundInput(input, from);
  if (!looksLikePem(bytes)) return bytes[0] === derTags.sequence ? [bytes] : [];
  return readPemBlocks(bytes, from)
    .filter(({ label }) => labels.includes(label))
    .map(({ der }) => der);
}

/** The DER of a text that is exactly one block, as writePem writes it; undefined for anything else. */
export function readPlainPem(label: string, bytes: Buffer): Buffer | undefined {
  const text = bytes.toString('latin1');
  const [start, end] = [`${blockStart}${label}${dashes}\n`, `${dashes}END ${label}${dashes}\n`];
  if (!text.startsWith(start) || !text.endsWith(end)) return undefined;
  const base64 = text.slice(start.length, -end.length);
  // Not from Node's pool: a fleet's certificates would keep whole pool buffers alive.
  const space = Buffer.allocUnsafeSlow(Math.ceil((base64.length * 3) / 4));
  const der = space.subarray(0, space.write(base64, 'base64'));
  return writePem(label, der) === text ? der : undefined;
}

/** One block: 64 characters per line, a newline at the end. */
export function writePem(label: string, der: Uint8Array): string {
  const base64 = (Buffer.isBuffer(der) ? der : Buffer.from(der)).toString('base64');
  let text = `${blockStart}${label}${dashes}\n`;
  for (let at = 0; at < base64.length; at += 64) text += `${base64.slice(at, at + 64)}\n`;
  return `${text}${base64 === '' ? '\n' : ''}${dashes}END ${label}${dashes}\n`;
}
