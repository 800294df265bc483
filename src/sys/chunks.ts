// A file's octets in pieces: plain or gzip, once or for as long as the file grows. `followChunks` works like `tail -F`:
// a rotated file is read to its end and then the new one, and a truncated file is read from its start.

import { open, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RelaycertsError, systemCode } from '../errors.js';
import { fileError } from './file-error.js';

export type Chunks = AsyncIterable<Buffer>;

const chunkOctets = 1 << 18;
/** How often a file is checked for growth at its end, in milliseconds. */
const pauseMs = 200;

/**
 * A file's octets, to its end. While one piece is processed, the next is read; the one after it overwrites the piece.
 */
export async function* readChunks(path: string): AsyncGenerator<Buffer> {
  const file = await openFile(path);
  const [one, other] = [Buffer.allocUnsafe(chunkOctets), Buffer.allocUnsafe(chunkOctets)];
  let buffers = [one, other] as const;
  let reading = file.read(one);
  try {
    for (;;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      const [piece, next] = buffers;
      reading = file.read(next);
      buffers = [next, piece];
      yield piece.subarray(0, bytesRead);
    }
  } catch (error) {
    throw fileError(error, 'read', path);
  } finally {
    await reading.catch(() => undefined);
    await file.close();
  }
}

/** How files begin that are not unpacked here, and by which program each is. */
const packers = [
  ['xz', '\u00FD7zXZ\0'],
  ['zstd', '(\u00B5/\u00FD'],
  ['bzip2', 'BZh'],
] as const;

/**
 * gzip is unpacked, whatever the file's name; anything else is unchanged.
 * @throws files - damaged gzip, or packed by another program
 */
export async function* unpacked(chunks: Chunks, name: string): AsyncGenerator<Buffer> {
  const source = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < 6) {
    const piece = await source.next();
    if (piece.done === true) break;
    head = Buffer.concat([head, piece.value]);
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    for await (const chunk of { [Symbol.asyncIterator]: () => source }) yield Buffer.from(chunk);
  };
  const packer = packers.find(([, begin]) => head.toString('latin1').startsWith(begin))?.[0];
  if (packer !== undefined) {
    throw new RelaycertsError('files', `${name} is packed with ${packer}`, {
      hint: { run: ['explain', '-'], before: `${packer} -dc FILE |` },
    });
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    if (head.length > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => source };
    return;
  }
  const [{ createGunzip }, { Readable }] = await Promise.all([import('node:zlib'), import('node:stream')]);
  const packed = Readable.from(all(), { objectMode: false });
  const gunzip = createGunzip({ chunkSize: chunkOctets });
  packed.on('error', (error) => gunzip.destroy(error));
  try {
    const output: Chunks = packed.pipe(gunzip);
    yield* output;
  } catch (error) {
    if (error instanceof RelaycertsError) throw error;
    throw new RelaycertsError('files', `${name} is not a whole gzip file`, {
      hint: 'gzip -t shows where it is damaged',
      cause: error,
    });
  }
}

/** A file's octets as it grows, until `stop`. @throws files - it is not there at the start, or cannot be read */
export async function* followChunks(path: string, stop: AbortSignal): AsyncGenerator<Buffer> {
  let file = await openFile(path);
  try {
    let position = 0;
    while (!stop.aborted) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkOctets), 0, chunkOctets, position);
      if (bytesRead > 0) {
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
        continue;
      }
      const [own, there] = await Promise.all([file.stat(), stat(path).catch(orMissing)]);
      // A folder or a pipe in its place is no log.
      if (there?.isFile() === true && (there.ino !== own.ino || there.dev !== own.dev)) {
        // What was still written to the old file is read first.
        if (own.size > position) continue;
        await file.close();
        file = await openFile(path);
        position = 0;
      } else if (own.size < position) {
        position = 0;
      } else {
        await sleep(pauseMs, undefined, { signal: stop }).catch(() => undefined);
      }
    }
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}

function orMissing(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}

/** The same until `stop`, which does not wait for the next piece. */
export async function* untilStopped(chunks: Chunks, stop: AbortSignal): AsyncGenerator<Buffer> {
  const source = chunks[Symbol.asyncIterator]();
  const stopped = new Promise<undefined>((fulfil) => {
    stop.addEventListener('abort', () => fulfil(undefined), { once: true });
  });
  while (!stop.aborted) {
    const piece = await Promise.race([source.next(), stopped]);
    if (piece === undefined || piece.done === true) break;
    yield piece.value;
  }
}
