// A reporter for the end of a run: which test files took longest, so that a slow one is noticed when it becomes slow.

import type { Reporter, TestModule } from 'vitest/node';

const shown = 10;

export const slowestFiles: Reporter = {
  onTestRunEnd(modules) {
    if (modules.length > 1) process.stdout.write(listSlowest(modules));
  },
};

function listSlowest(modules: readonly TestModule[]): string {
  const files = modules
    .map((module) => ({ name: module.relativeModuleId, seconds: module.diagnostic().duration / 1000 }))
    .toSorted((a, b) => b.seconds - a.seconds);
  const total = files.reduce((sum, { seconds }) => sum + seconds, 0);
  const lines = files.slice(0, shown).map(({ name, seconds }) => `${seconds.toFixed(1).padStart(8)} s  ${name}`);
  return `\nslowest test files, of ${total.toFixed(0)} s in ${files.length} files:\n${lines.join('\n')}\n`;
}
