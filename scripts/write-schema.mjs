// Writes settings.schema.json from the schema in src/settings. With --check it writes nothing and fails if the file on
// disk differs.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { format, resolveConfig } from 'prettier';

const target = fileURLToPath(new URL('../settings.schema.json', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'relaycerts-schema-'));
try {
  const outfile = join(folder, 'schema.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('../src/settings/schema.ts', import.meta.url))],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  });
  const { settingsJsonSchema } = await import(pathToFileURL(outfile).href);
  const text = await format(JSON.stringify(settingsJsonSchema()), {
    ...(await resolveConfig(target)),
    filepath: target,
  });
  if (!process.argv.includes('--check')) {
    await writeFile(target, text);
  } else if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
    console.error('settings.schema.json is not what src/settings says: run node scripts/write-schema.mjs');
    process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true });
}
