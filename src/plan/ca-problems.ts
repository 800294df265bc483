// What is wrong with the CA: its key, its certificate, and the next CA during a rekey. Pure. Once something was signed, a
// part of the CA that is missing is never made again, because hosts trust the CA that there was.

import { basename, dirname, join } from 'node:path';
import { checkCa, type CertificateFindingCode } from '../certificate/verify.js';
import { quotePath, type Hint, type Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { renewCaArgs } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import type { Inventory } from './inventory.js';

/** What is wrong with the CA and with a rekey of it; not what is in `fixes`, because the command replaces it. */
export function caProblems(
  settings: Settings,
  inventory: Inventory,
  at: Date,
  fixes: readonly CertificateFindingCode[] = [],
): readonly Problem[] {
  const { caKey, caKeyPath, caCertificate, caCertificatePath } = inventory;
  const leaf = inventory.hosts.find(({ certificate }) => certificate !== undefined)?.certificate;
  if (caCertificate === undefined) {
    if (leaf === undefined) return caKey === undefined ? traceProblems(inventory) : [];
    const file = caKey === undefined ? 'key and certificate are' : 'certificate is';
    const lost = caKey === undefined ? caKeyPath : caCertificatePath;
    const copy = caKey === undefined ? undefined : copyOfCertificate(inventory);
    const message = `the CA's ${file} missing, but ${quotePath(leaf.path)} was signed by it`;
    return [{ message, hint: copy ?? restore(quotePath(lost)) }];
  }
  const message = `the CA's certificate ${quotePath(caCertificate.path)} is there, but its key ${quotePath(caKeyPath)} is missing`;
  return [
    ...(caKey === undefined ? [{ message, hint: restore('the key') }] : []),
    ...checkCa(caCertificate.info, settings.ca, at)
      .filter(({ code }) => !fixes.includes(code))
      .map((finding) => describeFinding(finding, 'ca', caCertificate.path, renewCaArgs(inventory))),
    ...caRekeyProblems(settings, inventory, at),
  ];
}

function restore(what: string): Hint {
  return { run: ['clean'], before: `restore ${what} from a backup; to start over with another CA:` };
}

/** The command that takes the CA's certificate from a bundle, whose CA file holds another one only during a rekey. */
function copyOfCertificate({ hosts, caCertificatePath, nextCa, formerCa }: Inventory): string | undefined {
  if (nextCa !== undefined || formerCa !== undefined) return undefined;
  const name = basename(caCertificatePath);
  const found = hosts.find(({ bundle }) => bundle.has(name));
  return found && `cp -p ${shellWord(join(found.bundleFolder, name))} ${shellWord(caCertificatePath)}`;
}

function caRekeyProblems(settings: Settings, { nextCa }: Inventory, at: Date): readonly Problem[] {
  if (nextCa === undefined) return [];
  const { key, keyPath, certificate } = nextCa;
  const { info, path } = certificate;
  const missing = `the new CA's certificate ${quotePath(path)} is there, but its key ${quotePath(keyPath)} is missing`;
  const findings = checkCa(info, settings.ca, at).map((finding) => describeFinding(finding, 'ca', path).message);
  const before = `restore it from a backup; to give up the new CA: rm -f ${shellWord(keyPath)} ${shellWord(path)} &&`;
  const hint = { run: ['make'], before, after: ', then install every host' };
  return [...(key === undefined ? [missing] : []), ...findings].map((message) => ({ message, hint }));
}

// Never recreate a CA that existed: every deployed certificate would stop verifying.
function traceProblems({ hasLedger, caKeyPath, hosts }: Inventory): readonly Problem[] {
  const bundle = hosts.find((found) => found.bundle.size > 0);
  const trace = hasLedger ? join(dirname(caKeyPath), 'issued.jsonl') : bundle?.bundleFolder;
  if (trace === undefined) return [];
  const message = `the CA's key and certificate are missing, but ${quotePath(trace)} shows that there was a CA`;
  return [{ message, hint: restore(quotePath(dirname(caKeyPath))) }];
}
