// Carries a plan of `make` out. The order is what makes a crash harmless: the passphrase before the key that it opens,
// keys before certificates, the ledger's line before its certificate, the CA before its leaves, bundles last. Whatever
// is cut off, the next plan finds a key without a certificate, or a bundle that is not whole, and goes on from there.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { dirname } from 'node:path';
import { parseCertificates, type CertificateInfo } from '../certificate/certificate.js';
import { samePublicKey } from '../certificate/public-key.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { appeared, createFile, makeFolder, syncFolder, writeFile } from '../sys/files.js';
import { allEnded, inGroups } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { encodePrivateKey, generateKey } from '../issue/keys.js';
import { decryptPrivateKey, encryptPrivateKey } from '../issue/pbes2.js';
import type { HostName } from '../names.js';
import type { Inventory } from '../plan/inventory.js';
import { describeStep } from '../plan/describe-step.js';
import type { Bundles, Step } from '../plan/plan.js';
import { staleFiles } from '../plan/stale-files.js';
import type { Secret } from '../secret.js';
import { writeBundleFolder } from '../store/bundle-folder.js';
import { layoutOf } from '../store/layout.js';
import type { Settings } from '../settings/settings.js';
import { newPassphrase } from '../custody/passphrase.js';
import {
  assertGivenInFile,
  openPassphraseFile,
  resealPassphraseFile,
  sealPassphraseFile,
} from './obtain-passphrase.js';
import { foundEntries } from '../store/issued.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { assertNothingPending, keepPrevious } from './keep-previous.js';
import { opensNothing } from './passphrase-open.js';
import type { CaWork, StepOf, Work } from './work.js';

/** How many files are written at the same time. */
const writersAtOnce = 16;

interface Signer {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/**
 * Makes all that the plan says but the bundles.
 * @throws passphrase, recipient, tool, files - what was made until then stays, and the next run goes on from it
 */
export async function applyMake(work: Work): Promise<void> {
  const { plan, settings, inventory, sys, at } = work;
  const layout = layoutOf(settings);
  const steps = <Kind extends Step['kind']>(kind: Kind): readonly StepOf<Kind>[] =>
    plan.steps.filter((step): step is StepOf<Kind> => step.kind === kind);

  await recordFound(work, steps('record'));
  const certificates = steps('certificate');
  const [caStep] = steps('ca-certificate');
  const [resealStep] = steps('reseal');
  const opened = resealStep === undefined ? undefined : await resealPassphraseFile(work, resealStep);
  if (caStep === undefined && certificates.length === 0) return;
  await assertGivenInFile(work);
  const anew = new Set(certificates.filter(({ event }) => event === 'renewed').map(({ hostname }) => hostname));
  const renewed = inventory.hosts.filter(({ host: one }) => anew.has(one.hostname));
  assertNothingPending(settings, renewed);

  // Keys and the key derivation run in the thread pool while the packages load and the passphrase is sealed.
  const generated = start(
    Promise.all(steps('key').map(async (step) => ({ step, pair: await generateKey(step.keyType) }))),
  );
  const [caKeyStep] = steps('ca-key');
  const [passphraseStep] = steps('passphrase');
  const passphrase = opened ?? work.passphrase ?? (passphraseStep === undefined ? undefined : newPassphrase());
  // Whatever a person may have chosen has to resist guessing.
  const strength = work.passphrase === undefined && passphraseStep !== undefined ? 'random' : 'typed';
  const generatedCa = caKeyStep === undefined ? undefined : start(generateKey(caKeyStep.keyType));
  const encryptedCa =
    passphrase === undefined || generatedCa === undefined
      ? undefined
      : start(generatedCa.then(({ privateKey }) => encryptPrivateKey(privateKey, passphrase, strength)));
  const x509 = start(import('../issue/x509.js'));

  if (passphrase !== undefined && passphraseStep !== undefined) {
    await sealPassphraseFile(work, passphrase, steps('operator-key')[0], passphraseStep);
  }
  await allEnded(
    [layout.caFolder, layout.roleFolder('smtpd-server'), layout.roleFolder('smtp-client')].map((folder) =>
      makeFolder(folder, 0o755),
    ),
  );
  let ca: Signer;
  if (caKeyStep === undefined || generatedCa === undefined) {
    ca = await openCaKey(settings, inventory, passphrase ?? (await openPassphraseFile(work)));
  } else {
    ca = await generatedCa;
    const pem =
      (await encryptedCa) ?? (await encryptPrivateKey(ca.privateKey, await openPassphraseFile(work), strength));
    if (!(await createFile(layout.caKey.path, pem, layout.caKey.mode))) throw appeared(layout.caKey.path);
    if (passphraseStep === undefined && work.passphrase === undefined) {
      sys.say(
        `took the passphrase that was there already, which other projects may share: ${settings.passphrase.file}`,
      );
    }
    sys.say(`made ${describeStep(caKeyStep)}`);
  }

  const keys = new Map<HostName, KeyObject>();
  for (const { host: target, key, request } of inventory.hosts) {
    const known = request?.info.publicKey ?? key?.privateKey;
    if (known !== undefined) keys.set(target.hostname, known);
  }
  await inGroups(await generated, writersAtOnce, async ({ step, pair }) => {
    await writeFile(step.path, encodePrivateKey(pair.privateKey).revealBytes(), 0o600);
    keys.set(step.hostname, pair.privateKey);
    sys.say(`made ${describeStep(step)}`);
  });
  await syncFolders(steps('key').map(({ path }) => path));

  const { issueCa, issueLeaf } = await x509;
  let caPem = inventory.caCertificate?.info.pem;
  if (caPem === undefined) {
    const { commonName, validDays, permittedDomains } = settings.ca;
    caPem = await issueCa({ commonName, subject: settings.subject, keyPair: ca, at, validDays, permittedDomains });
    await appendLedger(layout, [entryOf('issued', 'ca', commonName, readBack(caPem), at)]);
    await writeFile(layout.caCertificate.path, caPem, layout.caCertificate.mode);
    await syncFolder(layout.caFolder);
    if (caStep !== undefined) sys.say(`made ${describeStep(caStep)}`);
  }
  const issuer = { certificatePem: caPem, privateKey: ca.privateKey };
  const hosts = new Map(inventory.hosts.map((found) => [found.host.hostname, found.host]));
  const issued = await inGroups(certificates, writersAtOnce, async (step) => {
    const key = keys.get(step.hostname);
    const target = hosts.get(step.hostname);
    if (key === undefined || target === undefined) throw new TypeError(`the plan has no key for ${step.hostname}`);
    const pem = await issueLeaf({
      role: step.role,
      hostname: step.hostname,
      altNames: target.altNames,
      subject: settings.subject,
      publicKey: key.type === 'public' ? key : createPublicKey(key),
      ca: issuer,
      at,
      validDays: settings.certificates.validDays,
    });
    return { step, pem, info: readBack(pem) };
  });
  await keepPrevious(settings, renewed);
  await appendLedger(
    layout,
    issued.map(({ step, info }) => entryOf(step.event, step.role, step.hostname, info, at)),
  );
  await inGroups(issued, writersAtOnce, async ({ step, pem }) => {
    await writeFile(step.path, pem, 0o644);
    sys.say(`made ${describeStep(step)}`);
  });
  await syncFolders(certificates.map(({ path }) => path));
}

/** The hosts whose bundle differs from what is there. */
export function hostsBehind({ hosts }: Inventory, bundles: Bundles): readonly HostName[] {
  return hosts
    .filter(({ host: { hostname }, bundle }) => staleFiles(bundle, bundles.get(hostname) ?? new Map()).length > 0)
    .map(({ host: { hostname } }) => hostname);
}

/** Brings the bundles that differ from what is there into being, each as a whole. */
export async function writeBundles(inventory: Inventory, bundles: Bundles, sys: Pick<Sys, 'say'>): Promise<void> {
  await inGroups(inventory.hosts, writersAtOnce, async ({ host: { hostname }, bundle, bundleFolder }) => {
    const wanted = bundles.get(hostname) ?? new Map<string, Buffer>();
    const changed = new Set(staleFiles(bundle, wanted));
    if (changed.size === 0) return;
    const files = [...wanted].map(([name, bytes]) => {
      const isPrivate = name.endsWith('.key.pem') || name.endsWith('.chain.pem');
      return { name, bytes, mode: isPrivate ? (0o600 as const) : (0o644 as const) };
    });
    await writeBundleFolder(bundleFolder, files, changed);
    sys.say(`made the bundle of ${hostname} (${[...changed].join(', ')}): ${bundleFolder}`);
  });
}

/** The CA's certificate and key, opened with the passphrase. @throws passphrase, certificate, contradiction, tool */
export async function openIssuer(
  work: CaWork,
): Promise<{ readonly certificatePem: string; readonly privateKey: KeyObject }> {
  const { settings, inventory, passphrase } = work;
  if (inventory.caCertificate === undefined) throw new TypeError('an issuer without a certificate');
  const { privateKey } = await openCaKey(settings, inventory, passphrase ?? (await openPassphraseFile(work)));
  return { certificatePem: inventory.caCertificate.info.pem, privateKey };
}

/** The CA's key pair, which fits its certificate where there is one. @throws passphrase, certificate, contradiction */
export async function openCaKey(
  settings: Settings,
  { caKey, caKeyPath, caCertificate }: Inventory,
  passphrase: Secret,
): Promise<Signer> {
  if (caKey === undefined) throw new TypeError('the plan opens a CA key that is not there');
  let privateKey: KeyObject;
  try {
    privateKey = await decryptPrivateKey(caKey.toString('utf8'), passphrase, { from: quotePath(caKeyPath) });
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code !== 'passphrase') throw error;
    throw await opensNothing(settings, error.message);
  }
  const publicKey = createPublicKey(privateKey);
  if (caCertificate !== undefined && !samePublicKey(publicKey, caCertificate.info.publicKey)) {
    throw new RelaycertsError(
      'contradiction',
      `the CA's key ${quotePath(caKeyPath)} does not belong to its certificate ${quotePath(caCertificate.path)}`,
      { hint: 'bring both back from the same backup' },
    );
  }
  return { privateKey, publicKey };
}

async function recordFound({ inventory, settings, sys }: Work, records: readonly StepOf<'record'>[]): Promise<void> {
  if (records.length === 0) return;
  const serials = new Set<string>(records.map(({ serial }) => serial));
  const found = foundEntries(inventory, settings.ca.commonName, (serial) => serials.has(serial));
  await appendLedger(layoutOf(settings), found);
  for (const step of records) sys.say(`made ${describeStep(step)}`);
}

function readBack(pem: string): CertificateInfo {
  const [info] = parseCertificates(Buffer.from(pem), { from: 'the new certificate' });
  if (info === undefined) throw new TypeError('a new certificate cannot be read back');
  return info;
}

/** Begins work whose failure is told where it is awaited, and nowhere else. */
function start<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

async function syncFolders(paths: readonly string[]): Promise<void> {
  for (const folder of new Set(paths.map((path) => dirname(path)))) await syncFolder(folder);
}
