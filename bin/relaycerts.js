#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// The package brings dist/; a fresh checkout has to make it once.
const root = fileURLToPath(new URL('..', import.meta.url));
let status = 0;
if (!existsSync(`${root}dist/main.js`)) {
  const { spawnSync } = await import('node:child_process');
  const output = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] };
  status = spawnSync(process.execPath, ['scripts/build.mjs'], output).status ?? 1;
}
if (status === 0) {
  await import('../dist/main.js');
} else {
  process.stderr.write('relaycerts: error: this checkout cannot be built\nrelaycerts: hint: npm ci && npm run build\n');
  process.exitCode = 1;
}
