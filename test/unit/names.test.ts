// What each parser of names accepts, and its result; and what it refuses, with a hint about the accepted form.

import { describe, expect, test } from 'vitest';
import { renderHint } from '../../src/errors.js';
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
import { badHostNames } from '../support/bad-settings.js';
import { refusalOf } from '../support/refusal.js';

function expectRefusal(run: () => unknown, says: RegExp | string, hint: RegExp | string): void {
  const error = refusalOf(run);
  expect(error.code).toBe('name');
  expect(error.message).toMatch(says);
  expect(renderHint(error.hint ?? '', 'relaycerts')).toMatch(hint);
  expect(error.message).toMatch(/^[a-z].*[^.]$/);
}

const domain = parseHostName('example.org');
const label63 = 'a'.repeat(63);

describe('parseHostName', () => {
  test.each([
    ['example.org', 'example.org'],
    ['RelayHost.Example.ORG', 'relayhost.example.org'],
    ['a.b', 'a.b'],
    ['1234.example.org', '1234.example.org'],
    ['0x7f.example.org', '0x7f.example.org'],
    ['1.2.3.example', '1.2.3.example'],
    ['r3---sn-x.example.org', 'r3---sn-x.example.org'],
    ['a.b1', 'a.b1'],
    ['b\u00fccher.example', 'xn--bcher-kva.example'],
    ['B\u00dcCHER.example', 'xn--bcher-kva.example'],
    ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
    ['stra\u00dfe.example', 'xn--strae-oqa.example'],
    ['\u03a3\u0391\u03a3.example', 'xn--mxa9ab.example'],
    ['\u05d0\u05d1\u05d2.example', 'xn--4dbcd.example'],
    ['relay.\u4f8b\u5b50', 'relay.xn--fsqu00a'],
    [`${label63}.example.org`, `${label63}.example.org`],
    [
      `${label63}.${label63}.${label63}.${'b'.repeat(57)}.org`,
      `${label63}.${label63}.${label63}.${'b'.repeat(57)}.org`,
    ],
  ])('%j is %j', (input, name) => {
    expect(parseHostName(input)).toBe(name);
    expect(parseHostName(name)).toBe(name);
  });

  test('a label by itself is not one', () => {
    expectRefusal(() => parseHostName('relayhost'), 'it has one label only): "relayhost"', 'with its domain');
  });

  const refused = badHostNames
    .filter(([, , says]) => says !== 'must be text')
    .map(([name, input, says]) => ({ name, input: String(input), says }));
  test.each(refused)('$name is refused', ({ input, says }) => {
    expectRefusal(() => parseHostName(input), says, /DNS name/);
    // In a first label the flaw is the same, except for flaws of the whole name.
    if (/^it is|address|octets/.test(says)) return;
    expectRefusal(
      () => parseHostName(`${input}.example.org`),
      says === 'ends with a dot' ? /dot|empty/ : says,
      /DNS name/,
    );
  });

  test.each([[7], [null], [undefined], [['example.org']], [{}], [new String('example.org')]])(
    '%j is not text',
    (input) => {
      expectRefusal(() => parseHostName(input), 'it is not text', /DNS name/);
    },
  );

  test.each(['example.123', 'example.0x1f', '1.2.3.4.5', '1.2', '0x7f.1', '127.0.0.1', 'a.0x', 'a.\u0661.1'])(
    '%s would be read as an address',
    (input) => {
      expectRefusal(() => parseHostName(input), 'it is an address or would be read as one', /DNS name/);
    },
  );

  test('a long text is refused at once, and cut in the message', () => {
    expectRefusal(() => parseHostName('a.'.repeat(1_000_000)), /^not a host name \(.{1,40}\): .{80}$/, /DNS name/);
  });
});

describe('completeHostName', () => {
  test.each([
    ['relayhost', 'relayhost.example.org'],
    ['RELAYHOST', 'relayhost.example.org'],
    ['relay.example.net', 'relay.example.net'],
    ['1234', '1234.example.org'],
    ['0x7f', '0x7f.example.org'],
    ['b\u00fccher', 'xn--bcher-kva.example.org'],
  ])('%j is %j', (label, name) => {
    expect(completeHostName(label, domain)).toBe(name);
  });

  test.each(['', '.', '-a', 'a_b', '$(id)', '*', 'a.', '..', '192.0.2.1'])('%j is refused', (label) => {
    expectRefusal(() => completeHostName(label, domain), 'not a host name', /DNS name/);
  });

  test('the whole name has at most 253 octets', () => {
    const long = parseHostName(`${label63}.${label63}.${'a'.repeat(60)}.org`);
    expect(completeHostName('b'.repeat(60), long)).toHaveLength(253);
    expectRefusal(() => completeHostName('b'.repeat(61), long), 'over 253 octets', /DNS name/);
  });
});

describe('parseSshHost', () => {
  test.each([
    'relayhost',
    'relayhost.example.org',
    'My_Relay-1',
    '1and1',
    '192.0.2.1',
    '2001:db8::1',
    '::1',
    '::ffff:192.0.2.1',
  ])('%s stays as it is', (input) => {
    expect(parseSshHost(input)).toBe(input);
  });

  test('an IDN becomes A-labels', () => {
    expect(parseSshHost('b\u00fccher.example')).toBe('xn--bcher-kva.example');
  });

  test.each([
    '-oProxyCommand=id',
    '',
    ' a',
    'a b',
    'a\n',
    'root@relay',
    'relay:22',
    '[::1]',
    'fe80::1%eth0',
    '1:2',
    ':::',
    '127.1',
    '1',
    '0x7f000001',
    '256.1.1.1',
    '$(id)',
    'a;b',
    "a'b",
    '../x',
    '.a',
    '_a',
    'a'.repeat(254),
    '\u00ad',
    'b\u00fccher;id',
    7,
    null,
  ])('%j is refused', (input) => {
    expectRefusal(() => parseSshHost(input), /^not an? (?:ssh host|host name) /, /DNS name/);
  });
});

describe('parseSshUser', () => {
  test.each(['root', '_apt', 'Admin.1', 'a-b_c', 'a'.repeat(32)])('%s', (input) => {
    expect(parseSshUser(input)).toBe(input);
  });

  test.each(['', '-l', '1a', '.a', 'a b', 'a\n', 'root;id', '$(id)', 'a@b', 'a'.repeat(33), '\u00e9', 0, null])(
    '%j is refused',
    (input) => {
      expectRefusal(() => parseSshUser(input), 'not a login name', 'such as root');
    },
  );
});

describe('parseSender', () => {
  test.each([
    ['Ann@Example.ORG', 'ann@example.org'],
    ['ann.b+c_d-e@mail.example.org', 'ann.b+c_d-e@mail.example.org'],
    ['EXAMPLE.org', 'example.org'],
    ['ann@b\u00fccher.example', 'ann@xn--bcher-kva.example'],
    [`${'a'.repeat(64)}@example.org`, `${'a'.repeat(64)}@example.org`],
  ])('%s', (input, sender) => {
    expect(parseSender(input)).toBe(sender);
  });

  test.each([
    '',
    '<>',
    'ann',
    'ann@',
    '@example.org',
    '.a@example.org',
    'a..b@example.org',
    'a=b@example.org',
    'a@b@c.d',
  ])('%j is refused', (input) => {
    expectRefusal(() => parseSender(input), 'not a sender', 'such as ann@example.org');
  });
  test.each([
    'a b@example.org',
    '$a@example.org',
    'a{b@example.org',
    'a@example.org\n',
    'b\u00fc@example.org',
    7,
    null,
  ])('%j is refused', (input) => {
    expectRefusal(() => parseSender(input), 'not a sender', 'such as ann@example.org');
  });
});

describe('parseAbsolutePath', () => {
  test.each([
    ['/etc/postfix/relaycerts', '/etc/postfix/relaycerts'],
    ['/etc/postfix/relaycerts/', '/etc/postfix/relaycerts'],
    ['/etc/relaycerts', '/etc/relaycerts'],
    ['/usr/local/etc/postfix/relaycerts', '/usr/local/etc/postfix/relaycerts'],
    ['/usr/local/etc/relaycerts', '/usr/local/etc/relaycerts'],
    ['/home/mail/certs', '/home/mail/certs'],
    ['/etc/pki/relaycerts', '/etc/pki/relaycerts'],
    ['/srv/a.b_c-d/...', '/srv/a.b_c-d/...'],
    [`/srv/${'a'.repeat(195)}`, `/srv/${'a'.repeat(195)}`],
  ])('%s is %s', (input, path) => {
    expect(parseAbsolutePath(input)).toBe(path);
    expect(parseAbsolutePath(path)).toBe(path);
  });

  test.each([
    ['', 'does not begin with a slash'],
    ['etc/postfix', 'does not begin with a slash'],
    ['~/certs', 'does not begin with a slash'],
    ['//etc/postfix/x', 'double slash'],
    ['/etc//x', 'double slash'],
    ['/etc/x//', 'double slash'],
    ['/etc/./x', '. or .. component'],
    ['/etc/../x', '. or .. component'],
    ['/etc/x/..', '. or .. component'],
    ['/etc/-rf', 'begins with a hyphen'],
    ['/etc/a b', 'only letters'],
    ['/etc/a\n', 'only letters'],
    ['/etc/a\0b', 'only letters'],
    ['/etc/$(id)', 'only letters'],
    ['/etc/a;b', 'only letters'],
    ['/etc/\u00e9', 'only letters'],
    ['/srv/a:b', 'only letters'],
    [`/srv/${'a'.repeat(296)}`, 'over 300 characters'],
    [7, 'not text'],
    [null, 'not text'],
  ])('%j is refused', (input, says) => {
    expectRefusal(() => parseAbsolutePath(input), says, '/etc/postfix/relaycerts/example.org');
  });

  test.each(
    (
      '/ /etc /root /home /var /srv /relaycerts /etc/ /etc/postfix /etc/postfix/ /etc/ssl /etc/ssl/certs /etc/ssl/private /etc/pki ' +
      '/etc/pki/tls/private /etc/ssh /etc/cron.d /usr/x /usr/local /usr/local/etc /usr/local/etc/postfix /usr/share/x /bin/x /sbin/x ' +
      '/lib/x /lib64/x /proc/1 /proc/self/x /sys/x /dev/shm/x /tmp/x /tmp/x/y /run/x /var/tmp/x /var/run/x /var/lib /var/log ' +
      '/var/spool/postfix /var/spool/postfix/etc/x /home/alice /boot/x'
    ).split(' '),
  )('%s holds other things', (input) => {
    expectRefusal(
      () => parseAbsolutePath(input),
      'that folder holds other things',
      '/etc/postfix/relaycerts/example.org',
    );
  });
});

describe('parseCountryCode', () => {
  test.each([
    ['NL', 'NL'],
    ['nl', 'NL'],
    ['dE', 'DE'],
  ])('%s is %s', (input, code) => {
    expect(parseCountryCode(input)).toBe(code);
  });

  test.each(['', 'N', 'NLD', 'N1', ' NL', 'NL\n', '\u0131T', '\ufb01', '\u00df', 7])('%j is refused', (input) => {
    expectRefusal(() => parseCountryCode(input), 'not a country code', 'two letters');
  });
});

describe('parseSerial', () => {
  test.each([
    ['01', '01'],
    ['0A1B', '0a1b'],
    ['00ff', 'ff'],
    ['7f'.repeat(20), '7f'.repeat(20)],
    [`00${'ff'.repeat(20)}`, 'ff'.repeat(20)],
  ])('%s is %s', (input, serial) => {
    expect(parseSerial(input)).toBe(serial);
    expect(parseSerial(serial)).toBe(serial);
  });

  test.each(['', '0', '00', '0000', 'abc', '0x01', 'zz', '01:02', '-1', ' 01', '01\n', 'ff'.repeat(21), 1, null])(
    '%j is refused',
    (input) => {
      expectRefusal(() => parseSerial(input), 'not a serial number', 'hexadecimal');
    },
  );
});
