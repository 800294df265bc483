#!/usr/bin/env node
import('../dist/main.js').catch((error) => {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write('relaycerts: error: this checkout is not built yet\nrelaycerts: hint: npm run build\n');
  process.exitCode = 1;
});
