// What a check comes to: whether it found a fault, and the state that a monitor gets. What is not known is no fault, but a
// monitor is told if nothing could be looked at.

import { describe, expect, it } from 'vitest';
import type { Report } from '../../src/check/report.js';
import { hasFault, renderCheckPlugin } from '../../src/check/text.js';
import { findingOf } from '../../src/findings/finding.js';
import { parseHostName } from '../../src/names.js';

const host = parseHostName('relayhost.example.org');
const right: Report = { host, fine: 'right', findings: [] };
const unknown: Report = { host, fine: '', findings: [findingOf('ssh-unreachable', host, { found: 'timed out' })] };
const wrong: Report = { host, fine: '', findings: [findingOf('mx-missing', host)] };

describe('a check', () => {
  it.each([
    ['of what is right', [right], false, 0],
    ['that could not look at everything', [right, unknown], false, 0],
    ['that could look at nothing', [unknown, unknown], false, 3],
    ['with an error', [right, unknown, wrong], true, 2],
    ['of nothing', [], false, 0],
  ])('%s', (_, reports, isFaulty, status) => {
    expect(hasFault(reports)).toBe(isFaulty);
    expect(renderCheckPlugin(reports).status).toBe(status);
  });

  it('says UNKNOWN to a monitor, and what is not known', () => {
    expect(renderCheckPlugin([unknown]).line).toMatch(/^RELAYCERTS UNKNOWN - 1 not known, 0 ok \| /u);
  });
});
