// `relaycerts show`: prints the instructions again, only from the settings and the certificates. It opens no key, and
// reads the ledger only for a host that is no longer in the settings, or that has no certificate.

import { RelaycertsError } from '../errors.js';
import { answerParts } from '../json-text.js';
import type { CertifiedHost } from '../plan/inventory.js';
import { renderHostList } from '../render/host-list.js';
import { jsonOf, renderSh, renderText, showHost, type Shown } from '../render/host.js';
import { oneByOne } from '../pieces.js';
import { pinsOf } from '../render/pin.js';
import { renderRenewalTimer } from '../render/renewal-timer.js';
import type { Format, Section } from '../render/sections.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { withFormerHosts } from '../store/former-hosts.js';
import { readCertifiedHosts } from '../store/read.js';
import type { Sys } from '../sys/sys.js';
import {
  findHosts,
  findNewClients,
  findStandingHosts,
  leftOutWarning,
  notCertifiedError,
  revokedError,
} from './hosts.js';
import { reading, type GlobalOptions } from './run.js';

export interface ShowOptions extends GlobalOptions {
  /** As typed; all hosts if empty. */
  readonly hosts: readonly string[];
  readonly section: Section | undefined;
  readonly format: Format;
  readonly undo: boolean;
  readonly forceRoutes: boolean;
}

/** @throws settings, usage, contradiction, certificate, files */
export async function show(options: ShowOptions, sys: Sys): Promise<void> {
  const { section, undo, forceRoutes } = options;
  const format = options.json ? 'json' : options.format;
  if (section === 'renewal-timer') {
    if (format !== 'text') {
      throw new RelaycertsError('usage', 'section renewal-timer is text only', {
        hint: { run: ['show', '--section', section] },
      });
    }
    const { settings, found } = await reading(options, sys, (one) => readCertifiedHosts(one, sys), true);
    const standing = found.hosts.flatMap(({ host, isRevoked }) => (isRevoked ? [] : [host]));
    sys.write(renderRenewalTimer(settings, standing));
    return;
  }
  // What is piped into a shell goes where the settings say, so nobody else may be able to write them.
  const read = async (named: Settings) => {
    const settings = await withFormerHosts(named, options.hosts);
    const standing = new Set(hostsOf(named).map(({ hostname }) => hostname));
    const former = hostsOf(settings).find(({ hostname }) => !standing.has(hostname));
    if (former !== undefined && !undo) throw formerError(former);
    return { settings, ...(await readCertifiedHosts(settings, sys)) };
  };
  const {
    found: { settings, hosts, revoked, authority },
    at,
  } = await reading(options, sys, read, format === 'sh');
  // Undoing, and making a new key, need no certificate.
  const needsCertificate = !undo && section !== 'request';
  const chosen = needsCertificate
    ? findStandingHosts(settings, options.hosts, hosts)
    : findHosts(settings, options.hosts);
  const named = new Set(chosen.map(({ hostname }) => hostname));
  let wanted = hosts.filter(({ host, isRevoked }) => (named.size === 0 ? !isRevoked : named.has(host.hostname)));
  if (format === 'sh' && wanted.length > 1) {
    throw new RelaycertsError('usage', 'a script is for one host', {
      hint: { run: ['show', wanted[0]?.host.hostname ?? 'HOST', '--format', 'sh'] },
    });
  }
  if (named.size === 0 && wanted.length > few && (format === 'text' || format === 'json')) {
    if (format === 'json') throw unaskedError(wanted.length);
    sys.write(
      renderHostList(
        settings,
        wanted.map(({ host }) => host),
      ),
    );
    return;
  }
  if (needsCertificate) {
    const gone = wanted.find(({ isRevoked }) => isRevoked);
    if (gone !== undefined) throw revokedError(gone.host, revoked);
    // Pins are in every text, but only in the script that verifies.
    const hasPins = format !== 'sh' || section === 'verify';
    const needed = hosts.filter((one) => wanted.includes(one) || (hasPins && one.host.role === 'smtp-client'));
    const missing = needed.filter(isMissing);
    if (missing.length > 0) {
      const added = findNewClients(settings, missing);
      if (missing.some(({ host: { hostname } }) => !added.has(hostname) || named.has(hostname))) {
        throw notCertifiedError(missing.map(({ host }) => host.hostname));
      }
      const { message, hint } = leftOutWarning(added);
      sys.warn(message, hint);
      wanted = wanted.filter((one) => !isMissing(one));
    }
  }
  const pins = [...pinsOf(settings, { hosts })];
  const toShown = ({ host, keyPlace, isRevoked }: CertifiedHost): Shown =>
    showHost(settings, host, pins, { section, undo, forceRoutes, keyPlace, isRevoked });
  if (format === 'html') {
    if (wanted.length > mostOnPage) throw tooManyError(wanted.length);
    const { renderPage } = await import('../render/page.js');
    const own = wanted.flatMap(({ host: { hostname: name, role }, certificate }) =>
      certificate === undefined || undo ? [] : [{ name, role, info: certificate.info }],
    );
    const ca =
      authority === undefined || undo ? [] : [{ name: settings.ca.commonName, role: 'ca', info: authority.info }];
    sys.write(renderPage({ settings, shown: wanted.map(toShown), certificates: [...own, ...ca], at }));
    return;
  }
  // Host by host, because a fleet's instructions in one piece could exceed the length of a string.
  if (format === 'json') {
    const shown = oneByOne(wanted, (one) => jsonOf(toShown(one)));
    for (const part of answerParts('show', { hosts: shown })) sys.write(part);
    return;
  }
  for (const one of wanted) sys.write(format === 'sh' ? renderSh(toShown(one)) : renderText(toShown(one)));
}

function formerError({ hostname }: HostSettings): RelaycertsError {
  return new RelaycertsError('usage', `${hostname} is no longer in the settings`, {
    hint: { run: ['show', hostname, '--undo'], before: 'to undo its configuration:' },
  });
}

/** The number of hosts whose instructions are printed without being asked for. */
const few = 20;

function unaskedError(count: number): RelaycertsError {
  return new RelaycertsError('usage', `the instructions for all ${count} hosts would be very long`, {
    hint: { run: ['show', '*', '--json'], before: 'name some of them, or for all:' },
  });
}

/** The number of hosts among which a person finds something. */
const mostOnPage = 40;

function tooManyError(count: number): RelaycertsError {
  return new RelaycertsError('usage', `a page of ${count} hosts is too long to read`, {
    hint: { run: ['show', 'HOST', '--format', 'html'], after: '> page.html, for the hosts that you want' },
  });
}

function isMissing({ certificate, isRevoked }: CertifiedHost): boolean {
  return certificate === undefined && !isRevoked;
}
