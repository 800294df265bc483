// The settings for an adopted CA: those that are there, with the CA's name in them, or a proposal from settings.mk and
// from the names in the certificates. Text in, text out; what is there keeps its comments and its order.

import type { CertificateInfo } from '../certificate/certificate.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import { RelaycertsError, listSome } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import { setValue } from '../settings/edit.js';
import { parseSettingsText } from '../settings/load.js';
import type { SettingsContext } from '../settings/schema.js';
import type { Role } from '../settings/settings.js';
import { applyAnswers, emptyDraft, type KnownDraft } from '../wizard/answers.js';
import type { HostMaterial } from './choose-hosts.js';
import type { MakeSettings } from './settings-mk.js';

export interface Wishes {
  /** Hosts whose role a person said. */
  readonly relays: readonly HostName[];
  readonly clients: readonly HostName[];
  readonly fromMake: MakeSettings | undefined;
}

/** Settings with the name and the domains of this CA, so that nothing asks for another CA. */
export function withCa({ text, settings }: KnownDraft, ca: CertificateInfo, context: SettingsContext): KnownDraft {
  const name = ca.commonName;
  const domains = ca.permittedDomains ?? [];
  const wanted: readonly (readonly [string, unknown, unknown])[] = [
    ['commonName', name ?? settings.ca.commonName, settings.ca.commonName],
    ['permittedDomains', domains, settings.ca.permittedDomains],
    ['keyType', keyTypeOfSpki(ca.spki) ?? settings.ca.keyType, settings.ca.keyType],
  ];
  return wanted.reduce<KnownDraft>(
    (draft, [key, value, present]) => {
      if (JSON.stringify(value) === JSON.stringify(present)) return draft;
      const edited = setValue(draft.text, ['ca', key], value);
      // A name that the settings do not allow stays out; `status` then says that the CA has another.
      return orUndefined(edited, context) ?? draft;
    },
    { text, settings },
  );
}

function orUndefined(text: string, context: SettingsContext): KnownDraft | undefined {
  try {
    return { text, settings: parseSettingsText(text, context) };
  } catch (error) {
    if (error instanceof RelaycertsError && error.code === 'settings') return undefined;
    throw error;
  }
}

/** New settings for these hosts. @throws usage - it is not clear what relays; settings */
export function proposeSettings(hosts: readonly HostMaterial[], wishes: Wishes, context: SettingsContext): KnownDraft {
  const { fromMake } = wishes;
  const roles = new Map<HostName, Role>();
  const unclear: HostName[] = [];
  for (const { hostname, role } of hosts) {
    const one = wishedRole(hostname, wishes) ?? role;
    if (one === undefined) unclear.push(hostname);
    else roles.set(hostname, one);
  }
  for (const name of [...wishes.relays, ...(fromMake?.relays ?? [])])
    roles.set(name, roles.get(name) ?? 'smtpd-server');
  for (const name of [...wishes.clients, ...(fromMake?.clients ?? [])])
    roles.set(name, roles.get(name) ?? 'smtp-client');
  const of = (role: Role): readonly HostName[] => [...roles].filter(([, one]) => one === role).map(([name]) => name);
  const [relays, clients] = [of('smtpd-server'), of('smtp-client')];
  if (unclear.length > 0) throw unclearError(`cannot tell whether ${listSome(unclear)} is a relay or a home host`);
  if (relays.length === 0) throw unclearError('none of the certificates is for a relay');
  if (clients.length === 0) throw unclearError('none of the certificates is for a home host');
  const domain = fromMake?.domain ?? commonDomain([...clients, ...relays]);
  // Otherwise the first make would advise another key for each.
  const keyTypes = new Set(hosts.flatMap(({ key }) => (key && keyTypeOfSpki(key.spki)) ?? []));
  const text = applyAnswers(emptyDraft, {
    domain,
    relays: relays.map((name) => shortName(name, domain)),
    clients: clients.map((name) => shortName(name, domain)),
    relayPort: fromMake?.port === 2500 ? undefined : fromMake?.port,
    keyType: keyTypes.size === 1 ? [...keyTypes][0] : undefined,
    recipients: fromMake === undefined || fromMake.recipients.length === 0 ? undefined : fromMake.recipients,
  });
  // A name belongs to one host. Relays come first, because homes look for theirs.
  const given = new Set(roles.keys());
  const inOrder = hosts.toSorted((a, b) => Number(relays.includes(b.hostname)) - Number(relays.includes(a.hostname)));
  const named = inOrder.reduce((edited, { hostname, altNames }) => {
    const list = roles.get(hostname) === 'smtpd-server' ? 'smtpdServers' : 'smtpClients';
    const index = (list === 'smtpdServers' ? relays : clients).indexOf(hostname);
    const others = altNames.filter((name) => !given.has(name));
    for (const name of others) given.add(name);
    return others.length === 0 ? edited : setValue(edited, [list, index, 'altNames'], others);
  }, text);
  const subject = Object.entries(fromMake?.subject ?? {});
  const whole = subject.reduce((edited, [key, value]) => setValue(edited, ['subject', key], value), named);
  return { text: whole, settings: parseSettingsText(whole, context) };
}

function wishedRole(name: HostName, { relays, clients, fromMake }: Wishes): Role | undefined {
  if (relays.includes(name) || fromMake?.relays.includes(name) === true) return 'smtpd-server';
  return clients.includes(name) || fromMake?.clients.includes(name) === true ? 'smtp-client' : undefined;
}

function unclearError(message: string): RelaycertsError {
  return new RelaycertsError('usage', message, {
    hint: 'use --relay NAME and --client NAME, or write settings.json first; nothing was changed',
  });
}

/** The domain that most of the hosts are in; the first of several. */
function commonDomain(hosts: readonly HostName[]): HostName {
  const counts = new Map<HostName, number>();
  for (const host of hosts) {
    const above = findHostName(host.slice(host.indexOf('.') + 1)) ?? host;
    counts.set(above, (counts.get(above) ?? 0) + 1);
  }
  const [best] = [...counts].toSorted(([, a], [, b]) => b - a);
  if (best === undefined) throw new TypeError('no hosts, no domain');
  return best[0];
}

function shortName(name: HostName, domain: HostName): string {
  const label = name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : name;
  return label.includes('.') ? name : label;
}
