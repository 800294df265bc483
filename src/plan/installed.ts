// What a host has, what it should have, and what differs. Pure: render/installed.ts derives what it should have from
// settings and certificates, store/installed.ts keeps what it was last seen to have. Made is not installed.

import type { HostName } from '../names.js';
import type { Container, HostSettings, Ssh } from '../settings/settings.js';

/** What distinguishes one installation of a host from another. Digests are SHA-256 in lower-case hexadecimal. */
export interface HostContent {
  /** Of the DER of the host's certificate. */
  readonly certificate: string;
  /** Of the DER of each CA certificate in its CA file, in any order. */
  readonly authorities: readonly string[];
  /** Of the file relay_clientcerts, or relay_clientcerts_in on the home of inbound; undefined if it has neither or is unknown. */
  readonly table: string | undefined;
  /** Of the configuration set there (render/installed.ts); undefined if unknown. */
  readonly configuration: string | undefined;
  /** Of the files with which it signs mail (render/installed.ts); undefined if it does not sign, or if unknown. */
  readonly dkim?: string | undefined;
}

/** The most CA certificates that are recorded of a host; during a CA rekey it has two. */
export const mostAuthorities = 100;

/** What a host had when it was last looked at. */
export interface SeenHost extends HostContent {
  readonly seen: Date;
  /** Since when it has been seen with this `dkim`. */
  readonly dkimSince?: Date;
  /** How it was reached then, if that was noted: the settings forget it with the host. */
  readonly ssh?: Ssh;
  /** It was not seen: this is what was exported for its container, of this image. */
  readonly container?: Container;
}

/** What is recorded of a host; nothing if it was a container then and is none now, or the other way round. */
export function seenHostOf<Recorded extends Pick<SeenHost, 'container'>>(
  records: ReadonlyMap<HostName, Recorded>,
  { hostname, container }: Pick<HostSettings, 'hostname' | 'container'>,
): Recorded | undefined {
  const record = records.get(hostname);
  return record?.container === container ? record : undefined;
}

/** The most noticeable difference first. */
const parts = ['certificate', 'authorities', 'table', 'configuration', 'dkim'] as const;
export type InstalledPart = (typeof parts)[number];

export type Installation =
  | { readonly kind: 'never-seen' }
  | { readonly kind: 'installed'; readonly seen: Date }
  | { readonly kind: 'differs'; readonly seen: Date; readonly parts: readonly InstalledPart[] };

/** Whether a host has what it should have. Unknown parts are taken to be right. */
export function judgeInstallation(expected: HostContent, found: SeenHost | undefined): Installation {
  if (found === undefined) return { kind: 'never-seen' };
  const { seen } = found;
  const differing = parts.filter((part) => !isSame(expected[part], found[part]));
  return differing.length === 0 ? { kind: 'installed', seen } : { kind: 'differs', seen, parts: differing };
}

type Part = HostContent[InstalledPart];

function isSame(expected: Part, found: Part): boolean {
  if (expected === undefined || found === undefined) return true;
  if (typeof expected === 'string' || typeof found === 'string') return expected === found;
  return new Set(found).size === new Set(expected).size && expected.every((one) => found.includes(one));
}
