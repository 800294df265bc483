// For any text, a parser of names refuses it with its own error, or returns a name of its alphabet that it accepts
// unchanged. RELAYCERTS_DEEP=1 tries fifty times more.

import * as fc from '../support/fast-check.js';
import { describe, expect, test } from 'vitest';
import { RelaycertsError, renderHint } from '../../src/errors.js';
import {
  completeHostName,
  parseAbsolutePath,
  parseCountryCode,
  parseHostName,
  parseSerial,
  parseSshHost,
  parseSender,
  parseSshUser,
} from '../../src/names.js';

const deep = { numRuns: process.env['RELAYCERTS_DEEP'] === '1' ? 50_000 : 1000 };

/** Texts that come close to names: any Unicode, what is special somewhere, names cut up and put together. */
const pieces =
  '. - _ / : * % $(id) ` \\ " \' .. 0x 1 xn-- a Z relay example org kva bcher-kva /etc 00 \u00ad \u3002 \uff0e \uff11 \u00fc \u00df ' +
  '\u03a3 \u0130 \u212a \u05d0 \u0661 \u0300 \u200d \u202e \ufb01 \u{1f4a9} \ud800';
const special = fc.constantFrom(' ', '\n', '\0', ...pieces.split(' '));
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.domain(),
  fc.array(special, { maxLength: 12 }).map((parts) => parts.join('')),
  fc
    .array(fc.oneof(special, fc.string({ unit: 'grapheme', maxLength: 70 })), { maxLength: 6 })
    .map((parts) => parts.join('.')),
);

function attempt<Value>(parse: () => Value): Value | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    expect(error.code).toBe('name');
    expect(renderHint(error.hint ?? '', 'relaycerts')).toMatch(/./);
    return undefined;
  }
}

function expectHostName(name: string): void {
  expect(name).toMatch(/^[a-z0-9.-]+$/);
  expect(name.length).toBeLessThanOrEqual(253);
  const labels = name.split('.');
  expect(labels.length).toBeGreaterThanOrEqual(2);
  for (const label of labels) expect(label).toMatch(/^(?!-)[a-z0-9-]{1,63}(?<!-)$/);
  // A URL parser, which reads numbers as addresses and decodes what it can, sees the very same host.
  expect(new URL(`https://${name}/`).hostname).toBe(name);
}

describe('host names', () => {
  test('are refused, or safe and stable', () => {
    let accepted = 0;
    fc.assert(
      fc.property(text, (input) => {
        const name = attempt(() => parseHostName(input));
        if (name === undefined) return;
        accepted++;
        expectHostName(name);
        expect(parseHostName(name)).toBe(name);
        expect(parseHostName(input.toUpperCase().toLowerCase() === input ? input.toUpperCase() : input)).toBe(name);
      }),
      deep,
    );
    expect(accepted).toBeGreaterThan(50);
  });

  test('completed ones are too', () => {
    const domain = parseHostName('example.org');
    fc.assert(
      fc.property(text, (input) => {
        const name = attempt(() => completeHostName(input, domain));
        if (name === undefined) return;
        expectHostName(name);
        expect(completeHostName(name, domain)).toBe(name);
        expect(name === parseHostName(name) && (input.includes('.') || name.endsWith('.example.org'))).toBe(true);
      }),
      deep,
    );
  });

  test('every LDH name within the limits is taken', () => {
    const label = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,20}[a-z0-9])?$/).filter((each) => !each.startsWith('xn--'));
    fc.assert(
      fc.property(fc.array(label, { minLength: 2, maxLength: 10 }), (labels) => {
        expect(parseHostName(labels.join('.'))).toBe(labels.join('.'));
      }),
      deep,
    );
  });
});

describe.each([
  ['parseSshHost', parseSshHost, /^[A-Za-z0-9:][A-Za-z0-9._:-]{0,252}$/],
  ['parseSshUser', parseSshUser, /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/],
  ['parseSender', parseSender, /^(?:[a-z0-9_+-][a-z0-9._+-]{0,63}@)?[a-z0-9.-]{1,253}$/],
  ['parseAbsolutePath', parseAbsolutePath, /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._][A-Za-z0-9._-]*){2,}$/],
  ['parseCountryCode', parseCountryCode, /^[A-Z]{2}$/],
  ['parseSerial', parseSerial, /^(?!00)(?:[0-9a-f]{2}){1,20}$/],
] as const)('%s', (_, parse, alphabet) => {
  const close = fc.oneof(
    text,
    fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,35}$/),
    fc.stringMatching(/^(?:\/[A-Za-z0-9._-]{1,5}){1,4}\/?$/),
    fc.stringMatching(/^[A-Za-z]{2}$/),
    fc.stringMatching(/^[0-9a-fA-F]{1,44}$/),
    fc.ipV4(),
    fc.ipV6(),
  );

  test('refuses a text, or gives one of its alphabet, and that one again', () => {
    let accepted = 0;
    fc.assert(
      fc.property(close, (input) => {
        const name = attempt(() => parse(input));
        if (name === undefined) return;
        accepted++;
        expect(name).toMatch(alphabet);
        expect(parse(name)).toBe(name);
      }),
      deep,
    );
    expect(accepted).toBeGreaterThan(10);
  });

  test('refuses anything that is not text', () => {
    fc.assert(
      fc.property(
        fc.anything().filter((value) => typeof value !== 'string'),
        (value) => {
          expect(attempt(() => parse(value))).toBeUndefined();
        },
      ),
    );
  });
});
