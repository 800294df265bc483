// `relaycerts passphrase show` holds no lock, so a change that another process has under way is none of its business,
// whatever instant it looks at.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { showPassphrase } from '../../src/commands/passphrase-show.js';
import { makeOperatorKey } from '../../src/custody/operator-key.js';
import { newPassphrase } from '../../src/custody/passphrase.js';
import { sealPassphrase } from '../../src/custody/seal.js';
import type { Sys } from '../../src/sys/sys.js';
import { processSys } from '../../src/sys/process-sys.js';
import { generateKey } from '../../src/issue/keys.js';
import { encryptPrivateKey } from '../../src/issue/pbes2.js';
import { withLock } from '../../src/store/lock.js';
import { smallSettings } from '../support/project.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-show-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const at = new Date('2026-03-01T00:00:00Z');

describe('show', () => {
  it('does not end a change that began while it was reading: that one may be the only new passphrase', async () => {
    const pending = join(folder, 'certs/ca/example.org-ca.passphrase.new.gpg');
    const operator = await makeOperatorKey(at, 'a key');
    const passphrase = newPassphrase();
    const { privateKey } = await generateKey('ecdsa-p256');
    const key = await encryptPrivateKey(privateKey, passphrase, 'random');
    const sealed = await sealPassphrase(passphrase, [operator.recipient], at);
    const next = await sealPassphrase(newPassphrase(), [operator.recipient], at);
    mkdirSync(join(folder, 'certs/ca'), { recursive: true });
    mkdirSync(join(folder, 'relaycerts'));
    writeFileSync(join(folder, 'settings.json'), JSON.stringify(smallSettings({ passphrase: { file: 'sealed.gpg' } })));
    writeFileSync(join(folder, 'certs/ca/example.org-ca.key.pem'), key, { mode: 0o600 });
    writeFileSync(join(folder, 'sealed.gpg'), sealed.bytes, { mode: 0o600 });
    writeFileSync(join(folder, 'relaycerts/operator-key.asc'), operator.armored.revealBytes(), { mode: 0o600 });
    let written = '';
    let hasBegun = false;
    const sys: Sys = {
      ...processSys({ quiet: true, verbose: false, color: false, wait: 0 }),
      cwd: folder,
      home: folder,
      // Where the operator key lies is asked after the passphrase file and the CA's key were read.
      get configHome() {
        if (!hasBegun) writeFileSync(pending, next.bytes, { mode: 0o600 });
        hasBegun = true;
        return folder;
      },
      write: (data) => {
        written += data.toString();
      },
    };
    const settings = join(folder, 'settings.json');
    const show = () => showPassphrase({ settings, yes: true, json: false }, sys);
    // The change's own lock.
    await withLock(join(folder, '.relaycerts.lock'), sys, async () => {
      await expect(show()).rejects.toMatchObject({ code: 'lock' });
    });
    expect([hasBegun, existsSync(pending), written]).toEqual([true, true, '']);
    // Where that change has died, it is ended, and what opens the key is printed.
    await show();
    expect([existsSync(pending), written]).toEqual([false, `${passphrase.revealText()}\n`]);
  });
});
