// What `relaycerts sign` refuses without touching anything, and how its hints continue; what make reports about a
// request that does not match.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteAsInstalled } from '../support/installed.js';
import { openssl } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import {
  certificate,
  home,
  homeKey,
  makeKey,
  publicKeyIn,
  relay,
  request,
  serialsOf,
  stored,
  writeRequest,
} from '../support/sign-request.js';
import { succeed } from '../support/succeed.js';
import { expectError, expectUntouched } from '../support/untouched.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const sign = (...words: readonly string[]): Promise<Result> =>
  project.run(['sign', request, '--host', 'mailhost', ...words]);

describe('refused, and nothing is touched', () => {
  it('a key that was made here; by the hint, the host gets its own', async () => {
    await putMade(project);
    const key = writeRequest(project);
    await expectUntouched(
      project,
      sign,
      1,
      /has a key that was made here: .*mailhost\.example\.org\.key\.pem/u,
      /rm .*, and sign again; the relays then need their new bundles/u,
    );
    const hint = /here: (rm [^,]*), and sign/u.exec((await sign()).stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    succeed(await sign());
    expect(readdirSync(project.path('hosts', home)).toSorted()).toEqual(['example.org-ca.crt.pem', `${home}.crt.pem`]);
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', key));
    expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/u);
  });

  it('a revoked host without --again, and a revoked key always', async () => {
    const key = writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    succeed(await project.run(['revoke', home]));
    await expectUntouched(project, sign, 1, /the key of the request was revoked/u, /there: rm .*--section request/u);
    await expectUntouched(
      project,
      () => sign('--again'),
      1,
      /the key of the request was revoked/u,
      /there: rm .*--section request/u,
    );
    const fresh = writeRequest(project);
    await expectUntouched(project, sign, 1, /mailhost\.example\.org is revoked/u, /--again$/u);
    expect(succeed(await project.run(['show', home, '--section', 'request'])).stdout).toContain('openssl genpkey');
    succeed(await sign('--again'));
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', fresh));
    const pins = project.read('hosts', relay, 'relay_clientcerts');
    expect(pins.match(/^[0-9A-F:]{95} /gmu)).toHaveLength(1);
    await noteAsInstalled(project);
    expect(succeed(await project.run(['status'])).stdout).toMatch(new RegExp(`^${home} +smtp-client +ok `, 'mu'));
    expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/u);
    expect(key).not.toBe(fresh);
  });

  it("another host's key, a signed host's key, the CA's key", async () => {
    project.settings(
      smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }, { hostname: 'third' }] }),
    );
    const own = writeRequest(project, [], { name: 'second.csr' });
    succeed(await project.run(['sign', 'second.csr', '--host', 'second']));
    writeRequest(project, [], { key: own });
    const reused = /is second\.example\.org's: every host needs its own key/u;
    await expectUntouched(project, sign, 1, reused, /remove the key on mailhost.*--section request/u);
    writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    const theirs = project.path('certs/smtp-client/third.example.org.key.pem');
    project.settings(
      smallSettings({ smtpClients: ['mailhost', 'second', 'third', 'fourth'].map((hostname) => ({ hostname })) }),
    );
    writeRequest(project, [], { key: theirs });
    const fourth = (): Promise<Result> => project.run(['sign', request, '--host', 'fourth']);
    await expectUntouched(project, fourth, 1, /is third\.example\.org's/u, /make a new one/u);
    const passphrase = succeed(await project.run(['passphrase', 'show', '--yes'])).stdout;
    const ca = [
      'req',
      '-new',
      '-key',
      project.path('certs/ca/example.org-ca.key.pem'),
      '-passin',
      'stdin',
      '-subj',
      '/CN=x',
    ];
    project.write(request, openssl(ca, passphrase));
    await expectUntouched(project, fourth, 1, /is the CA's: every host/u, /make a new one/u);
  });

  it('weak keys, a wrong signature, garbage, a large file, no file', async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const second = (): Promise<Result> => project.run(['sign', request, '--host', 'second']);
    const weak = /is weak, or of a type for which no certificate is issued/u;
    for (const words of [
      ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
      ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    ]) {
      writeRequest(project, [], { key: makeKey(project, ...words) });
      await expectUntouched(project, second, 1, weak, /ECDSA on P-256 or P-384/u);
    }
    writeRequest(project);
    const der = spawnSync('openssl', ['req', '-in', project.path(request), '-outform', 'DER']).stdout;
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    project.write(request, der);
    await expectUntouched(
      project,
      second,
      1,
      /the signature of the certificate request in .* does not hold/u,
      /make it again/u,
    );
    project.write(request, 'hello\n');
    await expectUntouched(project, second, 1, /holds no certificate request/u, /openssl req -new/u);
    project.write(request, '');
    await expectUntouched(project, second, 1, /holds no certificate request/u, /openssl req -new/u);
    project.write(request, Buffer.alloc(65 * 1024, '-----BEGIN '));
    await expectUntouched(project, second, 1, /larger than 65536 octets/u, /ls -ld/u);
    rmSync(project.path(request));
    await expectUntouched(project, second, 1, /there is no file/u, /--section request/u);
    const piped = await project.run(['sign', '-', '--host', 'second'], { input: Buffer.alloc(65 * 1024) });
    expect(piped.stderr).toBe('relaycerts: error: standard input is larger than 65536 octets\n');
    expect(piped.status).toBe(1);
  });

  it('on a wrong command line', async () => {
    await putMade(project);
    writeRequest(project);
    await expectUntouched(
      project,
      () => project.run(['sign', request]),
      2,
      /required option '--host <host>' not specified/u,
      /--help/u,
    );
    await expectUntouched(
      project,
      () => project.run(['sign', request, '--host', 'nobody']),
      2,
      /the settings have no host "nobody"/u,
      /mailhost/u,
    );
    await expectUntouched(
      project,
      () => project.run(['sign', '--host', 'mailhost']),
      2,
      /missing required argument 'file'/u,
      /--help/u,
    );
    await expectUntouched(
      project,
      () => project.spawn(['sign', '-', '--host', 'mailhost', '--passphrase-fd', '0']),
      2,
      /cannot both come from standard input/u,
      /./u,
    );
  });

  it('with a wrong passphrase: nothing is stored', async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    writeRequest(project);
    const words = ['sign', request, '--host', 'second'];
    const wrong = project.spawn([...words, '--passphrase-fd', '0'], { input: 'wrong' });
    expectError(wrong, 1, /the passphrase does not open/u, /use the passphrase file/u);
    expect(existsSync(project.path('certs/smtp-client/second.example.org.csr.pem'))).toBe(false);
    expect(serialsOf(project)).toHaveLength(3);
    const passphrase = succeed(await project.run(['passphrase', 'show', '--yes'])).stdout;
    succeed(project.spawn([...words, '--passphrase-fd', '0'], { input: passphrase }));
    expect(serialsOf(project)).toHaveLength(4);
  });
});

describe('make reports contradictions', () => {
  it('a key beside the request, a certificate of another key, a damaged request', async () => {
    writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    const make = (): Promise<Result> => project.run(['make']);
    writeFileSync(project.path(homeKey), readFileSync(makeKey(project)), { mode: 0o600 });
    await expectUntouched(
      project,
      make,
      1,
      /says that mailhost\.example\.org keeps its own key, but its key .* is here too/u,
      /keep one: rm/u,
    );
    rmSync(project.path(homeKey));
    const good = project.read(stored);
    writeRequest(project);
    project.write(stored, project.read(request));
    await expectUntouched(project, make, 1, /is not for the key of the request/u, /mv .*crt\.pem/u);
    project.write(stored, good.slice(0, 200));
    await expectUntouched(
      project,
      make,
      1,
      /csr\.pem" holds a PEM block that does not end/u,
      /restore it from a backup/u,
    );
    project.write(stored, good);
    expect(succeed(await make()).stderr).toContain('nothing to make');
  });
});
