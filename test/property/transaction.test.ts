// A change of each kind, and random ones, cut off at every step: the state is old or new. Prints on stderr how much was
// tried. RELAYCERTS_DEEP=1 tries more losses, and other random changes.

import { afterEach, describe, expect, it } from 'vitest';
import * as transaction from '../../src/store/transaction.js';
import * as fc from '../support/fast-check.js';
import { randomScenario } from '../support/random-change.js';
import { scenarios } from '../support/sample-changes.js';
import { proveErrors } from '../support/transaction-errors.js';
import { isDeep, newTally, proveCrashes, type Tally } from '../support/transaction-proof.js';
import { proveEdits, proveReader } from '../support/transaction-readers.js';

let tally: Tally = newTally();
afterEach(({ task }) => {
  const { points, states, recoveries } = tally;
  process.stderr.write(`${task.name}: ${points} points, ${states} states, ${recoveries} recoveries\n`);
  tally = newTally();
});

describe.each(scenarios)('$name', (scenario) => {
  it(`is whole or not at all after a crash: ${scenario.name}`, async () => {
    await proveCrashes(transaction, scenario, tally);
    expect(tally.violations).toEqual([]);
  });
});

describe('every kind of change', () => {
  it('is whole or not at all after an error of the disk', async () => {
    for (const scenario of scenarios) await proveErrors(transaction, scenario, tally);
    expect(tally.violations).toEqual([]);
  });

  it('is seen by a reader before it or after it, never between', async () => {
    for (const scenario of scenarios) await proveReader(transaction, scenario, tally);
    expect(tally.violations).toEqual([]);
  });

  it('leaves what was edited between a crash and the recovery', async () => {
    for (const scenario of scenarios) await proveEdits(transaction, scenario, tally);
    expect(tally.violations).toEqual([]);
  });
});

describe('a random change', () => {
  it('is whole or not at all after a crash or an error', async () => {
    await fc.assert(
      fc.asyncProperty(randomScenario, async (scenario) => {
        const own = newTally();
        for (const prove of [proveCrashes, proveErrors, proveReader, proveEdits])
          await prove(transaction, scenario, own);
        tally.points += own.points;
        tally.states += own.states;
        tally.recoveries += own.recoveries;
        expect(own.violations).toEqual([]);
      }),
      { numRuns: isDeep ? 60 : 10 },
    );
  });
});
