// What is wrong with the CA's key and its certificate. Pure. Once the CA has signed something, a missing part of it is
// never recreated, because hosts trust the CA that existed.

import { basename, dirname, join } from 'node:path';
import { checkCa, type CertificateFindingCode } from '../certificate/verify.js';
import { quotePath, type Hint, type Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { renewCaArgs } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import type { Inventory } from './inventory.js';

/** Another name or other domains than in the settings do not stop anything: drift.ts says how to apply them. */
const applied: readonly CertificateFindingCode[] = ['wrong-name', 'wrong-constraints'];

/** What another certificate for the CA's key fixes, and so does another key. */
export const curedByRenewal: readonly CertificateFindingCode[] = [
  'expired',
  'not-yet-valid',
  'not-ca',
  'wrong-issuer',
  'wrong-purpose',
];

/** What is wrong with the CA, except what is in `fixes`, because the command replaces that. */
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
      .filter(({ code }) => !fixes.includes(code) && !applied.includes(code))
      .map((finding) => describeFinding(finding, 'ca', caCertificate.path, renewCaArgs(inventory))),
  ];
}

function restore(what: string): Hint {
  return { run: ['clean'], before: `restore ${what} from a backup; to start over with another CA:` };
}

/** The command that takes the CA's certificate from a bundle, whose CA file has a second one only during a rekey. */
function copyOfCertificate({ hosts, caCertificatePath, nextCa, formerCa }: Inventory): string | undefined {
  if (nextCa !== undefined || formerCa !== undefined) return undefined;
  const name = basename(caCertificatePath);
  const found = hosts.find(({ bundle }) => bundle.has(name));
  return found && `cp -p ${shellWord(join(found.bundleFolder, name))} ${shellWord(caCertificatePath)}`;
}

/**
 * True if the next CA cannot take over: its key is missing, it has expired, or the settings now ask for another name or
 * other domains. It has signed nothing, so the first stage of the rekey is repeated.
 */
export function isNextCaUseless(settings: Settings, { nextCa }: Inventory, at: Date): boolean {
  if (nextCa === undefined) return false;
  return nextCa.key === undefined || checkCa(nextCa.certificate.info, settings.ca, at).length > 0;
}

// Never recreate a CA that existed: every deployed certificate would stop verifying.
function traceProblems({ hasLedger, caKeyPath, hosts }: Inventory): readonly Problem[] {
  const bundle = hosts.find((found) => found.bundle.size > 0);
  const trace = hasLedger ? join(dirname(caKeyPath), 'issued.jsonl') : bundle?.bundleFolder;
  if (trace === undefined) return [];
  const message = `the CA's key and certificate are missing, but ${quotePath(trace)} shows that there was a CA`;
  return [{ message, hint: restore(quotePath(dirname(caKeyPath))) }];
}
