// `relaycerts export p12`: a host's key, its certificate and the CA's (both CAs' while the CA gets a new key, as in the
// host's CA file) in one PKCS#12 file under a password, for programs that are no Postfix. It writes one new file, for its
// owner alone, and changes nothing else.

import { dirname, resolve } from 'node:path';
import { samePublicKey } from '../certificate/public-key.js';
import { checkLeaf } from '../certificate/verify.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { createFile, statFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { bundleNames } from '../plan/bundle-names.js';
import { signerOf, trustedCas } from '../plan/ca-rekey.js';
import { describeFinding } from '../plan/findings.js';
import type { FoundCertificate, FoundKey } from '../plan/inventory.js';
import type { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { pathWord } from '../shell-word.js';
import { guardFolder } from '../store/guard-writing.js';
import { guardReading } from '../store/look.js';
import { readHostFiles } from '../store/read.js';
import { readSteadily } from '../store/steady.js';
import { sweepTarget } from '../store/sweep.js';
import { isRevokedError } from './again.js';
import { contradiction } from './make.js';
import type { GlobalOptions } from './options.js';
import { findHost } from './show.js';

export interface ExportOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** A file descriptor to read the file's password from; undefined: it is asked for. */
  readonly passwordFd: number | undefined;
  /** As typed; `-` is standard output; undefined: FQDN.p12 in the current folder. */
  readonly out: string | undefined;
}

/** @throws settings, usage, contradiction, certificate, passphrase, files, interrupted */
export async function exportPkcs12(options: ExportOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const one = findHost(settings, options.hostname);
  const path = choosePath(options, one, sys);
  await guardReading(settings, sys);
  if (path !== undefined) {
    await guardFolder(dirname(path), 'custody', sys);
    await sweepTarget(path, sys, sys.now());
    if ((await statFile(path)) !== undefined) throw isThere(path, one);
  }
  const { key, certificate, authorities } = await readPair(settings, one, sys);
  const password = await obtainPassword(options, one, sys);
  if (/[^\0-\x7f]/u.test(password.revealText())) {
    sys.warn('the password has characters beyond ASCII, and Java opens no such file', 'choose another one for Java');
  }
  const { encodePkcs12 } = await import('../issue/pkcs12.js');
  const bytes = await encodePkcs12({
    privateKey: key.privateKey,
    certificate: certificate.info.der,
    authorities: authorities.map(({ info }) => info.der),
    friendlyName: one.hostname,
    password,
  });
  if (path === undefined) {
    sys.write(bytes);
    return;
  }
  if (!(await createFile(path, bytes, 0o600))) throw isThere(path, one);
  if (options.json) sys.write(`${JSON.stringify({ host: one.hostname, file: path })}\n`);
  sys.say(`made the PKCS#12 file of ${one.hostname}, its private key in it: ${path}`);
}

/** Where the file goes; undefined: standard output. @throws usage */
function choosePath({ out, json }: ExportOptions, one: HostSettings, sys: Sys): string | undefined {
  const name = `${one.hostname}.p12`;
  if (out === '-') {
    if (json) {
      throw new RelaycertsError('usage', 'standard output cannot hold the file and JSON', {
        hint: `relaycerts --json export p12 ${one.hostname} --out ${name}`,
      });
    }
    if (!sys.outputIsTerminal) return undefined;
    throw new RelaycertsError('usage', 'a PKCS#12 file is no text for a terminal', {
      hint: `relaycerts export p12 ${one.hostname} --out ${name}`,
    });
  }
  return resolve(sys.cwd, out ?? name);
}

function isThere(path: string, { hostname }: HostSettings): RelaycertsError {
  return new RelaycertsError('files', `${quotePath(path)} is there already, and is not overwritten`, {
    hint: `move it away, or name another file: relaycerts export p12 ${hostname} --out FILE`,
  });
}

/** Key and certificates that belong together; of the authorities, the one that signed is the first. @throws contradiction */
async function readPair(
  settings: Settings,
  one: HostSettings,
  sys: Sys,
): Promise<{
  readonly key: FoundKey;
  readonly certificate: FoundCertificate;
  readonly authorities: readonly FoundCertificate[];
}> {
  const { files, cas, problems } = await readSteadily(settings, sys, () => readHostFiles(settings, one, sys));
  if (files.isRevoked) throw await isRevokedError(settings, one);
  if (problems.length > 0) throw contradiction(problems);
  const { key, certificate, request } = files;
  const ca = certificate && signerOf(certificate.info, cas);
  if (request !== undefined) {
    const names = bundleNames(settings.domain, one.hostname);
    throw new RelaycertsError('contradiction', `the key of ${one.hostname} was made there, and is not here`, {
      hint: `there, in ${settings.postfix.directory}: openssl pkcs12 -export -inkey ${names.key} -in ${names.certificate} -certfile ${names.ca} -name ${one.hostname} -out ${one.hostname}.p12`,
    });
  }
  if (key === undefined || certificate === undefined || ca === undefined) {
    throw new RelaycertsError('contradiction', `there is no key and certificate yet for ${one.hostname}`, {
      hint: `${settings.program} make`,
    });
  }
  const findings = checkLeaf(certificate.info, ca.info, one, sys.now()).map((finding) =>
    describeFinding(finding, one.hostname, certificate.path),
  );
  if (findings.length > 0) throw contradiction(findings);
  if (!samePublicKey(key.privateKey, certificate.info.publicKey)) {
    throw new RelaycertsError(
      'contradiction',
      `the key ${quotePath(key.path)} does not belong to the certificate ${quotePath(certificate.path)}`,
      { hint: `bring the right key back, or see what make says: ${settings.program} make --dry-run` },
    );
  }
  return { key, certificate, authorities: [ca, ...trustedCas(cas).filter((each) => each !== ca)] };
}

async function obtainPassword({ passwordFd, out }: ExportOptions, one: HostSettings, sys: Sys): Promise<Secret> {
  if (passwordFd !== undefined) {
    const { readPassphraseFd } = await import('../custody/passphrase.js');
    return readPassphraseFd(passwordFd, '--password-fd', 'password of the PKCS#12 file');
  }
  const target = out === undefined ? '' : ` --out ${pathWord(out)}`;
  const byFd = `relaycerts export p12 ${one.hostname}${target} --password-fd 3 3< FILE`;
  if (!sys.interactive) {
    throw new RelaycertsError('usage', 'the PKCS#12 file needs a password, and here is no terminal to ask on', {
      hint: byFd,
    });
  }
  const password = await sys.askNewSecret('Password of the PKCS#12 file:');
  if (password.revealBytes().length > 0) return password;
  throw new RelaycertsError('usage', 'the file holds a private key, and an empty password protects nothing', {
    hint: byFd,
  });
}
