// Logs that hold anything: no octets make `explain` throw, hold more than its bounds, or write what a terminal obeys.

import * as fc from '../support/fast-check.js';
import { describe, expect, it } from 'vitest';
import { logKinds } from '../../src/log/log-lines.js';
import { logTally, type LogSummary } from '../../src/log/tally.js';
import { explainFault, explainObject, renderLogSummary } from '../../src/render/explain.js';
import { writeAnswer } from '../../src/json-text.js';

const samples = logKinds.flatMap((kind) => [...kind.samples, ...kind.programs].map(({ line }) => line));
const size = Buffer.alloc(8);
size.writeUInt32LE(3);
/** What the forms of lines are made of, real lines, and octets of all kinds. */
const part = fc.oneof(
  fc.constantFrom(
    ...samples,
    'Nov 27 00:37:48',
    ' relayhost ',
    'postfix/relaycerts/smtpd[1]: ',
    'smtpd[1]: ',
    'mail/smtpd[1]: ',
    'connect from ',
    '4Q2Z1A: client=',
    'warning: ',
    '<22>1 ',
    ' - - ',
    '{"MESSAGE":"',
    '"}',
    '__CURSOR=x\n',
    'MESSAGE\n',
    'MESSAGE=',
    '\u001E{',
    '[',
    ']: ',
    '\r\n',
    '\n\n',
    '\u001B[2J',
    'status=deferred (',
    'SSL_accept error from x[192.0.2.1]: -1\n',
    '\u0000',
    '\u009B31m',
    '\u202E',
    size.toString('latin1'),
  ),
  fc.string({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets).toString('latin1')),
);
const log = fc.array(part, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(''), 'latin1'));

function summaryOf(octets: Buffer, cuts: readonly number[], hosts: ReadonlySet<string>): LogSummary {
  const { sink, summary } = logTally(hosts);
  let from = 0;
  for (const cut of cuts.map((one) => one % (octets.length + 1)).toSorted((a, b) => a - b)) {
    sink.add(octets.subarray(from, cut));
    from = cut;
  }
  sink.add(octets.subarray(from));
  sink.end();
  return summary();
}

const hostSets = fc.constantFrom(new Set<string>(), new Set(['relayhost.example.org', 'mailhost.example.org']));
const places = fc.array(fc.nat(), { maxLength: 4 });

describe('any log', () => {
  it('is the same whole and in pieces', () => {
    fc.assert(
      fc.property(log, places, hostSets, (octets, cuts, hosts) => {
        expect(summaryOf(octets, cuts, hosts)).toEqual(summaryOf(octets, [], hosts));
      }),
    );
  });

  it('becomes text that no terminal obeys, and JSON', () => {
    fc.assert(
      fc.property(log, hostSets, (octets, hosts) => {
        const summary = summaryOf(octets, [], hosts);
        const explained = summary.faults.map((fault) => explainFault(fault, undefined));
        const text = renderLogSummary('a log', summary, explained);
        expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(1500);
        const answer = writeAnswer('explain', explainObject('a log', summary, explained));
        expect(answer.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202E]/u);
        JSON.parse(answer);
      }),
    );
  });
});
