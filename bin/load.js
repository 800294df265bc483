// Loads the bundle in dist/, each file of it when something in it is first needed, with what V8 compiled of it in an
// earlier run: compiling takes a third of a short command's time.
//
// What V8 compiled is code. So it is kept in a cache folder of the user's own, and used only if that belongs to who runs
// this and nobody else can get in. Its name has the bundle's digest in it, because V8 compares no more than the source's
// length. Where it cannot be read or written it is compiled again, which is no error; NODE_DISABLE_COMPILE_CACHE=1, as
// for Node's own cache, does without.
'use strict';

const fs = require('node:fs');
const { isAbsolute, join } = require('node:path');
const { Script } = require('node:vm');

const dayMs = 86_400_000;
/** What another version left is removed by then. */
const keptMs = 30 * dayMs;

/** Runs the part `main` of the bundle in this folder. @throws ENOENT if there is no bundle */
exports.load = (dist) => {
  // `files` are by part, and a file holds several.
  const { id, files } = JSON.parse(fs.readFileSync(join(dist, 'parts.json'), 'utf8'));
  const cache = findCache(id);
  const modules = new Map();
  const definitions = new Map();
  const scripts = new Map();
  let isStale = false;

  /** Runs a file of the bundle, and so defines the parts in it. `part` is the one that is needed. */
  const runFile = (file, part) => {
    const filename = join(dist, file);
    // Commands share files, and what is compiled is what they use.
    const name = `${file}-${part}`;
    const cachedData = cache?.read(name);
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
  // Only now is it known what each of them needed.
  if (cache !== undefined) {
    process.on('exit', () => {
      if (isStale) cache.write(scripts);
    });
  }
  requirePart('./main.js');
};

/** The cache of this bundle for this Node; undefined if there is no folder for it that is surely the user's own. */
function findCache(id) {
  const { env, geteuid, arch, versions } = process;
  const base = isAbsolute(env.XDG_CACHE_HOME ?? '') ? env.XDG_CACHE_HOME : env.HOME && join(env.HOME, '.cache');
  if (env.NODE_DISABLE_COMPILE_CACHE === '1' || geteuid === undefined || !isAbsolute(base ?? '')) return undefined;
  const uid = geteuid();
  const folder = join(base, 'relaycerts');
  const prefix = `${id}-${arch}-${versions.v8}-`;
  const isOwn = (stats) => stats?.uid === uid && (stats.mode & 0o077) === 0;
  const at = (path) => fs.lstatSync(path, { throwIfNoEntry: false });

  const read = (name) => {
    const file = fs.openSync(join(folder, prefix + name), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    try {
      const stats = fs.fstatSync(file);
      const bytes = Buffer.allocUnsafeSlow(stats.size);
      const isWhole = isOwn(stats) && stats.isFile() && fs.readSync(file, bytes) === stats.size;
      // V8 believes whatever follows its header.
      return isWhole && bytes.readUInt32LE(0) === stats.size ? bytes.subarray(4) : undefined;
    } finally {
      fs.closeSync(file);
    }
  };
  const write = (name, script) => {
    const path = join(folder, prefix + name);
    const fresh = `${path}.${process.pid}`;
    const file = fs.openSync(fresh, 'wx', 0o600);
    try {
      const data = script.createCachedData();
      const size = Buffer.alloc(4);
      size.writeUInt32LE(data.length + size.length);
      fs.writevSync(file, [size, data]);
      // Else a power failure could leave a file of the right length with zeros in it.
      fs.fsyncSync(file);
      fs.renameSync(fresh, path);
    } catch (error) {
      fs.unlinkSync(fresh);
      throw error;
    } finally {
      fs.closeSync(file);
    }
  };
  const prepare = () => {
    // Of another user (sudo), nothing is made in it.
    const home = env.HOME && fs.statSync(env.HOME);
    if (home?.uid === uid) fs.mkdirSync(base, { recursive: true, mode: 0o700 });
    if (fs.statSync(base).uid !== uid) return false;
    if (at(folder) === undefined) fs.mkdirSync(folder, { mode: 0o700 });
    return isOwn(at(folder));
  };
  const removeOld = () => {
    for (const name of fs.readdirSync(folder).filter((entry) => !entry.startsWith(id))) {
      const path = join(folder, name);
      if (Date.now() - (at(path)?.mtimeMs ?? 0) > keptMs) fs.unlinkSync(path);
    }
  };
  const orNothing = (work) => {
    try {
      return work();
    } catch {
      return undefined;
    }
  };
  const isReadable = orNothing(() => at(folder)?.isDirectory() && isOwn(at(folder)));
  return {
    read: (name) => (isReadable ? orNothing(() => read(name)) : undefined),
    write: (scripts) =>
      orNothing(() => {
        if (!prepare()) return;
        for (const [name, script] of scripts) write(name, script);
        removeOld();
      }),
  };
}
