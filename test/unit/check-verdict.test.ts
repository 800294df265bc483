// What a check comes to: its exit code, and that of the monitoring plugin. A check that could look at nothing is not green.

import { describe, expect, it } from 'vitest';
import type { Report } from '../../src/check/report.js';
import { countsOf, isFine, renderCheckPlugin } from '../../src/check/text.js';
import { findingOf } from '../../src/findings/finding.js';
import { parseHostName } from '../../src/names.js';

const host = parseHostName('relayhost.example.org');
const right: Report = { host, fine: 'right', findings: [] };
const unknown: Report = { host, fine: '', findings: [findingOf('ssh-unreachable', host, { found: 'timed out' })] };
const wrong: Report = { host, fine: '', findings: [findingOf('mx-missing', host)] };

describe('a check', () => {
  it.each([
    ['of what is right', [right], true, 0],
    ['that could not look at everything', [right, unknown], true, 0],
    ['that could look at nothing', [unknown, unknown], false, 3],
    ['with an error', [right, unknown, wrong], false, 2],
    ['of nothing', [], true, 0],
  ])('%s', (_, reports, fine, status) => {
    expect(isFine(countsOf(reports))).toBe(fine);
    expect(renderCheckPlugin(reports).status).toBe(status);
  });

  it('says UNKNOWN to a monitor, and what is not known', () => {
    expect(renderCheckPlugin([unknown]).line).toMatch(/^RELAYCERTS UNKNOWN - 1 not known, 0 ok \| /u);
  });
});
