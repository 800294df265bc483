// Five kinds of tests, from pure tables to real Postfix hosts. Labs do not see each other, so e2e files run side by
// side; they come after the others, whose time they would take.
//
// A time limit only ends what hangs: a machine that is busy or slow takes many times as long as a good one. What has to
// be quick is measured by the processor time that it takes.

import { defineConfig } from 'vitest/config';
import { slowestFiles } from './test/support/slowest-files.js';

/** Milliseconds. */
const noLimit = 3_600_000;

/** As the bundle does: the import of a file of shell, or of the page, is its text. */
const shellText = {
  name: 'shell-text',
  transform: (text: string, file: string) =>
    /\.(?:sh|bash|zsh|fish|html)$/u.test(file) ? `export default ${JSON.stringify(text)};` : undefined,
};

export default defineConfig({
  plugins: [shellText],
  test: {
    testTimeout: noLimit,
    hookTimeout: noLimit,
    reporters: ['default', slowestFiles],
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/{unit,property,interop,cli}/**/*.test.ts'],
          // Most of them wait for programs that they run; vitest would leave one core of two alone.
          maxWorkers: '100%',
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          // Hosts wait more than they work (Postfix lets main.cf cool down for 2 s): two labs to a core.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
