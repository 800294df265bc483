// The proof of the transaction is worth something: it fails for each of many deliberate faults, one missing sync or
// check at a time. The source is loaded with one text replaced; nothing is written to disk.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { scenarios } from '../support/sample-changes.js';
import { proveErrors } from '../support/transaction-errors.js';
import { mutants, type Mutant } from '../support/transaction-mutants.js';
import { newTally, proveCrashes, type Transaction } from '../support/transaction-proof.js';
import { proveEdits, proveReader } from '../support/transaction-readers.js';

const source = resolve(import.meta.dirname, '../../src/store/transaction.ts');
async function load({ find, replace }: Mutant): Promise<Transaction> {
  let count = 0;
  const { outputFiles } = await build({
    entryPoints: [source],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    plugins: [
      {
        name: 'mutant',
        setup: (loader) => {
          loader.onLoad({ filter: /\/src\/(?:store|sys)\// }, ({ path }) => {
            const text = readFileSync(path, 'utf8');
            count += text.split(find).length - 1;
            return { contents: text.replace(find, () => replace), loader: 'ts' };
          });
        },
      },
    ],
  });
  if (count !== 1) throw new Error(`${JSON.stringify(find)} is there ${count} times`);
  return (await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')}`
  )) as Transaction;
}

/** The first violation that any part of the proof finds for one kind of change. */
async function firstViolation(transaction: Transaction, kind: string): Promise<string | undefined> {
  const scenario = scenarios.find(({ name }) => name === kind);
  if (scenario === undefined) throw new Error(`there is no ${kind}`);
  const tally = newTally();
  for (const prove of [proveReader, proveErrors, proveEdits, proveCrashes]) {
    try {
      await prove(transaction, scenario, tally);
    } catch (error) {
      return String(error);
    }
    if (tally.violations[0] !== undefined) return tally.violations[0];
  }
  return undefined;
}

describe('the proof', () => {
  it.each(mutants)('fails with this fault: $name', async (fault) => {
    expect(await firstViolation(await load(fault), fault.shownBy)).toBeDefined();
  });
});
