// Five kinds of tests, from pure tables to real Postfix hosts. Labs do not see each other, so they run side by side, and
// beside the others: hosts wait most of the time (Postfix lets main.cf cool down for 2 s), the others compute.
//
// A time limit only ends what hangs: a machine that is busy or slow takes many times as long as a good one. What has to
// be quick is measured by the processor time that it takes.

import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { slowestFiles } from './test/support/slowest-files.js';

/** Milliseconds. */
const noLimit = 3_600_000;

/** As the bundle does: the import of a file of shell, or of the page, is its text. */
const shellText = {
  name: 'shell-text',
  transform: (text: string, file: string) =>
    /\.(?:sh|bash|zsh|fish|html|yml|help)$/u.test(file) ? `export default ${JSON.stringify(text)};` : undefined,
};

const isLab = ({ project }: TestSpecification): boolean => project.name === 'e2e';

/** One lab, then two files of the others, the largest first: whatever runs last is small. */
class Mixed extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is a sequencer's
    const sorted = await super.sort(files);
    const labs = sorted.filter(isLab);
    const others = sorted.filter((file) => !isLab(file));
    const mixed = labs.flatMap((lab, at) => [lab, ...others.slice(2 * at, 2 * at + 2)]);
    return [...mixed, ...others.slice(2 * labs.length)];
  }
}

export default defineConfig({
  plugins: [shellText],
  test: {
    testTimeout: noLimit,
    hookTimeout: noLimit,
    reporters: ['default', slowestFiles],
    globalSetup: ['test/support/global-setup.ts'],
    maxWorkers: 3 * availableParallelism(),
    sequence: { sequencer: Mixed },
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          // They hold no state in modules, and loading everything for each file takes longer than many a file.
          isolate: false,
          include: ['test/{unit,property,interop,cli}/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
        },
      },
    ],
  },
});
