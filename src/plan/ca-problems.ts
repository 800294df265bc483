// What contradicts about the CA: its key, its certificate, and the CA to come while it gets a new key. Pure.

import { basename, dirname, join } from 'node:path';
import { checkCa, type CertificateFindingCode } from '../certificate/verify.js';
import { quotePath, type Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { renewCaWords } from './ca-rekey.js';
import { describeFinding } from './findings.js';
import type { Inventory } from './inventory.js';

/** What contradicts about the CA's key and certificate, and about a rekey of it. */
export function caProblems(settings: Settings, inventory: Inventory, at: Date): readonly Problem[] {
  const { caKey, caKeyPath, caCertificate, caCertificatePath } = inventory;
  const leaf = inventory.hosts.find(({ certificate }) => certificate !== undefined)?.certificate;
  if (caCertificate === undefined) {
    if (leaf === undefined) return caKey === undefined ? traceProblems(inventory) : [];
    const file = caKey === undefined ? 'key and certificate are' : 'certificate is';
    const lost = caKey === undefined ? caKeyPath : caCertificatePath;
    const copy = caKey === undefined ? undefined : copyOfCertificate(inventory);
    return [
      {
        message: `the CA's ${file} missing, but ${quotePath(leaf.path)} was signed by it`,
        hint: copy ?? `bring ${quotePath(lost)} back from a backup; to begin anew with another CA: relaycerts clean`,
      },
    ];
  }
  const missingKey: readonly Problem[] =
    caKey === undefined
      ? [
          {
            message: `the CA's certificate ${quotePath(caCertificate.path)} is there, but its key ${quotePath(caKeyPath)} is missing`,
            hint: 'bring the key back from a backup; to begin anew with another CA: relaycerts clean',
          },
        ]
      : [];
  return [
    ...missingKey,
    ...checkCa(caCertificate.info, settings.ca, at).map((finding) =>
      describeFinding(finding, 'ca', caCertificate.path, renewCaWords(inventory)),
    ),
    ...caRekeyProblems(settings, inventory, at),
  ];
}

/** The command that takes the CA's certificate from a bundle, whose CA file holds another one only during a rekey. */
function copyOfCertificate({ hosts, caCertificatePath, nextCa, formerCa }: Inventory): string | undefined {
  if (nextCa !== undefined || formerCa !== undefined) return undefined;
  const name = basename(caCertificatePath);
  const found = hosts.find(({ bundle }) => bundle.has(name));
  return found && `cp -p ${shellWord(join(found.bundleFolder, name))} ${shellWord(caCertificatePath)}`;
}

/** What is wrong with the CA's certificate of these kinds: what a command that is about to replace it mends. */
export function mendedCaProblems(
  { ca }: Settings,
  { caCertificate }: Inventory,
  at: Date,
  codes: readonly CertificateFindingCode[],
): readonly Problem[] {
  if (caCertificate === undefined) return [];
  return checkCa(caCertificate.info, ca, at)
    .filter(({ code }) => codes.includes(code))
    .map((finding) => describeFinding(finding, 'ca', caCertificate.path));
}

function caRekeyProblems(settings: Settings, { nextCa, isCaCut }: Inventory, at: Date): readonly Problem[] {
  if (isCaCut) return [{ message: 'the rekey of the CA was cut off', hint: 'relaycerts make: it finishes it' }];
  if (nextCa === undefined) return [];
  const { key, keyPath, certificate } = nextCa;
  const giveUp = `to give the new CA up: rm -f ${shellWord(keyPath)} ${shellWord(certificate.path)}, relaycerts make, and install every host`;
  const missing = `the new CA's certificate ${quotePath(certificate.path)} is there, but its key ${quotePath(keyPath)} is missing`;
  const findings = checkCa(certificate.info, settings.ca, at).map((one) =>
    describeFinding(one, 'ca', certificate.path),
  );
  return [...(key === undefined ? [missing] : []), ...findings.map(({ message }) => message)].map((message) => ({
    message,
    hint: `bring it back from a backup; ${giveUp}`,
  }));
}

// A CA that was there once is never made again by itself: what hosts carry would stop to fit, all at once.
function traceProblems({ caRecorded, caKeyPath, hosts }: Inventory): readonly Problem[] {
  const bundle = hosts.find((found) => found.bundle.size > 0);
  const trace = caRecorded ? 'the ledger names one' : bundle && `${quotePath(bundle.bundleFolder)} was made with one`;
  if (trace === undefined) return [];
  return [
    {
      message: `the CA's key and certificate are missing, but ${trace}`,
      hint: `bring ${quotePath(dirname(caKeyPath))} back from a backup; to begin anew with another CA: relaycerts clean`,
    },
  ];
}
