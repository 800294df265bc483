// Loads the bundle in dist/, each file of it when something in it is first needed, with V8's compiled code from an
// earlier run: compiling takes a third of a short command's time.
//
// V8's compiled code is code. So it is kept in the user's own cache folder, and used only if that folder belongs to the
// current user and nobody else can get in. Its name contains the bundle's digest, because V8 compares only the source's
// length. If it cannot be read or written, the source is compiled again without an error; NODE_DISABLE_COMPILE_CACHE=1
// turns it off, as it does Node's own cache.
'use strict';

const fs = require('node:fs');
const { isAbsolute, join } = require('node:path');
const { Script } = require('node:vm');

/** Milliseconds; after this, files of other versions are removed. */
const keptTime = 30 * 86_400_000;
/** Octets; the length of the whole file, which V8 does not check. */
const headerSize = 4;

/** Runs the part `main` of the bundle in this folder. @throws ENOENT if there is no bundle */
exports.load = (dist) => {
  // `files` by part; one file holds several parts.
  const { id, files } = JSON.parse(fs.readFileSync(join(dist, 'parts.json'), 'utf8'));
  const cache = findCache(id);
  const modules = new Map();
  const definitions = new Map();
  const scripts = new Map();
  let isStale = false;

  /** Runs a file of the bundle, which defines the parts in it. `part` is the one needed now. */
  const runFile = (file, part) => {
    const filename = join(dist, file);
    // Commands share files; only what they use is compiled.
    const name = `${file}-${part}`;
    const cachedData = cache && orNothing(() => readCompiled(cache, name));
    const script = new Script(fs.readFileSync(filename, 'latin1'), { filename, cachedData });
    scripts.set(name, script);
    isStale ||= cachedData === undefined || script.cachedDataRejected === true;
    for (const [key, define] of Object.entries(script.runInThisContext())) definitions.set(key, define);
  };
  const requirePart = (name) => {
    const file = files[name];
    if (file === undefined) return require(name);
    const known = modules.get(name);
    if (known !== undefined) return known.exports;
    if (!definitions.has(name)) runFile(file, name.slice('./'.length));
    const module = { exports: {} };
    modules.set(name, module);
    definitions.get(name)(module, module.exports, requirePart, __filename);
    return module.exports;
  };
  // Only at the end is it known what was used of each file.
  process.on('exit', () => {
    if (cache !== undefined && isStale) orNothing(() => writeAll(cache, scripts));
  });
  requirePart('./main.js');
};

/** Where the cache of this bundle for this Node is, or would be; undefined if its owner cannot be determined. */
function findCache(id) {
  const { env, geteuid, arch, versions } = process;
  const base = isAbsolute(env.XDG_CACHE_HOME ?? '') ? env.XDG_CACHE_HOME : env.HOME && join(env.HOME, '.cache');
  if (env.NODE_DISABLE_COMPILE_CACHE === '1' || geteuid === undefined || !isAbsolute(base ?? '')) return undefined;
  const folder = join(base, 'relaycerts');
  const pathOf = (name) => join(folder, `${id}-${arch}-${versions.v8}-${name}`);
  return { id, base, folder, pathOf, uid: geteuid() };
}

/** Undefined if it is incomplete or somebody else could have written it. @throws Node's system error */
function readCompiled({ folder, pathOf, uid }, name) {
  if (!isOwn(fs.lstatSync(folder), uid)) return undefined;
  const file = fs.openSync(pathOf(name), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  try {
    const stats = fs.fstatSync(file);
    if (!stats.isFile() || !isOwn(stats, uid) || stats.size <= headerSize) return undefined;
    const bytes = Buffer.allocUnsafeSlow(stats.size);
    const isWhole = fs.readSync(file, bytes) === stats.size && bytes.readUInt32LE(0) === stats.size;
    return isWhole ? bytes.subarray(headerSize) : undefined;
  } finally {
    fs.closeSync(file);
  }
}

/** @throws Node's system error */
function writeAll(cache, scripts) {
  const { id, base, folder, pathOf, uid } = cache;
  // Nothing is created in another user's home (sudo).
  if (fs.statSync(process.env.HOME || base).uid === uid) fs.mkdirSync(base, { recursive: true, mode: 0o700 });
  if (fs.statSync(base).uid !== uid) return;
  orNothing(() => fs.mkdirSync(folder, { mode: 0o700 }));
  if (!isOwn(fs.lstatSync(folder), uid)) return;
  for (const [name, script] of scripts) writeCompiled(pathOf(name), script);
  for (const name of fs.readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(id) && Date.now() - fs.lstatSync(path).mtimeMs > keptTime) fs.unlinkSync(path);
  }
}

/** @throws Node's system error */
function writeCompiled(path, script) {
  const fresh = `${path}.${process.pid}`;
  const file = fs.openSync(fresh, 'wx', 0o600);
  try {
    const data = script.createCachedData();
    const header = Buffer.alloc(headerSize);
    header.writeUInt32LE(headerSize + data.length);
    fs.writevSync(file, [header, data]);
    // Otherwise a power failure could leave a file of the right length full of zeros.
    fs.fsyncSync(file);
    fs.renameSync(fresh, path);
  } catch (error) {
    fs.unlinkSync(fresh);
    throw error;
  } finally {
    fs.closeSync(file);
  }
}

function isOwn({ uid, mode }, user) {
  return uid === user && (mode & 0o077) === 0;
}

function orNothing(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}
