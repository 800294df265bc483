// Mutations that know a format, so that their results get past the first check: DER trees whose lengths are right
// again, PEM around them, OpenPGP packets, JSON values with one place changed.

import { sign, type KeyObject } from 'node:crypto';
import { mutateBytes, type Random } from './fuzz-random.js';

interface Node {
  tag: number;
  content: Buffer | Node[];
}

/** A forgiving reader: what is not DER inside becomes bytes. */
function readTree(bytes: Buffer, depth = 0): Node[] | undefined {
  const nodes: Node[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    let length = bytes[at + 1];
    if (length === undefined || (tag & 0x1f) === 0x1f) return undefined;
    at += 2;
    if (length >= 0x80) {
      const octets = length - 0x80;
      if (octets === 0 || octets > 4 || at + octets > bytes.length) return undefined;
      length = bytes.readUIntBE(at, octets);
      at += octets;
    }
    if (at + length > bytes.length) return undefined;
    const content = bytes.subarray(at, at + length);
    // An extension's OCTET STRING and a key's BIT STRING contain DER too.
    const inner = tag === 0x04 || (tag & 0x20) !== 0 ? content : Buffer.alloc(0);
    const children = inner.length > 0 && depth < 20 ? readTree(inner, depth + 1) : undefined;
    nodes.push({ tag, content: children ?? content });
    at += length;
  }
  return nodes;
}

/** DER with the contents of the OCTET STRING after this OBJECT IDENTIFIER (its DER in hex) replaced. */
export function replaceExtension(der: Buffer, oid: string, contents: Buffer): Buffer {
  const tree = readTree(der) ?? [];
  const lists = allNodes(tree).flatMap(({ content }) => (Array.isArray(content) ? [content] : []));
  const list = lists.find(([first]) => first !== undefined && writeNode(first).toString('hex') === oid);
  const value = list?.at(-1);
  if (value === undefined) throw new TypeError(`no ${oid} there`);
  value.content = contents;
  return Buffer.concat(tree.map(writeNode));
}

export function writeNode({ tag, content }: Node): Buffer {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.concat(content.map(writeNode));
  const hex = bytes.length.toString(16);
  const octets = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  const header = bytes.length < 0x80 ? [bytes.length] : [0x80 + octets.length, ...octets];
  return Buffer.concat([Buffer.from([tag, ...header]), bytes]);
}

function allNodes(nodes: Node[]): Node[] {
  return nodes.flatMap((node) => [node, ...(Buffer.isBuffer(node.content) ? [] : allNodes(node.content))]);
}

const tags = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80, 0x82, 0xa0, 0xa3,
];

/** DER with one to three nodes changed and every length right; sometimes one length is made wrong. */
export function mutateDer(der: Buffer, random: Random, others: readonly Buffer[], words: readonly string[]): Buffer {
  const tree = readTree(der);
  if (tree === undefined || random.chance(0.2)) return mutateBytes(der, random, others, words);
  for (let rounds = 1 + random.length(3); rounds > 0; rounds -= 1) {
    const nodes = allNodes(tree);
    if (nodes.length === 0) break;
    changeNode(random.pick(nodes), nodes, random, words);
  }
  const written = Buffer.concat(tree.map(writeNode));
  return random.chance(0.2) ? breakLength(written, random) : written;
}

function changeNode(node: Node, all: readonly Node[], random: Random, words: readonly string[]): void {
  const { content } = node;
  const choice = random.below(6);
  if (choice === 0) node.tag = random.pick(tags);
  else if (Buffer.isBuffer(content)) {
    if (choice === 1) node.content = random.bytes(random.length(64));
    else if (choice === 2) node.content = Buffer.from(random.pick(words));
    else if (choice === 3) node.content = Buffer.concat([content, content]);
    else node.content = content.length === 0 ? random.bytes(4) : mutateBytes(content, random, [content], words);
  } else if (choice === 1) content.splice(random.below(content.length + 1), 1);
  else if (choice === 2 && content.length > 0) content.push(random.pick(content));
  else if (choice === 3) content.reverse();
  else if (choice === 4 && content.length < 200) {
    const copied = structuredClone(random.pick(all));
    content.splice(random.below(content.length + 1), 0, asBuffers(copied));
  } else node.content = [];
}

/** structuredClone turns Buffers' bytes into plain arrays. */
function asBuffers({ tag, content }: Node): Node {
  return { tag, content: Array.isArray(content) ? content.map(asBuffers) : Buffer.from(content) };
}

const lengths = [
  [0x00],
  [0x7f],
  [0x80],
  [0x81, 0xff],
  [0x82, 0xff, 0xff],
  [0x84, 0x7f, 0xff, 0xff, 0xff],
  [0x84, 0xff, 0xff, 0xff, 0xff],
  [0x88],
  [0xff],
];

/** Puts a wrong length behind one octet that may be a tag. */
function breakLength(der: Buffer, random: Random): Buffer {
  const at = Array.from({ length: 20 }, () => random.below(der.length)).find((each) => tags.includes(der[each] ?? 0));
  if (at === undefined) return der;
  return Buffer.concat([der.subarray(0, at + 1), Buffer.from(random.pick(lengths)), der.subarray(at + 2)]);
}

/** A request with its first part changed, signed again by its own (Ed25519) key: the signature holds. */
export function mutateRequest(der: Buffer, key: KeyObject, random: Random, words: readonly string[]): Buffer {
  const [request] = readTree(der) ?? [];
  const [info] = Array.isArray(request?.content) ? request.content : [];
  if (request === undefined || info === undefined) return der;
  const spki = Array.isArray(info.content) ? info.content[2] : undefined;
  const nodes = allNodes([info]).filter((node) => node !== info && node !== spki);
  for (let rounds = 1 + random.length(3); rounds > 0; rounds -= 1) changeNode(random.pick(nodes), nodes, random, words);
  return signRequest(writeNode(request), key);
}

/** The request with a signature of this Ed25519 key. */
export function signRequest(der: Buffer, key: KeyObject): Buffer {
  const [request] = readTree(der) ?? [];
  const [info, , signature] = Array.isArray(request?.content) ? request.content : [];
  if (request === undefined || info === undefined || signature === undefined) return der;
  signature.content = Buffer.concat([Buffer.of(0), sign(null, writeNode(info), key)]);
  return writeNode(request);
}

/** PEM text; the label, the line ends and the base64 are sometimes unusual. */
export function writeOddPem(label: string, der: Buffer, random: Random): Buffer {
  const end = random.pick(['\n', '\n', '\n', '\r\n', '\r', '']);
  const lines = der.toString('base64').match(random.chance(0.2) ? /.{1,7}/gu : /.{1,64}/gu) ?? [];
  const oddLabel = random.chance(0.1)
    ? random.pick(['', ' ', `${label} `, label.toLowerCase(), 'A'.repeat(5000), 'X\nY', '\u001b[2J'])
    : label;
  const around = random.chance(0.1)
    ? random.pick(['subject=CN = x\n', '\ufeff', '\0', '-----BEGIN ', 'text: text\n'])
    : '';
  const inside = random.chance(0.1) ? random.pick([`Proc-Type: 4,ENCRYPTED${end}`, '====', '\u00a0', '*', '-']) : '';
  const endLabel = random.chance(0.05) ? 'OTHER' : oddLabel;
  return Buffer.from(
    `${around}-----BEGIN ${oddLabel}-----${end}${inside}${lines.join(end)}${end}-----END ${endLabel}-----${end}`,
    'latin1',
  );
}

/** The blocks of a PEM text; none if it is DER. */
export function readPem(bytes: Buffer): readonly { readonly label: string; readonly der: Buffer }[] {
  return [...bytes.toString('latin1').matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END/gu)].map(
    ([, label = '', body = '']) => ({
      label,
      der: Buffer.from(body, 'base64'),
    }),
  );
}

interface Packet {
  header: number;
  body: Buffer;
}

/** The outermost packets; one with an incomplete length (gpg streams some) takes the rest. */
function splitPackets(bytes: Buffer): Packet[] {
  const packets: Packet[] = [];
  for (let at = 0; at + 1 < bytes.length;) {
    const header = bytes[at] ?? 0;
    const isNew = (header & 0x40) !== 0;
    const tag = isNew ? header & 0x3f : (header >> 2) & 0x0f;
    const [octets, length] = isNew ? newLength(bytes, at + 1) : oldLength(bytes, at + 1, header & 3);
    packets.push({ header: 0xc0 | tag, body: bytes.subarray(at + 1 + octets, at + 1 + octets + length) });
    at += 1 + octets + length;
  }
  return packets;
}

type Length = readonly [octets: number, length: number];

function oldLength(bytes: Buffer, at: number, type: number): Length {
  const octets = 1 << type;
  return type === 3 || at + octets > bytes.length ? [0, bytes.length] : [octets, bytes.readUIntBE(at, octets)];
}

function newLength(bytes: Buffer, at: number): Length {
  const first = bytes[at] ?? 0;
  if (first < 192) return [1, first];
  if (first < 224) return [2, ((first - 192) << 8) + (bytes[at + 1] ?? 0) + 192];
  return first === 255 && at + 5 <= bytes.length ? [5, bytes.readUInt32BE(at + 1)] : [1, bytes.length];
}

export function writePacket({ header, body }: Packet): Buffer {
  const length = body.length < 192 ? Buffer.of(body.length) : Buffer.alloc(5, 0xff);
  if (length.length === 5) length.writeUInt32BE(body.length, 1);
  return Buffer.concat([Buffer.of(header), length, body]);
}

/** OpenPGP packets with one to three of them changed, dropped, doubled or moved; the lengths are mostly right. */
export function mutatePackets(
  binary: Buffer,
  random: Random,
  others: readonly Buffer[],
  words: readonly string[],
): Buffer {
  if (random.chance(0.25)) return mutateBytes(binary, random, others, words);
  const packets = splitPackets(binary);
  const strangers = splitPackets(random.pick(others));
  for (let rounds = 1 + random.length(3); rounds > 0 && packets.length > 0; rounds -= 1) {
    const at = random.below(packets.length);
    const packet = packets[at];
    if (packet === undefined) continue;
    const choice = random.below(7);
    if (choice === 0) packets.splice(at, 1);
    else if (choice === 1) packets.splice(random.below(packets.length), 0, packet);
    else if (choice === 2) packets.splice(at, 1, random.pick(strangers));
    else if (choice === 3) packets[at] = { ...packet, header: 0xc0 | random.below(64) };
    else if (choice === 4) packets.reverse();
    else if (packet.body.length > 0)
      packets[at] = { ...packet, body: mutateBytes(packet.body, random, [packet.body], words) };
  }
  const written = Buffer.concat(packets.map(writePacket));
  if (written.length < 2 || random.chance(0.8)) return written;
  written[1] = random.pick([0, 191, 192, 223, 224, 230, 254, 255]);
  return written;
}

/** ASCII armor, sometimes unusual. */
export function writeOddArmor(type: string, bytes: Buffer, random: Random): Buffer {
  const end = random.pick(['\n', '\n', '\r\n']);
  const lines = bytes.toString('base64').match(/.{1,64}/gu) ?? [];
  const headers = random.pick(['', '', `Comment: x${end}`, `Comment: ${'x'.repeat(3000)}${end}`, `: ${end}`, 'Hash']);
  const checksum = random.pick(['', '', `=AAAA${end}`, `=${end}`]);
  const last = random.chance(0.05) ? '' : `-----END PGP ${random.chance(0.05) ? 'OTHER' : type}-----${end}`;
  return Buffer.from(
    `-----BEGIN PGP ${type}-----${end}${headers}${end}${lines.join(end)}${end}${checksum}${last}`,
    'latin1',
  );
}

const oddTexts = [
  '',
  ' ',
  '\0',
  '\u001b[31m',
  '\u202e',
  '\ud800',
  '\u{1f4a9}',
  '__proto__',
  'constructor',
  'toString',
  '$(id)',
  '../..',
  'a'.repeat(70),
  'xn--a',
  '\u00fc',
  '"',
  '\\',
  "'",
  '-',
  '.',
  '*',
  '\n',
  '\u2028',
  '\ufeff',
  '0',
  '1e999',
];

/** JSON text of any shape: sometimes deep, with duplicate keys and numbers that are not doubles. */
export function makeJson(random: Random, depth = 0): string {
  const choice = random.below(depth > 6 ? 6 : 9);
  if (choice === 0)
    return random.pick(['null', 'true', 'false', 'nul', 'NaN', 'undefined', '-', '01', '1.', '.5', '+1', "'x'"]);
  if (choice === 1)
    return random.pick(['0', '-0', '1e999', '9'.repeat(400), '1E-400', String(random.below(70_000)), '0.1', '2500']);
  if (choice < 6) return JSON.stringify(random.pick(oddTexts));
  const items = Array.from({ length: random.length(6) }, () => makeJson(random, depth + 1));
  if (choice === 6) return `[${items.join(random.chance(0.05) ? ',,' : ', ')}]`;
  if (choice === 7) return '['.repeat(random.length(60)) + items.join(',') + ']'.repeat(random.length(60));
  return `{${items.map((item) => `${JSON.stringify(random.pick(oddTexts))}: ${item}`).join(',')}}`;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A JSON text with one or two of its places changed: another value, another key, a key removed, an item repeated. */
export function mutateJson(text: string, random: Random): string {
  const value: Json = JSON.parse(text) as Json;
  let raw = '';
  for (let rounds = 1 + random.below(2); rounds > 0; rounds -= 1) {
    const places = placesOf(value);
    if (places.length === 0) break;
    const { parent, key } = random.pick(places);
    const odd = random.pick<Json>([
      ...oddTexts,
      null,
      true,
      -1,
      0,
      25,
      65_536,
      1e300,
      0.5,
      [],
      {},
      [[]],
      { hostname: 'x' },
    ]);
    const choice = random.below(4);
    if (Array.isArray(parent)) {
      if (choice === 0) parent.splice(Number(key), 1);
      else if (choice === 1) parent.push(parent[Number(key)] ?? null);
      else parent[Number(key)] = odd;
    } else if (choice === 0) Reflect.deleteProperty(parent, key);
    else if (choice === 1)
      Object.defineProperty(parent, random.pick(oddTexts), {
        value: odd,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    else if (choice === 2)
      Object.defineProperty(parent, key, { value: odd, enumerable: true, configurable: true, writable: true });
    else raw = JSON.stringify(key);
  }
  const written = JSON.stringify(value, undefined, random.below(3));
  return raw === '' ? written : written.replace('{', `{${raw}:1,`);
}

function placesOf(value: Json): { readonly parent: Json[] | { [key: string]: Json }; readonly key: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value).flatMap((key) => [
    { parent: value, key },
    ...placesOf((value as { [key: string]: Json })[key] ?? null),
  ]);
}
