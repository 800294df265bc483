// `relaycerts show`: prints the instructions again, from the settings and the certificates alone; no key is opened.

import { RelaycertsError, listSome, quote } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import { findHostName } from '../names.js';
import { pinsOf } from '../render/pin.js';
import { renderHost } from '../render/host.js';
import type { Format, Section } from '../render/sections.js';
import { readSettings } from '../settings/load.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { guardReading } from '../store/look.js';
import { warnOfOdd } from '../store/odd.js';
import { findKeyPlace, readCertifiedHosts } from '../store/read.js';
import { readSteadily } from '../store/steady.js';
import { isRevokedError } from './again.js';
import type { GlobalOptions } from './options.js';

export interface ShowOptions extends GlobalOptions {
  /** As typed; all hosts where empty. */
  readonly hosts: readonly string[];
  readonly section: Section | undefined;
  readonly format: Format;
  readonly undo: boolean;
}

/** @throws settings, usage, contradiction, certificate, files */
export async function show(options: ShowOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  await guardReading(settings, sys);
  await warnOfOdd(settings, sys);
  const hosts = await readSteadily(settings, sys, () => readCertifiedHosts(settings));
  const revoked = new Set(hosts.filter(({ isRevoked }) => isRevoked).map(({ host: { hostname } }) => hostname));
  const wanted =
    options.hosts.length === 0
      ? hostsOf(settings).filter(({ hostname }) => !revoked.has(hostname))
      : options.hosts.map((name) => findHost(settings, name));
  const gone = wanted.find(({ hostname }) => revoked.has(hostname));
  if (gone !== undefined && !options.undo && options.section !== 'request') {
    throw await isRevokedError(settings, gone);
  }
  const format = options.json ? 'json' : options.format;
  if (format === 'sh' && wanted.length > 1) {
    throw new RelaycertsError('usage', 'a script is for one host, and here are several', {
      hint: `name one: relaycerts show ${wanted[0]?.hostname ?? 'HOST'} --format sh`,
    });
  }
  const layout = layoutOf(settings);
  const missing = hosts.filter(
    (one) =>
      one.certificate === undefined && !one.isRevoked && (one.host.role === 'smtp-client' || wanted.includes(one.host)),
  );
  if (missing.length > 0 && !options.undo && options.section !== 'request') {
    const names = listSome(missing.map((one) => one.host.hostname));
    throw new RelaycertsError('contradiction', `there is no certificate yet for ${names}`, { hint: 'relaycerts make' });
  }
  const pins = pinsOf(settings, { hosts });
  const { section, undo } = options;
  const texts = await Promise.all(
    wanted.map(async (one) => {
      const keyPlace = await findKeyPlace(layout, one);
      const isRevoked = revoked.has(one.hostname);
      return renderHost(settings, one, pins, {
        format,
        undo,
        keyPlace,
        isRevoked,
        ...(section === undefined ? {} : { section }),
      });
    }),
  );
  if (format !== 'json') sys.write(texts.join(''));
  else if (options.hosts.length === 1) sys.write(texts.join(''));
  else
    sys.write(
      `${JSON.stringify(
        texts.map((text) => JSON.parse(text) as unknown),
        undefined,
        2,
      )}\n`,
    );
}

/** The host that a name on the command line means: its FQDN, or its label within the domain. @throws usage */
export function findHost(settings: Settings, name: string): HostSettings {
  const hosts = hostsOf(settings);
  const found = hosts.find(({ hostname }) => hostname === name.toLowerCase() || hostname === completed(name, settings));
  if (found !== undefined) return found;
  const known = hosts.slice(0, 6).map(({ hostname }) => hostname);
  throw new RelaycertsError('usage', `the settings name no host ${quote(name)}`, {
    hint: `the hosts are: ${known.join(', ')}${hosts.length > known.length ? ', ...' : ''}`,
  });
}

function completed(name: string, { domain }: Settings): string | undefined {
  return findHostName(name.includes('.') ? name : `${name}.${domain}`);
}
