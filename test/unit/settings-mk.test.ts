// The settings.mk of the old Makefile: what make would make of its lines.

import { expect, it } from 'vitest';
import { readMakeSettings } from '../../src/adopt/settings-mk.js';

it('lines add to a variable, or set it if nothing has, as in make', () => {
  const text = `DOMAIN = example.org\r
SMTPD_SERVER = relayhost.$(DOMAIN)
SMTPD_SERVER ?= other.$(DOMAIN)
SMTP_CLIENTS := mailhost.$(DOMAIN) \\
  laptop.$(DOMAIN)
SMTP_CLIENTS += nas.$(DOMAIN) # in the cellar
PORT ?= 2525
`;
  expect(readMakeSettings(text, '/home/ann')).toMatchObject({
    relays: ['relayhost.example.org'],
    clients: ['mailhost.example.org', 'laptop.example.org', 'nas.example.org'],
    port: 2525,
  });
});
