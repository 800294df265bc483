// Postfix's log lines (src/log/log-lines.json) against their own samples, logged by real hosts;
// test/e2e/log-lines.test.ts compares them with the installed release.

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { findLogKind, logKinds, wordsOf } from '../../src/log/log-lines.js';
import { logCases } from '../e2e/log-cases.js';

const releases = ['3.5', '3.7', '3.10', '3.11'];
/** A release without words of its own for a kind logs a symptom, or nothing is wrong there. */
const partly: Readonly<Record<string, readonly string[]>> = {
  'other-name': ['3.7', '3.10', '3.11'],
  'md5-pins': ['3.7', '3.10', '3.11'],
  'hash-deprecated': ['3.11'],
  'not-trusted': ['3.5'],
  // The queue manager's words are the same in all.
  'service-missing': ['3.7'],
  // Cases of other labs (test/e2e/port25.test.ts, inbound.test.ts).
  'rewrite-failed': ['3.7'],
  'inbound-pin-not-listed': ['3.7'],
  // For other programs only.
  'key-file': [],
  // The same in all.
  'greeting-refused': ['3.5', '3.7', '3.10'],
  'proxy-protocol': ['3.5', '3.7', '3.10'],
  'milter-refuses': ['3.7'],
  // A case of check-relay.test.ts.
  'queue-full': ['3.7'],
};
const samples = logKinds.flatMap((kind) => [...kind.samples, ...kind.programs].map(({ line }) => ({ kind, line })));

/** True if a line contains the words, with a `*` for anything at all: looser than findLogKind. */
function holds(line: string, words: string): boolean {
  return words.split('*').reduce((from, part) => (from < 0 ? from : line.indexOf(part, from)), 0) >= 0;
}

describe('a sample', () => {
  it.each(logKinds.map((kind) => [kind.id, kind] as const))('%s: is found as its own kind', (id, kind) => {
    const own = [...kind.samples, ...kind.programs].map(({ line }) => line);
    expect(own.map((line) => findLogKind(line)?.id)).toEqual(own.map(() => id));
  });

  it('has no words of another kind that names a cause', () => {
    const causes = logKinds.filter(({ isSymptom }) => isSymptom !== true);
    const wrong = samples.flatMap(({ kind, line }) =>
      causes
        .filter((other) => other !== kind && wordsOf(other).some((words) => holds(line, words)))
        .map(({ id }) => [id, line]),
    );
    expect(wrong).toEqual([]);
  });

  it('names hosts and addresses of documentation only', () => {
    const text = samples.map(({ line }) => line).join('\n');
    const addresses = new Set(text.match(/\b\d+\.\d+\.\d+\.\d+\b/gu));
    expect([...addresses].filter((one) => !/^(?:127\.0\.0|192\.0\.2|198\.51\.100|203\.0\.113)\./u.test(one))).toEqual(
      [],
    );
    const hosts = new Set(text.match(/\b[\w.-]+\.(?:com|org|net|example)\b/gu));
    expect(hosts.size).toBeGreaterThan(1);
    expect([...hosts].filter((one) => !/\bexample\.(?:org|net|com)$/u.test(one))).toEqual([]);
  });
});

describe('a kind', () => {
  it('has a unique id, a cause, a fix, and a sample for each of its words', () => {
    expect(new Set(logKinds.map(({ id }) => id)).size).toBe(logKinds.length);
    for (const { id, words, cause, fix, samples: own, programs } of logKinds) {
      expect([id, cause, fix]).not.toContain('');
      const alone = words.filter((one) => {
        const [first = ''] = one.split('*').toSorted((a, b) => b.length - a.length);
        return !own.some(({ line }) => line.includes(first));
      });
      expect([id, alone]).toEqual([id, []]);
      expect(programs.filter((one) => !holds(one.line, one.words))).toEqual([]);
    }
  });

  it('has a sample of every release', () => {
    const known = logKinds.map(({ id, samples: own }) => [
      id,
      releases.filter((release) => own.some(({ postfix }) => postfix.includes(release))),
    ]);
    expect(known).toEqual(logKinds.map(({ id }) => [id, partly[id] ?? releases]));
  });

  it('is caused by a case of the lab, unless it is a symptom', () => {
    const caused = new Set(Object.values(logCases).flatMap(({ kinds }) => kinds));
    const causes = logKinds.filter((kind) => kind.isSymptom !== true && kind.words.length > 0).map(({ id }) => id);
    expect(causes.filter((id) => !caused.has(id))).toEqual([]);
    expect([...caused].filter((id) => !causes.includes(id))).toEqual([]);
  });
});

describe('a line of every day', () => {
  it.each([
    'postfix/smtp[455]: Verified TLS connection established to relayhost.example.org[192.0.2.11]:2500: TLSv1.3 with cipher X',
    'postfix/smtp[455]: Untrusted TLS connection established to mx.example.net[192.0.2.25]:25: TLSv1.3 with cipher X',
    'postfix/smtp[455]: 1627397: to=<bob@example.net>, relay=relayhost.example.org[192.0.2.11]:2500, delay=2.3, delays=1.5/0.48/0.29/0.01, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5A247A0)',
    'postfix/relaycerts/smtpd[399]: connect from mailhost.example.org[192.0.2.31]',
    'postfix/relaycerts/smtpd[399]: Trusted TLS connection established from mailhost.example.org[192.0.2.31]: TLSv1.3 with cipher X',
    'postfix/smtpd[399]: Anonymous TLS connection established from mx.example.net[192.0.2.25]: TLSv1.3 with cipher X',
    'postfix/smtpd[399]: warning: connect to Milter service inet:127.0.0.1:8891: Connection refused',
    'postfix/smtpd[399]: NOQUEUE: reject: RCPT from mx.example.net[192.0.2.25]: 550 5.1.1 <x@example.org>: Recipient address rejected: User unknown',
    '',
  ])('%s', (line) => {
    expect(findLogKind(line)).toBeUndefined();
  });
});

it('docs/troubleshooting.md is made from it', () => {
  const { status, stderr } = spawnSync('node', ['scripts/write-troubleshooting.mjs', '--check'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});
