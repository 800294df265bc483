// `relaycerts sign`: the certificate of a host that makes its own key. The request is stored first: from then on it says
// that the key is at the host, and whatever is cut off after that, the next make or sign goes on from it. The rest is a
// make of what this host needs: the CA where there is none yet, the certificate, the bundles that change.

import { resolve } from 'node:path';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { parseRequest, type RequestInfo } from '../certificate/request.js';
import { encodeSpki } from '../certificate/public-key.js';
import { RelaycertsError, listSome, quote, quotePath } from '../errors.js';
import { appeared, createFile, makeFolder, readFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { leftProblems } from '../plan/host-problems.js';
import { planMake, type Step } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { installWords } from '../render/commands.js';
import { newKeyWords } from '../render/request.js';
import type { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { layoutOf } from '../store/layout.js';
import { guardWriting } from '../store/guard-writing.js';
import { readLedger } from '../store/ledger.js';
import { withTurn } from '../store/turn.js';
import { readInventory } from '../store/read.js';
import { assertRoom, workOf } from '../store/room.js';
import { settle } from '../store/settle.js';
import { sweepTemporaries } from '../store/sweep.js';
import { applyMake, writeBundles } from './apply-make.js';
import { installedRelays } from './change.js';
import { contradiction, readGivenPassphrase } from './make.js';
import type { GlobalOptions } from './options.js';
import { findHost } from './show.js';

export interface SignOptions extends GlobalOptions {
  /** The request, as typed; `-` is standard input. */
  readonly file: string;
  /** As typed: the host whose certificate it is. */
  readonly hostname: string;
  /** The host was revoked, and is to relay again. */
  readonly again: boolean;
  /** A file descriptor to read the CA's passphrase from. */
  readonly passphraseFd: number | undefined;
}

/** Octets; a request for an RSA key of 4096 bits has 2 KB. */
const requestLimit = 64 * 1024;

/** @throws settings, usage, certificate, contradiction, lock, passphrase, recipient, tool, files */
export async function sign(options: SignOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const one = findHost(settings, options.hostname);
  if (options.file === '-' && options.passphraseFd === 0) {
    throw new RelaycertsError('usage', 'the request and the passphrase cannot both come from standard input', {
      hint: `relaycerts sign FILE --host ${one.hostname} --passphrase-fd 0`,
    });
  }
  const info = await readRequest(options.file, sys);
  sayIgnored(info, one, sys);
  await guardWriting(settings, sys);
  const passphrase = await readGivenPassphrase(options.passphraseFd);
  const layout = layoutOf(settings);
  const { steps, inventory } = await withTurn(settings, sys, () =>
    signLocked({ settings, one, info, again: options.again, sys, passphrase }),
  );
  const { certificate } = foundOf(inventory, one);
  if (certificate === undefined) throw new TypeError(`no certificate of ${one.hostname} after it was signed`);
  if (options.json) {
    const { path } = certificate;
    const { hostname } = one;
    const request = layout.request(one.role, hostname).path;
    const made = {
      host: hostname,
      request,
      certificate: path,
      serial: certificate.info.serial,
      expires: certificate.info.notAfter,
      made: steps,
    };
    sys.write(`${JSON.stringify(made, undefined, 2)}\n`);
  }
  if (steps.length === 0)
    sys.say(`nothing to sign: ${one.hostname} has its certificate for this key: ${certificate.path}`);
  if (!options.json) sys.write(renderNext(settings, one, inventory));
}

interface Work {
  readonly settings: Settings;
  readonly one: HostSettings;
  readonly info: RequestInfo;
  readonly again: boolean;
  readonly sys: Sys;
  readonly passphrase: Secret | undefined;
}

async function signLocked({
  settings,
  one,
  info,
  again,
  sys,
  passphrase,
}: Work): Promise<{ readonly steps: readonly Step[]; readonly inventory: Inventory }> {
  const at = sys.now();
  const layout = layoutOf(settings);
  await settle(settings, sys);
  const before = await readInventory(settings, sys);
  if (before.problems.length > 0) throw contradiction(before.problems);
  const found = foundOf(before, one);
  await assertNotRevoked(settings, found, info, again);
  assertSignable(found, info, settings);
  const left = leftProblems(found);
  if (left.length > 0) throw contradiction(left);

  // The plan of a make that finds the request in its place; of it, what this host needs.
  const { path, mode } = layout.request(one.role, one.hostname);
  const request = found.request ?? { path, info };
  const inventory = {
    ...before,
    hosts: before.hosts.map((other) => (other === found ? { ...found, request, isRevoked: false } : other)),
  };
  const plan = planMake(settings, inventory, bundlesOf(settings, inventory), layout.ledger.path, at, {
    recipients: { kind: 'same' },
    isGiven: passphrase !== undefined,
  });
  for (const { message, hint } of plan.warnings) sys.warn(message, hint);
  if (plan.problems.length > 0) throw contradiction(plan.problems);
  const steps = stepsFor(one, plan.steps);

  await assertRoom(settings, sys, workOf(steps));
  await sweepTemporaries(settings, sys, at);
  if (found.request === undefined) {
    await makeFolder(layout.roleFolder(one.role), 0o755);
    if (!(await createFile(path, info.pem, mode))) throw appeared(path);
    sys.say(`stored the request, which says that ${one.hostname} keeps its key: ${path}`);
  }
  await applyMake({ plan: { ...plan, steps }, settings, inventory, sys, at, passphrase });
  const after = await readInventory(settings, sys);
  if (after.problems.length > 0) throw contradiction(after.problems);
  await writeBundles(after, bundlesOf(settings, after), sys);
  return { steps, inventory: after };
}

/** The steps without which this host has no certificate; none where it has it. */
function stepsFor({ hostname }: HostSettings, steps: readonly Step[]): readonly Step[] {
  const kinds: readonly Step['kind'][] = ['operator-key', 'passphrase', 'ca-key', 'ca-certificate', 'record'];
  const isOwn = (step: Step): boolean => step.kind === 'certificate' && step.hostname === hostname;
  if (!steps.some(isOwn)) return [];
  return steps.filter((step) => isOwn(step) || kinds.includes(step.kind));
}

function remove(...paths: readonly string[]): string {
  return `rm ${paths.map((path) => shellWord(path)).join(' ')}`;
}

/** Nothing that is there is replaced: how to go on is for the user to say, by removing it. @throws contradiction */
function assertSignable(found: HostInventory, { spki }: RequestInfo, settings: Settings): void {
  const { host, key, keyPath, request, requestPath, certificate, bundleFolder } = found;
  const { hostname } = host;
  const anew = `there: ${newKeyWords(settings, hostname)}`;
  const pinChanges = host.role === 'smtp-client' ? '; the relays need their new bundles then, for the pin changes' : '';
  if (key !== undefined) {
    const { key: bundled, chain } = layoutOf(settings).bundle(hostname);
    const paths = [
      keyPath,
      ...(certificate === undefined ? [] : [certificate.path]),
      ...[bundled, chain]
        .map(({ path }) => path)
        .filter((path) => found.bundle.has(path.slice(bundleFolder.length + 1))),
    ];
    throw new RelaycertsError('contradiction', `${hostname} has a key that was made here: ${quotePath(keyPath)}`, {
      hint: `for a key of its own, ${anew}; then here: ${remove(...paths)}, and sign again${pinChanges}`,
    });
  }
  if (request !== undefined && !request.info.spki.equals(spki)) {
    throw new RelaycertsError(
      'contradiction',
      `the request is for another key than the one that is stored for ${hostname}: ${quotePath(requestPath)}`,
      {
        hint: `where the host has a new key, here: ${remove(requestPath, ...(certificate === undefined ? [] : [certificate.path]))}, and sign again${pinChanges}`,
      },
    );
  }
  if (certificate !== undefined && !encodeSpki(certificate.info.publicKey).equals(spki)) {
    throw new RelaycertsError(
      'contradiction',
      `the request is for another key than the certificate of ${hostname}: ${quotePath(certificate.path)}`,
      { hint: `where the host has a new key, here: ${remove(certificate.path)}, and sign again${pinChanges}` },
    );
  }
}

/** A key that was revoked stays out for good; a host comes back only where that is said. @throws contradiction */
async function assertNotRevoked(
  settings: Settings,
  { host: { hostname }, isRevoked }: HostInventory,
  { publicKey }: RequestInfo,
  again: boolean,
): Promise<void> {
  const pin = fingerprintOf(publicKey, 'public-key', 'sha256');
  const { entries } = await readLedger(layoutOf(settings));
  const revoked = entries.find(({ event, publicKeySha256 }) => event === 'revoked' && publicKeySha256 === pin);
  if (revoked !== undefined) {
    throw new RelaycertsError(
      'contradiction',
      `the key of the request was revoked on ${quote(revoked.time.slice(0, 10))}, as that of ${quote(revoked.name)}`,
      { hint: `there: ${newKeyWords(settings, hostname)}` },
    );
  }
  if (isRevoked && !again) {
    throw new RelaycertsError('contradiction', `${hostname} is revoked`, {
      hint: `to let it relay again, with this new key: relaycerts sign FILE --host ${hostname} --again`,
    });
  }
}

function foundOf({ hosts }: Inventory, { hostname }: HostSettings): HostInventory {
  const found = hosts.find((one) => one.host.hostname === hostname);
  if (found === undefined) throw new TypeError(`the inventory has no ${hostname}`);
  return found;
}

async function readRequest(file: string, sys: Sys): Promise<RequestInfo> {
  const from = file === '-' ? 'standard input' : quotePath(file);
  const bytes =
    file === '-'
      ? await sys.readStdin(requestLimit)
      : await readFile(resolve(sys.cwd, file), { limit: requestLimit, followLink: true });
  if (bytes === undefined) {
    throw new RelaycertsError('files', `there is no file ${from}`, {
      hint: 'relaycerts show HOST --section request prints how to make it',
    });
  }
  return parseRequest(bytes, { from });
}

function sayIgnored({ names }: RequestInfo, one: HostSettings, sys: Sys): void {
  const own: readonly string[] = [one.hostname, ...one.altNames];
  const others = [...new Set(names)].filter((name) => !own.includes(name.toLowerCase()));
  if (others.length === 0) return;
  sys.say(
    `the request asks for ${listSome(others.map((name) => quote(name)))}: ignored; the settings say ${own.join(', ')}`,
  );
}

/** What to install now, the table before the client whose pin is in it. */
function renderNext(settings: Settings, one: HostSettings, after: Inventory): string {
  if (after.hosts.some(({ certificate, isRevoked }) => certificate === undefined && !isRevoked)) {
    return `next: ${settings.program} make, for the other hosts\n`;
  }
  const relays = one.role === 'smtp-client' ? installedRelays(after).map(({ hostname }) => hostname) : [];
  return [
    ...relays.map((hostname) => `first, for the table: ${installWords(settings, hostname)}\n`),
    `${relays.length > 0 ? 'then' : 'now'}: ${installWords(settings, one.hostname)}\n`,
  ].join('');
}
