// What `adopt` found and will do, for people and as JSON. Names from certificates are unchecked, so they are quoted;
// nothing is decided here.

import { fingerprintOf } from '../certificate/fingerprint.js';
import { caFlaws } from '../certificate/ca-flaws.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import { listSome, quotePath } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { describeFlaw } from '../plan/findings.js';
import type { Settings } from '../settings/settings.js';
import type { Adoption, AdoptedHost } from './adoption.js';
import { nameOf, type ChosenCa } from './choose-ca.js';
import type { FoundHosts } from './choose-hosts.js';
import type { Kind } from './material.js';

/** Everything that there is to say. */
export interface Report {
  readonly kind: Kind;
  readonly ca: ChosenCa;
  readonly found: FoundHosts;
  readonly adoption: Adoption;
  readonly settings: Settings;
  /** The settings file's new text; undefined if it stays as it is. */
  readonly newText: string | undefined;
  readonly isNewFile: boolean;
  readonly passedOver: readonly string[];
  /** Command lines, in their order. */
  readonly next: readonly string[];
}

/** Lines about each of many hosts, and a number for the others. */
const mostLines = 20;
/** Of a line of the settings: one has all hosts. */
const mostCharacters = 500;

/** The text before the question. */
export function renderAdoption(report: Report, shown: (path: string) => string): string {
  const { kind, ca, found, adoption, settings, newText, isNewFile, passedOver } = report;
  const { info } = ca.held;
  const day = info.notAfter.toISOString().slice(0, 10);
  const flaws = caFlaws(info).map(describeFlaw);
  const rows = [
    ['CA', `${nameOf(ca.held)}, until ${day}, ${keyTypeOfSpki(info.spki) ?? 'unknown key'}`],
    ['', `SHA-256 ${fingerprintOf(info, 'certificate', 'sha256')}`],
    ...ca.flaws.map((flaw) => ['', `${flaw}: renew --ca fixes that`]),
    ...(flaws.length === 0 ? [] : [['', `works, but has ${listSome(flaws)}: renew --ca fixes that`]]),
    ...some(adoption.hosts.map((one) => [one.host.role === 'smtpd-server' ? 'relay' : 'home', hostLine(one)])),
    ...some(
      found.revoked.map(({ hostname, line }) => ['revoked', `${hostname}, serial ${line.serial}; it stays revoked`]),
    ),
    ...some(
      adoption.leftOut.map(({ name, path, why }) => [
        'left out',
        `${name} ${why}${path === '' ? '' : `: ${shown(path)}`}`,
      ]),
    ),
    ...(passedOver.length === 0 ? [] : [['not read', listSome(passedOver.map((path) => quotePath(path)))]]),
  ];
  const lines = rows.map(([head = '', text = '']) => `  ${head.padEnd(9)} ${text}`);
  const file = shown(settings.file);
  const written =
    newText === undefined
      ? []
      : [`${isNewFile ? 'New' : 'Changed'} ${file}:`, '', ...newText.trimEnd().split('\n').map(clip), ''];
  return `${[
    `Found ${kind === 'files' ? 'a CA' : `the CA of ${kind}`}; it is copied, and the original is not changed:`,
    ...lines,
    '',
    ...written,
    `The CA's key gets a new passphrase, encrypted in ${shown(settings.passphrase.file)}.`,
  ].join('\n')}\n`;
}

function some(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  if (rows.length <= mostLines) return rows;
  return [...rows.slice(0, mostLines), ['', `and ${rows.length - mostLines} more; all of them with --json`]];
}

function clip(line: string): string {
  return line.length <= mostCharacters ? line : `${line.slice(0, mostCharacters)}... (all of it with --json)`;
}

function hostLine({ host, key, certificate, why }: AdoptedHost): string {
  const { hostname } = host;
  if (key === 'new') return `${hostname} gets a new key from make, and so another pin: ${why}`;
  const kept = key === 'here' ? 'keeps its key' : 'keeps its key, which is there';
  return `${hostname} ${kept}${certificate === 'kept' ? ' and its certificate' : '; make issues a new certificate'}`;
}

export function renderAdoptionJson(report: Report, isDryRun: boolean): string {
  const { kind, ca, found, adoption, settings, newText, next, passedOver } = report;
  const { info } = ca.held;
  return writeAnswer('adopt', {
    dryRun: isDryRun,
    kind,
    ca: {
      name: info.commonName ?? null,
      sha256: fingerprintOf(info, 'certificate', 'sha256'),
      serial: info.serial,
      expires: info.notAfter,
      keyType: keyTypeOfSpki(info.spki) ?? null,
      flaws: [...ca.flaws, ...caFlaws(info).map(describeFlaw)],
    },
    settings: settings.file,
    settingsText: newText ?? null,
    hosts: adoption.hosts.map(({ host, key, certificate, why }) => ({
      host: host.hostname,
      role: host.role,
      key,
      certificate,
      why: why === '' ? null : why,
    })),
    revoked: found.revoked.map(({ hostname, held }) => ({ host: hostname, serial: held.info.serial })),
    leftOut: adoption.leftOut.map(({ name, path, why }) => ({ name, path: path === '' ? null : path, why })),
    passedOver,
    next,
  });
}
