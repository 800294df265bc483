#!/usr/bin/env node
// Names the Node version it needs on an older one; makes dist/ in a fresh checkout; loads it. It is CommonJS, which
// Node loads faster, and ES5, which every Node reads.
/* oxlint-disable no-var, prefer-template, prefer-destructuring */
'use strict';

var release = process.versions.node.split('.').map(Number);
if (release[0] < 20 || (release[0] === 20 && release[1] < 19)) {
  process.stderr.write('relaycerts: error: it needs Node 20.19 or newer, and this is ' + process.versions.node + '\n');
  process.exitCode = 1;
} else if (build()) {
  require('./load.js').load(__dirname + '/../dist');
}

/** True once there is a dist/. */
function build() {
  var fs = require('node:fs');
  if (fs.existsSync(__dirname + '/../dist/parts.json')) return true;
  var output = { cwd: __dirname + '/..', stdio: ['ignore', 'ignore', 'inherit'] };
  if (require('node:child_process').spawnSync(process.execPath, ['scripts/build.mjs'], output).status === 0)
    return true;
  process.stderr.write('relaycerts: error: this checkout cannot be built\nrelaycerts: hint: npm ci\n');
  process.exitCode = 1;
  return false;
}
