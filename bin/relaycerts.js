#!/usr/bin/env node
// Says what Node it needs on an older one, in syntax that an older one reads; makes dist/ in a fresh checkout; loads it.

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    'relaycerts: error: relaycerts needs Node 20.19 or newer, and this is ' + process.versions.node + '\n',
  );
  process.exitCode = 1;
} else {
  await start();
}

async function start() {
  const { existsSync } = await import('node:fs');
  const { fileURLToPath } = await import('node:url');
  const root = fileURLToPath(new URL('..', import.meta.url));
  if (!existsSync(`${root}dist/main.js`)) {
    const { spawnSync } = await import('node:child_process');
    const output = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] };
    if (spawnSync(process.execPath, ['scripts/build.mjs'], output).status !== 0) {
      process.stderr.write('relaycerts: error: this checkout cannot be built\nrelaycerts: hint: npm ci\n');
      process.exitCode = 1;
      return;
    }
  }
  await import('../dist/main.js');
}
