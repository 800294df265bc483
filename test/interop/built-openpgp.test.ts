// openpgp.js as it is in the built program, in a form that loads each algorithm when it is used: it seals to every kind
// of key that GnuPG makes, and GnuPG opens it; and the operator key is made, read and opened.

import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, smallSettings } from '../support/project.js';

const algorithms = [
  'rsa2048',
  'cv25519',
  'nistp256',
  'nistp384',
  'nistp521',
  'brainpoolP256r1',
  'brainpoolP384r1',
  'brainpoolP512r1',
];
let gnupg: Gnupg;
beforeAll(() => {
  gnupg = makeGnupg();
});
afterAll(() => {
  gnupg.dispose();
});

it('seals to every kind of key, and GnuPG opens it with each', () => {
  const keys = algorithms.map((subkey) => {
    const primary = /^(?:rsa|nist)/u.test(subkey) ? subkey : 'ed25519';
    return gnupg.makeKey({ userId: `${subkey}@example.org`, algorithm: primary, usage: 'sign', subkey });
  });
  const recipients = algorithms.map((algorithm) => `${algorithm}.asc`);
  const project = makeProject(smallSettings({ passphrase: { file: 'passphrase.gpg', recipients } }));
  try {
    for (const [index, key] of keys.entries()) {
      writeFileSync(project.path(recipients[index] ?? ''), gnupg.gpg(['--armor', '--export', key]));
    }
    const { status, stderr } = project.spawn(['make'], { env: { GNUPGHOME: gnupg.home } });
    expect(status, stderr).toBe(0);
    const opened = algorithms.map((algorithm) =>
      gnupg
        .gpg(['--try-secret-key', `${algorithm}@example.org`, '--decrypt', project.path('passphrase.gpg')])
        .toString(),
    );
    expect(new Set(opened).size).toBe(1);
    expect(opened[0]).toMatch(/^[0-9a-f]{64}$/u);
  } finally {
    project.remove();
  }
});

it('makes the operator key, and opens with it', () => {
  const project = makeProject();
  try {
    const env = { XDG_CACHE_HOME: project.path('cache') };
    expect(project.spawn(['make'])).toMatchObject({ status: 0 });
    expect(project.spawn(['status'], { env })).toMatchObject({ status: 0 });
    expect(project.spawn(['passphrase', 'show', '--yes']).stdout).toMatch(/^[0-9a-f]{64}\n$/u);
  } finally {
    project.remove();
  }
});
