// `relaycerts adopt`: an existing CA and what it signed become this project's. Everything is read and proven first; then
// it is one change, which copies and replaces nothing. Bundles are left to make, which replaces what is not right.

import { dirname, resolve } from 'node:path';
import { planAdoption } from '../adopt/adoption.js';
import { chooseCa, openKeys } from '../adopt/choose-ca.js';
import { findHostMaterial, type HostMaterial } from '../adopt/choose-hosts.js';
import { gatherMaterial, openWarnings, passphraseSource } from '../adopt/gather.js';
import { proposeSettings, withCa, type Wishes } from '../adopt/propose-settings.js';
import { renderAdoption, renderAdoptionJson, type Report } from '../adopt/render-adoption.js';
import { readMakeSettings } from '../adopt/settings-mk.js';
import { readPassphraseFd } from '../custody/passphrase.js';
import { RelaycertsError, commandText, quotePath } from '../errors.js';
import { findHostName, parseHostName, type HostName } from '../names.js';
import type { Inventory } from '../plan/inventory.js';
import type { Step } from '../plan/plan.js';
import type { Secret } from '../secret.js';
import { membersOf } from '../settings/jsonc.js';
import type { Settings } from '../settings/settings.js';
import { changeTo } from '../store/state-change.js';
import { shownPath } from '../sys/shown-path.js';
import type { Sys } from '../sys/sys.js';
import type { KnownDraft } from '../wizard/answers.js';
import { findSettings, writeSchema } from '../wizard/settings-file.js';
import { agree } from '../sys/agree.js';
import { prepareCa } from './make-ca.js';
import { commitChangeWithWords, inNewProject } from './locked.js';
import { contradiction, type CaOptions } from './run.js';
import { readProject } from './known-clients.js';

export interface AdoptOptions extends CaOptions {
  /** As typed, like the files; undefined: only the files. */
  readonly folder: string | undefined;
  readonly caKey: string | undefined;
  readonly caCert: string | undefined;
  readonly index: string | undefined;
  readonly certificate: readonly string[];
  readonly relay: readonly string[];
  readonly client: readonly string[];
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** @throws usage, settings, contradiction, certificate, passphrase, recipient, tool, permissions, lock, files, interrupted */
export async function adopt(options: AdoptOptions, sys: Sys): Promise<void> {
  const given = options.passphraseFd === undefined ? undefined : await readPassphraseFd(options.passphraseFd);
  const { plan, draft, ca } = await prepare(options, given, sys);
  const { settings } = draft;
  const shown = (path: string): string => shownPath(path, sys);
  if (options.dryRun) {
    const inventory = await readProject(settings, sys);
    assertNothingHere(settings, inventory);
    const report = plan(inventory);
    sys.write(options.json ? renderAdoptionJson(report, true) : renderAdoption(report, shown));
    return;
  }
  await inNewProject(settings, sys, async (lock) => {
    const inventory = await readProject(settings, sys);
    const isDone = inventory.caKey !== undefined && inventory.caCertificate?.info.der.equals(ca.held.info.der) === true;
    if (!isDone) assertNothingHere(settings, inventory);
    const report = plan(inventory);
    const { adoption, newText, next } = report;
    const answer = options.json ? renderAdoptionJson(report, false) : '';
    const schema = membersOf(draft.text)['$schema'];
    if (isDone) {
      await writeSchema(settings.file, schema);
      sys.say('this CA is adopted already', inventory.caCertificatePath);
      sys.write(options.json ? answer : renderNext(next));
      return;
    }
    if (!options.json) sys.write(renderAdoption(report, shown));
    await agree(options, sys, {
      ask: 'Adopt this CA?',
      deed: 'adopt asks before it writes',
      unasked: { run: [...sys.typed, '--yes'], before: 'to adopt without asking:' },
      declined: 'nothing was written',
    });
    const work = {
      settings,
      inventory: { ...inventory, caCertificate: adoption.after.caCertificate },
      sys,
      at: sys.now(),
    };
    const custody = await prepareCa(work, custodySteps(settings, inventory), undefined, ca.pair);
    const { caKey, passphraseFile, operatorKey } = custody.after;
    const after = { ...adoption.after, caKey, passphraseFile, operatorKey };
    // The settings come first, because without them nobody looks for the rest.
    const keeps = [...settingsWrite(draft, newText), ...adoption.keeps, ...custody.keeps];
    const decision = { after, entries: adoption.entries, keeps, removes: [] };
    const change = changeTo(settings, sys.configHome, inventory, decision, new Map());
    await commitChangeWithWords(settings, sys, lock, change, answer, () => {
      for (const done of custody.done) {
        if (typeof done === 'string') sys.say(done);
        else if (done.path !== inventory.caKeyPath) sys.say(done.what, done.path);
      }
    });
    await writeSchema(settings.file, schema);
    for (const { message, hint } of custody.warnings) sys.warn(message, hint);
    sys.say('adopted the CA', inventory.caCertificatePath);
    if (!options.json) sys.write(renderNext(next));
  });
}

interface Prepared {
  readonly plan: (inventory: Inventory) => Report;
  readonly draft: KnownDraft & { readonly path: string | undefined };
  readonly ca: Report['ca'];
}

/** Reads and proves everything; nothing is written. */
async function prepare(options: AdoptOptions, given: Secret | undefined, sys: Sys): Promise<Prepared> {
  const file = options.settings;
  const absolute = (path: string): string => resolve(sys.cwd, path);
  const [folder, keyFile, certificateFile, index] = [options.folder, options.caKey, options.caCert, options.index].map(
    (path) => (path === undefined ? undefined : absolute(path)),
  );
  const sources = { folder, caKey: keyFile, caCert: certificateFile, index, files: options.certificate.map(absolute) };
  const { material, kind } = await gatherMaterial(sources, dirname(file));
  const found = await findSettings(file, sys);
  const makeFile = material.makeSettings;
  const fromMake = makeFile && readMakeSettings(makeFile.bytes.toString('utf8'), sys.home);
  const at = sys.now();
  const plain = await openKeys(material, undefined, sys.run);
  const ask = passphraseSource({ given, material, wanted: fromMake?.passphraseFile, folder, sys });
  const ca = await chooseCa(material, plain, { ask, run: sys.run, at, keyFile, certificateFile });
  for (const message of openWarnings(folder, material, ca, sys.uid)) sys.warn(message);
  const passphrase = ca.passphrase ?? given;
  const locked = passphrase === undefined ? [] : await openKeys(material, passphrase, sys.run);
  const hosts = findHostMaterial(material, ca, [...plain, ...locked], folder, at);
  const { home, program, command, uid } = sys;
  const context = { home, program, command, uid, file };
  const first = found ?? proposeSettings(hosts.hosts, wishesOf(options, hosts.hosts, fromMake), context);
  const draft = { ...withCa(first, ca.held.info, context), path: found?.path };
  const { settings, text } = draft;
  const plan = (inventory: Inventory): Report => ({
    kind,
    ca,
    found: hosts,
    adoption: planAdoption(settings, inventory, ca, hosts, at),
    settings,
    newText: text === found?.text ? undefined : text,
    isNewFile: found === undefined,
    passedOver: material.passedOver,
    next: nextCommands(settings, ca.flaws.length > 0),
  });
  return { plan, draft, ca };
}

/** The hosts that were named with --relay and --client, in whole or as a label of a host that was found. @throws usage */
function wishesOf(
  { relay, client }: AdoptOptions,
  hosts: readonly HostMaterial[],
  fromMake: Wishes['fromMake'],
): Wishes {
  const nameOf = (word: string): HostName =>
    hosts.find(({ hostname }) => hostname.split('.')[0] === word.toLowerCase())?.hostname ??
    findHostName(word, fromMake?.domain) ??
    parseHostName(word);
  return { relays: relay.map(nameOf), clients: client.map(nameOf), fromMake };
}

/** @throws contradiction - something is there already, which nothing replaces */
function assertNothingHere({ folder }: Settings, inventory: Inventory): void {
  if (inventory.problems.length > 0) throw contradiction(inventory.problems);
  const { caKey, caCertificate, hasLedger, hosts } = inventory;
  const hasHost = hosts.some(({ key, certificate, request }) => key ?? certificate ?? request);
  if (caKey === undefined && caCertificate === undefined && !hasLedger && !hasHost) return;
  throw new RelaycertsError('contradiction', `${quotePath(folder)} has a CA already, and nothing is replaced`, {
    hint: { run: ['adopt', '...'], before: 'adopt into another folder: mkdir ~/relay && cd ~/relay &&' },
  });
}

/** What keeps the CA's key here: the passphrase that is there, or a new one. */
function custodySteps({ passphrase, ca }: Settings, inventory: Inventory): readonly Step[] {
  const { operatorKey, operatorKeyPath, caKeyPath, passphraseFile } = inventory;
  const { file, recipients } = passphrase;
  const isFirst = recipients.length === 0 && operatorKey === undefined;
  const made: readonly Step[] = [
    ...(isFirst ? [{ kind: 'operator-key', path: operatorKeyPath } as const] : []),
    { kind: 'passphrase', path: file, recipients },
  ];
  return [...(passphraseFile === undefined ? made : []), { kind: 'ca-key', path: caKeyPath, keyType: ca.keyType }];
}

function settingsWrite({ text, settings, path }: Prepared['draft'], newText: string | undefined) {
  if (newText === undefined) return [];
  const isNew = path === undefined;
  return [{ path: path ?? settings.file, bytes: Buffer.from(text), mode: 0o644, folderMode: 0o700, isNew } as const];
}

function nextCommands({ program }: Settings, isFlawed: boolean): readonly string[] {
  const renewed = isFlawed ? [commandText(program, ['renew', '--ca'])] : [];
  return [...renewed, commandText(program, ['make'])];
}

function renderNext(next: readonly string[]): string {
  return `Now run:\n${next.map((line) => `  ${line}\n`).join('')}`;
}
