// `relaycerts sign`: the certificate of a host that makes its own key. The stored request marks the key as being at the
// host. The rest is a make of what this host needs: the CA if there is none yet, the certificate, the bundles.

import { resolve } from 'node:path';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { encodeSpki } from '../certificate/public-key.js';
import { parseRequest, type RequestInfo } from '../certificate/request.js';
import { RelaycertsError, commandText, listSome, quote, quotePath } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { hostsIn, type Install } from '../plan/install.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { isHostStep, planMake, type Step } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { installParagraph, renderInstallation, renderNowRun } from '../render/now-run.js';
import { newKeyWords } from '../render/request.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { layoutOf } from '../store/layout.js';
import { readFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { warnSome } from '../sys/warn-some.js';
import { certify, madeLines } from './certify.js';
import { findHost, foundOf, withHosts } from './hosts.js';
import { prepareCa } from './make-ca.js';
import { changing, contradiction, type CaOptions } from './run.js';

export interface SignOptions extends CaOptions {
  /** The request, as typed; `-` is standard input. */
  readonly file: string;
  /** As typed: the host whose certificate it is. */
  readonly hostname: string;
  /** The host was revoked, and should relay again. */
  readonly again: boolean;
}

/** Octets; a request for a 4096-bit RSA key has 2 KB. */
const requestLimit = 64 * 1024;

/** @throws settings, usage, certificate, contradiction, lock, passphrase, recipient, tool, files */
export async function sign(options: SignOptions, sys: Sys): Promise<void> {
  if (options.file === '-' && options.passphraseFd === 0) {
    throw new RelaycertsError('usage', 'the request and the passphrase cannot both come from standard input', {
      hint: { run: ['sign', 'FILE', '--host', options.hostname, '--passphrase-fd', '0'] },
    });
  }
  const info = await readRequest(options.file, sys);
  await changing(options, sys, async ({ commit, given, ...work }) => {
    const { settings, at } = work;
    const one = findHost(settings, options.hostname);
    sayIgnored(info, one, sys);
    const found = foundOf(work.inventory, one);
    assertNotRevoked(settings, work.inventory, found, info, options.again);
    assertSignable(found, info, settings);
    const { path } = layoutOf(settings).request(one.role, one.hostname);
    const request = found.request ?? { path, info };
    const inventory = withHosts(work.inventory, [one.hostname], { request, isRevoked: false });
    const custody = { recipients: { kind: 'same' }, isGiven: given !== undefined } as const;
    const plan = planMake(settings, inventory, bundlesOf(settings, inventory), at, custody);
    warnSome(plan.warnings, sys);
    if (plan.problems.length > 0) throw contradiction(plan.problems);
    const hold = plan.held.find(({ hostname }) => hostname === one.hostname);
    if (hold !== undefined) throw contradiction([hold]);
    const steps = stepsFor(one, plan.steps);
    const ca = await prepareCa({ ...work, inventory }, steps, given);
    const signing = { issuer: ca.issuer, keys: new Map(), at, progress: sys.progress };
    const hostSteps = steps.filter(isHostStep);
    const certified = await certify(settings, ca.after, hostSteps, signing);
    const { certificate } = foundOf(certified.after, one);
    if (certificate === undefined) throw new TypeError(`no certificate of ${one.hostname} after it was signed`);
    const json = {
      host: one.hostname,
      request: path,
      certificate: certificate.path,
      serial: certificate.info.serial,
      expires: certificate.info.notAfter,
      steps,
    };
    await commit({
      after: certified.after,
      entries: [...ca.entries, ...certified.entries],
      keeps: ca.keeps,
      removes: [],
      answer: (install) => writeAnswer('sign', { ...json, install }),
      tell: (install) => renderNext(settings, certified.after, install),
      done: [
        ...ca.done,
        ...(found.request === undefined
          ? [{ what: `stored the request, which says that ${one.hostname} keeps its key`, path }]
          : []),
        ...madeLines(hostSteps),
        ...(steps.length === 0
          ? [{ what: `nothing to sign: ${one.hostname} has its certificate for this key`, path: certificate.path }]
          : []),
      ],
    });
  });
}

/** The steps that this host's certificate needs; none if it has one. */
function stepsFor({ hostname }: HostSettings, steps: readonly Step[]): readonly Step[] {
  const kinds: readonly Step['kind'][] = ['operator-key', 'passphrase', 'ca-key', 'ca-certificate'];
  const isOwn = (step: Step): boolean => step.kind === 'certificate' && step.hostname === hostname;
  if (!steps.some(isOwn)) return [];
  return steps.filter((step) => isOwn(step) || kinds.includes(step.kind));
}

/** Existing files are not replaced: the user decides by removing them. @throws contradiction */
function assertSignable(found: HostInventory, { spki }: RequestInfo, settings: Settings): void {
  const { host, key, keyPath, request, requestPath, certificate, bundleFolder, bundle } = found;
  const { hostname } = host;
  const there = `there: ${newKeyWords(settings, hostname)}`;
  const pin = host.role === 'smtp-client' ? '; the relays then need their new bundles, because the pin changes' : '';
  const rm = (...paths: readonly (string | undefined)[]): string =>
    `rm ${paths.flatMap((path) => (path === undefined ? [] : [shellWord(path)])).join(' ')}, and sign again${pin}`;
  if (key !== undefined) {
    const places = layoutOf(settings).bundle(hostname);
    const bundled = [places.key.path, places.chain.path].filter((path) =>
      bundle.has(path.slice(bundleFolder.length + 1)),
    );
    throw new RelaycertsError('contradiction', `${hostname} has a key that was made here: ${quotePath(keyPath)}`, {
      hint: `for a key of its own, ${there}; then here: ${rm(keyPath, certificate?.path, ...bundled)}`,
    });
  }
  if (request !== undefined && !request.info.spki.equals(spki)) {
    throw new RelaycertsError(
      'contradiction',
      `the request is for another key than the one stored for ${hostname}: ${quotePath(requestPath)}`,
      { hint: `if the host has a new key, here: ${rm(requestPath, certificate?.path)}` },
    );
  }
  if (certificate !== undefined && !encodeSpki(certificate.info.publicKey).equals(spki)) {
    throw new RelaycertsError(
      'contradiction',
      `the request is for another key than the certificate of ${hostname}: ${quotePath(certificate.path)}`,
      { hint: `if the host has a new key, here: ${rm(certificate.path)}` },
    );
  }
}

/** A revoked key never comes back; a revoked host does only on request. @throws contradiction */
function assertNotRevoked(
  settings: Settings,
  { revoked }: Inventory,
  { host: { hostname }, isRevoked }: HostInventory,
  { publicKey }: RequestInfo,
  again: boolean,
): void {
  if (revoked.keys.has(fingerprintOf(publicKey, 'public-key', 'sha256'))) {
    throw new RelaycertsError('contradiction', 'the key of the request was revoked', {
      hint: `there: ${newKeyWords(settings, hostname)}`,
    });
  }
  if (!isRevoked || again) return;
  throw new RelaycertsError('contradiction', `${hostname} is revoked`, {
    hint: { run: ['sign', 'FILE', '--host', hostname, '--again'], before: 'to let it relay again, with this new key:' },
  });
}

async function readRequest(file: string, sys: Sys): Promise<RequestInfo> {
  const from = file === '-' ? 'standard input' : quotePath(file);
  const bytes =
    file === '-'
      ? await sys.readStdin(requestLimit)
      : readFile(resolve(sys.cwd, file), { limit: requestLimit, followLink: true });
  if (bytes !== undefined) return parseRequest(bytes, { from });
  throw new RelaycertsError('files', `there is no file ${from}`, {
    hint: { run: ['show', 'HOST', '--section', 'request'], after: 'prints how to make it' },
  });
}

function sayIgnored({ names }: RequestInfo, { hostname, altNames }: HostSettings, sys: Sys): void {
  const own: readonly string[] = [hostname, ...altNames];
  const others = [...new Set(names)].filter((name) => !own.includes(name.toLowerCase()));
  if (others.length === 0) return;
  const asked = listSome(others.map((name) => quote(name)));
  sys.say(`the request asks for ${asked}: ignored; the settings say ${own.join(', ')}`);
}

/** What to run now; the output of make comes before this host's, because the relays have to list it. */
function renderNext(settings: Settings, after: Inventory, install: readonly Install[]): string {
  const isFirst = after.hosts.some(({ certificate, isRevoked }) => certificate === undefined && !isRevoked);
  if (!isFirst) return renderInstallation(settings, after, install);
  return renderNowRun(
    { words: 'Now run, for the other hosts:', run: [commandText(settings.program, ['make'])] },
    installParagraph(settings, hostsIn(install), 'After what that prints, run:'),
  );
}
