// The text of a check of many hosts: what is cut off, and what is not.

import { expect, it } from 'vitest';
import { renderCheck } from '../../src/check/text.js';
import { findingOf } from '../../src/findings/finding.js';
import { threeHosts } from '../support/inventory.js';

it('what is wrong is shown, however many hosts cannot be reached', () => {
  const findings = Array.from({ length: 100 }, (_, index) => findingOf('ssh-unreachable', `c${index}`, { found: '' }));
  const wrong = [
    findingOf('project-warning', '', { found: 'look here' }),
    findingOf('project-problem', '', { found: 'look there' }),
  ];
  const reports = [{ host: '', fine: '', findings: [...findings, ...wrong] }];
  const lines = renderCheck(
    threeHosts,
    reports,
    () => [],
    (_, word) => word,
  ).split('\n');
  expect(lines.filter((line) => line.startsWith('unknown '))).toHaveLength(38);
  expect(lines.slice(-5)).toEqual([
    'warning  look here [project-warning]',
    'error    look there [project-problem]',
    '62 more findings; to see all of them, run it again with --json',
    '1 error, 1 warning, 100 not known, 0 ok',
    '',
  ]);
});
