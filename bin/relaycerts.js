#!/usr/bin/env node
// Says what Node it needs on an older one, in syntax that an older one reads; makes dist/ in a fresh checkout; loads it.
// It is CommonJS, which Node loads sooner.
'use strict';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    'relaycerts: error: relaycerts needs Node 20.19 or newer, and this is ' + process.versions.node + '\n',
  );
  process.exitCode = 1;
} else if (build()) {
  require('./load.js').load(`${__dirname}/../dist`);
}

/** True once there is a dist/. */
function build() {
  const { existsSync } = require('node:fs');
  if (existsSync(`${__dirname}/../dist/parts.json`)) return true;
  const { spawnSync } = require('node:child_process');
  const output = { cwd: `${__dirname}/..`, stdio: ['ignore', 'ignore', 'inherit'] };
  if (spawnSync(process.execPath, ['scripts/build.mjs'], output).status === 0) return true;
  process.stderr.write('relaycerts: error: this checkout cannot be built\nrelaycerts: hint: npm ci\n');
  process.exitCode = 1;
  return false;
}
