// Five kinds of tests, from pure tables to real Postfix hosts. Labs do not see each other, so e2e files run side by
// side; they come after the others, whose time they would take.

import { defineConfig } from 'vitest/config';
import { slowestFiles } from './test/support/slowest-files.js';

/** As the bundle does: the import of a file of shell is its text. */
const shellText = {
  name: 'shell-text',
  transform: (text: string, file: string) =>
    file.endsWith('.sh') ? `export default ${JSON.stringify(text)};` : undefined,
};

export default defineConfig({
  plugins: [shellText],
  test: {
    testTimeout: 120_000,
    hookTimeout: 180_000,
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
          testTimeout: 600_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
