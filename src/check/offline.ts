// The part of a check that needs no host: what status and make report about the files here, as findings. Nothing is
// judged a second time. Pure.

import { howMany, type Problem } from '../errors.js';
import { findingOf, type Finding } from '../findings/finding.js';
import type { CertificateStatus } from '../plan/status.js';
import type { Report } from './report.js';

interface Judged {
  readonly rows: readonly CertificateStatus[];
  /** Contradictions. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** The reports about the files here. */
export function judgeOffline({ rows, problems, warnings }: Judged): readonly Report[] {
  const states = rows.flatMap(({ name, state, why }): readonly Finding[] => {
    if (state === 'ok' || state === 'revoked') return [];
    const finding = findingOf(`state-${state}`, '', { name, found: why?.message ?? '' });
    return [why?.hint === undefined ? finding : { ...finding, cure: [{ hint: why.hint }] }];
  });
  const others = [
    ...problems.map((problem) => ofProblem('project-problem', problem)),
    ...warnings.map((problem) => ofProblem('project-warning', problem)),
  ];
  const hasPassphrase = rows.some(({ role }) => role === 'passphrase');
  const count = rows.filter(({ role, state }) => role !== 'passphrase' && state !== 'revoked').length;
  const what = `${howMany(count, 'certificate')}${hasPassphrase ? ' and the passphrase' : ''}`;
  return [
    {
      host: '',
      fine: 'the files fit together: keys, chains, names, purposes, pins, tables, bundles, modes',
      findings: others,
    },
    // Of a fleet's findings only the first are printed, so those of each host come last.
    {
      host: '',
      fine: `${what} ${count === 1 && !hasPassphrase ? 'is as it' : 'are as they'} should be`,
      findings: states,
    },
  ];
}

function ofProblem(id: string, { message, hint }: Problem): Finding {
  return { ...findingOf(id, '', { found: message }), cure: hint === undefined ? [] : [{ hint }] };
}
