// `relaycerts export p12`: a host's key, its certificate and the CA's (both CAs during a CA rekey) in one PKCS#12 file
// under a password, for programs other than Postfix. It writes one new file, for its owner only, and changes nothing
// else, so it needs no lock.

import { resolve } from 'node:path';
import { isKeyOf, type HostKey } from '../certificate/private-key.js';
import { checkLeaf, type CertificateFinding } from '../certificate/verify.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { bundleNames } from '../plan/bundle-names.js';
import { signerOf, trustedCas } from '../plan/ca-rekey.js';
import { describeFinding } from '../plan/findings.js';
import type { FoundCertificate } from '../plan/inventory.js';
import { isCuredByMake } from '../plan/reissue.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { readHostFiles } from '../store/read.js';
import { writeNewFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { findHost, notCertifiedError, revokedError } from './hosts.js';
import { assertNewFile, obtainNewPassword } from './new-file.js';
import { contradiction, reading, type GlobalOptions } from './run.js';

export interface ExportOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** A file descriptor to read the file's password from; undefined: it is asked for. */
  readonly passwordFd: number | undefined;
  /** As typed; `-` is standard output; undefined: FQDN.p12 in the current folder. */
  readonly out: string | undefined;
  /** Weaker, for programs that open nothing else. */
  readonly legacy: boolean;
}

/** @throws settings, usage, contradiction, certificate, passphrase, files, interrupted */
export async function exportPkcs12(options: ExportOptions, sys: Sys): Promise<void> {
  const read = (one: Settings): ReturnType<typeof readHostFiles> =>
    readHostFiles(one, findHost(one, options.hostname), sys);
  // Anybody who could replace a key could choose the one that goes into the file.
  const { settings, found, at } = await reading(options, sys, read, true);
  const one = found.files.host;
  const path = choosePath(options, one, sys);
  if (path !== undefined) {
    await assertNewFile(path, ['export', 'p12', one.hostname, '--out', 'FILE'], sys);
  }
  const { key, certificate, authorities, warnings } = await pairOf(settings, found, at);
  for (const { message, hint } of warnings) sys.warn(message, hint);
  const run = ['export', 'p12', one.hostname, ...(options.out === undefined ? [] : ['--out', options.out])];
  const password = await obtainNewPassword({ file: 'PKCS#12 file', passwordFd: options.passwordFd, run }, sys);
  if (/[^\0-\x7f]/u.test(password.revealText())) {
    sys.warn(
      'the password has characters beyond ASCII, and Java cannot open such a file',
      'choose another one for Java',
    );
  }
  const { encodePkcs12 } = await import('../issue/pkcs12.js');
  const bytes = await encodePkcs12({
    privateKey: key.privateKey,
    certificate: certificate.info.der,
    authorities: authorities.map(({ info }) => info.der),
    friendlyName: one.hostname,
    password,
    isLegacy: options.legacy,
  });
  if (options.legacy) {
    sys.warn(
      'the file is protected by triple DES and SHA-1 only: its password can be guessed quickly',
      'use a random password, and remove the file after the import',
    );
  }
  if (path === undefined) {
    sys.writeSecret(bytes);
    return;
  }
  await writeNewFile(path, bytes, 0o600);
  if (options.json) sys.write(writeAnswer('export p12', { host: one.hostname, file: path }));
  sys.say(`made the PKCS#12 file of ${one.hostname}, with its private key`, path);
}

/** The path of the file; undefined: standard output. @throws usage */
function choosePath({ out, json }: ExportOptions, one: HostSettings, sys: Sys): string | undefined {
  const name = `${one.hostname}.p12`;
  if (out === '-') {
    if (json) {
      throw new RelaycertsError('usage', 'standard output cannot hold the file and JSON', {
        hint: { run: ['export', 'p12', one.hostname, '--json', '--out', name] },
      });
    }
    if (!sys.outputIsTerminal) return undefined;
    throw new RelaycertsError('usage', 'a PKCS#12 file is binary, and would garble the terminal', {
      hint: { run: ['export', 'p12', one.hostname, '--out', name] },
    });
  }
  return resolve(sys.cwd, out ?? name);
}

interface Pair {
  readonly key: HostKey;
  readonly certificate: FoundCertificate;
  /** The CA that signed comes first. */
  readonly authorities: readonly FoundCertificate[];
  /** The settings ask for another certificate. */
  readonly warnings: readonly Problem[];
}

/** Key and certificates that match. @throws contradiction */
async function pairOf(
  { domain, postfix }: Settings,
  { files, cas, problems, revoked }: Awaited<ReturnType<typeof readHostFiles>>,
  at: Date,
): Promise<Pair> {
  const { host: one, key, certificate, request } = files;
  if (files.isRevoked) throw revokedError(one, revoked);
  if (problems.length > 0) throw contradiction(problems);
  const ca = certificate && signerOf(certificate.info, cas);
  if (request !== undefined) {
    const names = bundleNames(domain, one.hostname);
    throw new RelaycertsError('contradiction', `the key of ${one.hostname} was made there, so it is not here`, {
      hint: `there, in ${postfix.directory}: openssl pkcs12 -export -inkey ${names.key} -in ${names.certificate} -certfile ${names.ca} -name ${one.hostname} -out ${one.hostname}.p12`,
    });
  }
  if (key === undefined || certificate === undefined || ca === undefined) throw notCertifiedError([one.hostname]);
  const { info, path } = certificate;
  const findings = checkLeaf(info, ca.info, one, at);
  const isOther = (finding: CertificateFinding): boolean =>
    isCuredByMake(finding, info, one) || finding.code === 'outside-constraints';
  const wrong = findings.filter((finding) => !isOther(finding));
  if (wrong.length > 0) throw contradiction(wrong.map((finding) => describeFinding(finding, one.hostname, path)));
  if (!isKeyOf(key, certificate.info)) {
    throw new RelaycertsError(
      'contradiction',
      `the key ${quotePath(key.path)} does not belong to the certificate ${quotePath(certificate.path)}`,
      { hint: { run: ['make', '--dry-run'], before: 'restore the right key, or see what make says:' } },
    );
  }
  return {
    key,
    certificate,
    authorities: [ca, ...trustedCas(cas).filter((each) => each !== ca)],
    warnings: findings.filter(isOther).map((finding) => ({
      message: describeFinding(finding, one.hostname, path).message,
      hint: { run: ['make'], after: ', then export it again' },
    })),
  };
}
