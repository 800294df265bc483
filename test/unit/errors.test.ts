import { describe, expect, test } from 'vitest';
import { commandText, RelaycertsError, renderError, renderHint, type Hint } from '../../src/errors.js';

describe('hints', () => {
  const cases: readonly (readonly [Hint, string])[] = [
    ['restore it from a backup', 'restore it from a backup'],
    [{ run: ['make'] }, 'npx relaycerts make'],
    [
      { run: ['renew', '--ca'], after: ', then install every host' },
      'npx relaycerts renew --ca, then install every host',
    ],
    [{ before: 'finish that first:', run: ['make'] }, 'finish that first: npx relaycerts make'],
    [{ run: ['passphrase', 'change'], after: '3< OLD' }, 'npx relaycerts passphrase change 3< OLD'],
    [{ run: ['sign', "it's one.pem"] }, String.raw`npx relaycerts sign 'it'\''s one.pem'`],
  ];
  test.each(cases)('%j', (hint, text) => {
    expect(renderHint(hint, 'npx relaycerts')).toBe(text);
  });

  test('a command keeps the way the program was called', () => {
    expect(commandText('node bin/relaycerts.js --settings mail/settings.json', ['renew', '--ca'])).toBe(
      'node bin/relaycerts.js --settings mail/settings.json renew --ca',
    );
  });

  test('a command never spans two lines', () => {
    expect(commandText('relaycerts', ['sign', 'a\nb'])).toBe(String.raw`relaycerts sign '"a\nb"'`);
  });

  test('an error prints its hint as a command', () => {
    const error = new RelaycertsError('files', 'there is no CA yet', { hint: { run: ['make'] } });
    expect(renderError(error)).toEqual(['relaycerts: error: there is no CA yet', 'relaycerts: hint: relaycerts make']);
    expect(renderError(error, 'npx relaycerts')[1]).toBe('relaycerts: hint: npx relaycerts make');
  });
});
