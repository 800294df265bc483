// Whose code runs, and how it gets here: the lockfile, the bundle, the page that lists the packages, and the query to
// the registry, sent to a test registry.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(resolve(root, path), 'utf8');

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly hasInstallScript?: true;
}

const locked = Object.entries(
  (JSON.parse(read('package-lock.json')) as { readonly packages: Record<string, LockedPackage> }).packages,
).filter(([path]) => path !== '');

/** The packages in the bundle, as its licence file names them. */
const bundled = [...read('dist/THIRD-PARTY-LICENSES.txt').matchAll(/^(@?[a-z0-9/._-]+) \d+\.\d+\.\d+$/gmu)].map(
  ([, name = '']) => name,
);

/** Those, and the packages embedded in them. */
const all = [
  ...bundled,
  ...[...read('dist/THIRD-PARTY-LICENSES.txt').matchAll(/^(@?[a-z0-9/._-]+), inside /gmu)].map(([, name = '']) => name),
];

/** `@inquirer/*` stands for all packages of that scope. */
function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

describe('the lockfile', () => {
  it('has the SHA-512 of every package', () => {
    expect(locked.length).toBeGreaterThan(50);
    for (const [path, { integrity }] of locked) expect(integrity, path).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/u);
  });

  it('only esbuild has an install script, and it works without', () => {
    const names = locked.filter(([, one]) => one.hasInstallScript === true).map(([path]) => path);
    expect(names.filter((path) => path !== 'node_modules/fsevents')).toEqual(['node_modules/esbuild']);
  });

  it('has every package of the bundle', () => {
    expect(bundled.length).toBeGreaterThan(10);
    const known = new Set(locked.map(([path]) => path));
    for (const name of bundled) expect(known.has(`node_modules/${name}`), name).toBe(true);
  });
});

describe('SECURITY.md', () => {
  it('lists exactly the packages of the bundle, embedded ones included', () => {
    const [, section = ''] = /## Packages\n([\s\S]*?)\n## /u.exec(read('SECURITY.md')) ?? [];
    const named = [...section.matchAll(/^\| ([^|]+) \|/gmu)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/gu)].map(([, name = '']) => name),
    );
    expect(all.filter((name) => !named.some((pattern) => matches(pattern, name)))).toEqual([]);
    expect(named.filter((pattern) => !all.some((name) => matches(pattern, name)))).toEqual([]);
  });
});

describe('npm run audit', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
  });

  /** A registry that answers with these advisories, by package; undefined: one that does not support the query. */
  async function audit(advisories: Readonly<Record<string, string>> | undefined): Promise<{
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
    readonly asked: string[];
  }> {
    const asked: string[] = [];
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (advisories === undefined || request.url !== '/-/npm/v1/security/advisories/bulk') {
          response.writeHead(405).end();
          return;
        }
        const body = Buffer.concat(chunks);
        const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
        asked.push(...Object.keys(JSON.parse(text.toString()) as object));
        const answer = Object.entries(advisories).map(([name, title], id) => [
          name,
          [
            {
              id,
              title,
              url: 'https://advisories.example/1',
              severity: 'high',
              vulnerable_versions: '*',
              cwe: [],
              cvss: { score: 0 },
            },
          ],
        ]);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(Object.fromEntries(answer)));
      });
    });
    await new Promise<void>((listening) => server?.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, ['scripts/audit.mjs'], {
      cwd: root,
      env: { ...process.env, npm_config_registry: `http://127.0.0.1:${port}/`, npm_config_fetch_retries: '0' },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const status = await new Promise<number | null>((ended) => child.on('close', ended));
    return { status, stdout, stderr, asked };
  }

  it('asks about every package of the bundle; exit 0 if none is vulnerable', async () => {
    const { status, stderr, asked } = await audit({});
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^audit: \d+ packages in the bundle, no known/mu)]);
    expect(bundled.filter((name) => !asked.includes(name))).toEqual([]);
  });

  it('ends with 1 and names what is vulnerable, if it is in the bundle', async () => {
    const { status, stdout } = await audit({ openpgp: 'a flaw', vitest: 'a flaw of a tool' });
    expect(status).toBe(1);
    expect(stdout).toBe('node_modules/openpgp  high  a flaw  https://advisories.example/1\n');
  });

  it('ends with 2 if the registry does not answer', async () => {
    const { status, stderr } = await audit(undefined);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/the registry does not answer npm audit: .*405/u)]);
  });
});
