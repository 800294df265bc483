// certs/installed.json: what each host was last seen to have. `check` and `deploy` record it, `status` judges it. It
// can be derived again: without the file every host counts as not installed until the next look. A host that leaves the
// settings keeps its entry until it is seen to be undone, because our configuration is still there.

import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { writeJson } from '../json-text.js';
import { findHostName, parseSshHost, parseSshUser, type HostName } from '../names.js';
import { mostAuthorities, type SeenHost } from '../plan/installed.js';
import { containers, hostsOf, type Settings, type Ssh } from '../settings/settings.js';
import { readFile } from '../sys/files.js';
import { fieldsOf, parseJson, parseTime } from './json-fields.js';
import type { Layout } from './layout.js';
import type { Change } from './transaction.js';

export interface Installed {
  readonly hosts: ReadonlyMap<HostName, SeenHost>;
  /** Why the file, or a part of it, is ignored. */
  readonly problems: readonly Problem[];
}

/** Octets; a host has about 350, so this is room for over a hundred thousand. */
const limit = 64 << 20;

/** The recorded hosts; none if the file is missing or cannot be read. */
export function readInstalled({ installed: { path } }: Pick<Layout, 'installed'>): Installed {
  try {
    const bytes = readFile(path, { limit });
    if (bytes === undefined) return { hosts: new Map(), problems: [] };
    const { hosts, flaw } = parseInstalled(bytes);
    return { hosts, problems: flaw === undefined ? [] : [flawProblem(path, flaw)] };
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    return { hosts: new Map(), problems: error.problems };
  }
}

/** The file's contents. Invalid entries are left out; `flaw` continues a sentence that starts with the file's name. */
export function parseInstalled(bytes: Uint8Array): {
  readonly hosts: Installed['hosts'];
  readonly flaw: string | undefined;
} {
  const hosts = new Map<HostName, SeenHost>();
  const file = fieldsOf(parseJson(bytes));
  const [version, entries] = [file.get('version'), file.get('hosts')];
  if (typeof version === 'number' && version !== 1) {
    return { hosts, flaw: `has version ${version}, which this relaycerts cannot read` };
  }
  if (version !== 1 || typeof entries !== 'object' || entries === null || Array.isArray(entries)) {
    return { hosts, flaw: 'is damaged' };
  }
  let damaged = 0;
  for (const [name, entry] of fieldsOf(entries)) {
    const [hostname, seen] = [findHostName(name), parseSeen(entry)];
    if (hostname === undefined || hostname !== name || seen === undefined) damaged += 1;
    else hosts.set(hostname, seen);
  }
  return { hosts, flaw: damaged === 0 ? undefined : `has damaged entries, which are skipped: ${damaged}` };
}

/**
 * The change that records what was seen, and how these settings reach the hosts; undefined for a host that no longer has
 * anything of ours. Only under the lock.
 */
export function installedChange(
  { installed }: Pick<Layout, 'installed'>,
  before: Installed['hosts'],
  seen: ReadonlyMap<HostName, SeenHost | undefined>,
  settings: Settings,
): Change {
  const ways = new Map(
    hostsOf(settings).map(({ hostname, ssh, container }) => [
      hostname,
      container === undefined ? { ssh } : { container },
    ]),
  );
  const hosts = new Map(before);
  for (const [hostname, content] of seen) {
    if (content === undefined) {
      hosts.delete(hostname);
      continue;
    }
    const old = before.get(hostname);
    const isSame = old?.dkim === content.dkim && !(old?.dkimSince !== undefined && old.dkimSince > content.seen);
    const dkimSince = isSame ? old?.dkimSince : content.seen;
    hosts.set(hostname, {
      ...content,
      ...(content.dkim === undefined || dkimSince === undefined ? {} : { dkimSince }),
      ...ways.get(hostname),
    });
  }
  const bytes = Buffer.from(renderInstalled(hosts));
  return {
    writes: [{ ...installed, bytes, folderMode: 0o755, isNew: false }],
    appends: [],
    removes: [],
    empties: [],
  };
}

/** One line per host, in the order of their names, so that two versions of the file can be compared. */
export function renderInstalled(hosts: Installed['hosts']): string {
  const lines = [...hosts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([
        hostname,
        { seen, certificate, authorities, table = null, configuration = null, dkim, dkimSince, ssh, container },
      ]) => {
        const content = { certificate, authorities, table, configuration, dkim, dkimSince: dkimSince?.toISOString() };
        const entry = { seen: seen.toISOString(), ...content, ssh, container };
        return `    ${writeJson(hostname)}: ${writeJson(entry)}`;
      },
    );
  return `{\n  "version": 1,\n  "hosts": {${lines.length === 0 ? '' : `\n${lines.join(',\n')}\n  `}}\n}\n`;
}

/** The file as it is in a backup, without the hosts of the settings: what they have now is not known. */
export function restoredInstalled(bytes: Uint8Array, settings: Settings): Buffer {
  const present = new Set<string>(hostsOf(settings).map(({ hostname }) => hostname));
  const former = [...parseInstalled(bytes).hosts].filter(([hostname]) => !present.has(hostname));
  return Buffer.from(renderInstalled(new Map(former)));
}

const isDigest = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/u.test(value);
const isDigestOrNull = (value: unknown): value is string | null => value === null || isDigest(value);

function parseSeen(value: unknown): SeenHost | undefined {
  const fields = fieldsOf(value);
  const [time, certificate, authorities] = [fields.get('seen'), fields.get('certificate'), fields.get('authorities')];
  const [table, configuration] = [fields.get('table'), fields.get('configuration')];
  const [dkim, since] = [fields.get('dkim'), fields.get('dkimSince')];
  const [seen, dkimSince] = [parseTime(time), parseTime(since)];
  if (seen === undefined || !isDigest(certificate)) return undefined;
  if (!Array.isArray(authorities) || authorities.length > mostAuthorities || !authorities.every(isDigest)) {
    return undefined;
  }
  if (!isDigestOrNull(table) || !isDigestOrNull(configuration)) return undefined;
  if (dkim !== undefined && !isDigest(dkim)) return undefined;
  const ssh = parseSsh(fields.get('ssh'));
  const container = containers.find((one) => one === fields.get('container'));
  const content = {
    certificate,
    authorities,
    table: table ?? undefined,
    configuration: configuration ?? undefined,
    dkim,
  };
  return {
    seen,
    ...content,
    ...(dkimSince === undefined ? {} : { dkimSince }),
    ...(ssh === undefined ? {} : { ssh }),
    ...(container === undefined ? {} : { container }),
  };
}

/** Undefined if it is invalid: the host is then looked for under its name. */
function parseSsh(value: unknown): Ssh | undefined {
  const fields = fieldsOf(value);
  const [isLocal, needsSudo] = [fields.get('isLocal'), fields.get('needsSudo')];
  const [user, host, port] = [fields.get('user'), fields.get('host'), fields.get('port')];
  if (typeof isLocal !== 'boolean' || typeof needsSudo !== 'boolean') return undefined;
  if (typeof user !== 'string' || typeof host !== 'string' || typeof port !== 'number') return undefined;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  try {
    return { isLocal, needsSudo, user: parseSshUser(user), host: parseSshHost(host), port };
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}

function flawProblem(path: string, flaw: string): Problem {
  return {
    message: `${quotePath(path)} ${flaw}`,
    hint: { run: ['check'], before: 'to look at every host again:' },
  };
}
