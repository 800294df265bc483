// What `renew` prints with --json, for hosts and the CA alike. Its text is in now-run.ts and ca-renewal.ts. Pure. There
// is one shape for all, so that a program need not know which one was run.

import type { CertificateInfo } from '../certificate/certificate.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import type { Install } from '../plan/install.js';
import type { Inventory } from '../plan/inventory.js';

/** The answer of `renew --json`, whatever was renewed. */
export interface RenewalAnswer {
  /** For new keys. */
  readonly rekey: boolean;
  /** The CA, if it was renewed; `stage` is the stage of a new key. */
  readonly ca: {
    readonly info: CertificateInfo;
    readonly trusted: readonly string[];
    readonly stage: number | null;
  } | null;
  readonly install: readonly Install[];
  /** Clients whose old pin is retired once mail flows. */
  readonly retire: readonly HostName[];
  /** The command to run once every host is installed. */
  readonly next: string | null;
  /** What happened to DKIM keys; left out if the settings ask for none. */
  readonly dkim?: object;
}

/** Every host whose certificate changed, and what to do now. */
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
