// What is printed when hosts have new certificates: what each has now, what to install in which order, and when the old
// pins go. Pure.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import type { Install } from '../plan/install.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { newThing, planInstallation } from '../plan/retirement.js';
import type { Settings } from '../settings/settings.js';
import { installWords } from './commands.js';

export interface Renewal {
  /** As they were before. */
  readonly renewed: readonly HostInventory[];
  /** All that have something to install. */
  readonly touched: ReadonlySet<HostName>;
  readonly after: Inventory;
}

/** Lines to read and to run; '' where there is nothing to install. */
export function renderRenewal(settings: Settings, { renewed, touched, after }: Renewal): string {
  const { first, others, retire } = planInstallation(after, touched);
  const word = settings.program;
  const now = new Map(after.hosts.map((found) => [found.host.hostname, found.certificate]));
  const lines = [
    ...renewed.flatMap((before) => describeNew(settings, before, now.get(before.host.hostname))),
    ...first.map((hostname) => `first, for the table with both pins: ${installWords(settings, hostname)}`),
    ...others.map((hostname) => `${first.length > 0 ? 'then' : 'now'}: ${installWords(settings, hostname)}`),
    ...(retire.length === 0
      ? []
      : [`when mail flows with the new ${newThing(settings)}: ${word} retire ${retire.join(' ')}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** What `renew` answers with --json, whatever was renewed. */
export interface RenewalAnswer {
  /** For new keys. */
  readonly rekey: boolean;
  /** The CA, if it is what was renewed; `stage` is that of a new key. */
  readonly ca: {
    readonly info: CertificateInfo;
    readonly trusted: readonly string[];
    readonly stage: number | null;
  } | null;
  readonly install: readonly Install[];
  /** Clients whose old pin goes when mail flows. */
  readonly retire: readonly HostName[];
  /** The command that comes when every host is installed. */
  readonly next: string | null;
}

/** Every host with another certificate than before, and what comes now. */
export function renewalAnswer(before: Inventory, after: Inventory, { ca, ...rest }: RenewalAnswer): string {
  const old = new Map(before.hosts.map(({ host, certificate }) => [host.hostname, certificate?.info.serial]));
  const renewed = after.hosts.flatMap(({ host: { hostname }, certificate }) =>
    certificate === undefined || certificate.info.serial === old.get(hostname)
      ? []
      : [{ host: hostname, serial: certificate.info.serial, expires: certificate.info.notAfter }],
  );
  return writeAnswer('renew', { renewed, ca: ca === null ? null : caObject(ca), ...rest });
}

function caObject({ info, trusted, stage }: NonNullable<RenewalAnswer['ca']>): object {
  return { commonName: info.commonName ?? null, serial: info.serial, expires: info.notAfter, trusted, stage };
}

function describeNew(
  { postfix }: Settings,
  { host: { hostname }, certificate }: HostInventory,
  now: HostInventory['certificate'],
): readonly string[] {
  if (certificate === undefined || now === undefined) return [];
  const [before, pin] = [certificate, now].map(({ info }) => fingerprintOf(info, postfix.pin, 'sha256'));
  const has = `${hostname} has a certificate until ${now.info.notAfter.toISOString().slice(0, 10)}`;
  return [before === pin ? `${has}, with the same pin: the relay's table needs no change` : `${has}, with a new pin`];
}
