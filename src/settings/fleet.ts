// Settings whose clients are in a file of their own: `"smtpClients": { "file": "clients.csv" }`. The schema checks one
// client of each kind, the rules between values check all of them, and every problem names the line.

import { basename, dirname } from 'node:path';
import { quote, RelaycertsError } from '../errors.js';
import { completeHostName, findHostName, parseSshHost, type HostName, type Sender, type SshUser } from '../names.js';
import { readClientRows, readClients, type ClientRow } from './clients-file.js';
import { findContradictions } from './contradictions.js';
import { formatPath, member, resolvePath } from './raw-value.js';
import type { Path } from './kinds.js';
import { mostProblems, nameFile, parseSettings, type SettingsContext } from './schema.js';
import type { Container, MailProgram, Settings, SmtpClient, Ssh } from './settings.js';

/**
 * The settings of a file's JSON value, with the clients of the file it names, or of that file's future bytes. @throws
 * settings
 */
export function parseWithClients(value: unknown, context: SettingsContext, bytes?: Buffer): Settings {
  const named = member(value, 'smtpClients');
  if (typeof value !== 'object' || value === null) return parseSettings(value, context);
  if (typeof named !== 'object' || named === null || !Object.hasOwn(named, 'file'))
    return parseSettings(value, context);
  const path = parsePlace(named, context);
  const rows = readClientRows(path, bytes ?? (context.readClients ?? readClients)(path));
  const firstOf = new Map(rows.toReversed().map((row) => [row.kind, row]));
  const home = homeIn(value, rows);
  const kinds = rows.filter((row) => row === home || firstOf.get(row.kind) === row);
  const placeIn =
    (list: readonly ClientRow[]) =>
    (at: Path): string => {
      const row = at[0] === 'smtpClients' && typeof at[1] === 'number' ? list[at[1]] : undefined;
      if (row === undefined) return formatPath(at);
      return [`${nameFile(path)}: line ${row.line}`, ...(at.length > 2 ? [formatPath(at.slice(2))] : [])].join(': ');
    };
  const valueWith = (list: readonly ClientRow[]): object => ({
    ...value,
    smtpClients: list.map(({ hostname, rest }) => ({ ...rest, hostname })),
  });
  const settings = parseSettings(valueWith(kinds), context, placeIn(kinds));
  if (kinds.length === rows.length) return { ...settings, clientsFile: path };
  const kindOf = new Map(
    kinds.flatMap(({ kind, rest }, index): readonly [string, Kind][] => {
      const model = settings.smtpClients[index];
      return model === undefined
        ? []
        : [[kind, { model, hasSshHost: 'sshHost' in rest, home: settings.inbound?.home }]];
    }),
  );
  const clients: SmtpClient[] = [];
  const problems: { readonly message: string; readonly hint: string }[] = [];
  for (const { line, hostname: text, kind: name } of rows) {
    const kind = kindOf.get(name);
    if (kind === undefined) throw new TypeError('a row without its kind');
    try {
      clients.push(new FleetClient(completeHostName(text, settings.domain), kind));
    } catch (error) {
      if (!(error instanceof RelaycertsError)) throw error;
      if (problems.length >= mostProblems) break;
      problems.push({ message: `${nameFile(path)}: line ${line}: hostname: ${error.message}`, hint: hostnameHint });
    }
  }
  const place = placeIn(rows);
  for (const { path: at, what, hint } of findContradictions(valueWith(rows), settings.domain, context, place)) {
    if (problems.length >= mostProblems) break;
    problems.push({ message: `${place(at)}: ${what}`, hint });
  }
  const [first] = clients;
  if (problems[0] !== undefined || first === undefined) {
    throw new RelaycertsError('settings', problems.map(({ message }) => message).join('; '), { problems });
  }
  return { ...settings, clientsFile: path, smtpClients: [first, ...clients.slice(1)] };
}

/** What clients with the same keys in their rows share. */
interface Kind {
  readonly model: SmtpClient;
  readonly hasSshHost: boolean;
  readonly home: HostName | undefined;
}

/** One of many clients, of which only the name is kept. */
class FleetClient implements SmtpClient {
  readonly hostname: HostName;
  readonly #kind: Kind;

  constructor(hostname: HostName, kind: Kind) {
    this.hostname = hostname;
    this.#kind = kind;
  }

  get role() {
    return this.#kind.model.role;
  }

  get ssh(): Ssh {
    const { model, hasSshHost } = this.#kind;
    return hasSshHost ? model.ssh : { ...model.ssh, host: parseSshHost(this.hostname) };
  }

  get isInbound(): boolean {
    return this.#kind.home === this.hostname;
  }

  get altNames(): readonly HostName[] {
    return this.#kind.model.altNames;
  }

  get container(): Container | undefined {
    return this.#kind.model.container;
  }

  get tlsLogLevel(): number {
    return this.#kind.model.tlsLogLevel;
  }

  get program(): MailProgram {
    return this.#kind.model.program;
  }

  get programUser(): SshUser {
    return this.#kind.model.programUser;
  }

  get senders(): readonly Sender[] {
    return this.#kind.model.senders;
  }
}

/** The row that `inbound` names. */
function homeIn(value: object, rows: readonly ClientRow[]): ClientRow | undefined {
  const domain = findHostName(member(value, 'domain'));
  const home = domain && findHostName(member(member(value, 'inbound'), 'home'), domain);
  return home && rows.find(({ hostname }) => findHostName(hostname, domain) === home);
}

const hostnameHint = 'write a label, completed with the domain, or a whole DNS name';

/** The path of the clients file. @throws settings */
function parsePlace(named: object, { file, home }: SettingsContext): string {
  const path = member(named, 'file');
  const other = Object.keys(named).find((key) => key !== 'file');
  const what =
    other !== undefined
      ? `unknown key ${quote(other)}`
      : typeof path !== 'string' || path === '' || /[\p{C}\p{Zl}\p{Zp}]/u.test(path)
        ? `file must be the path of a file: ${quote(path)}`
        : undefined;
  if (what === undefined && typeof path === 'string') return resolvePath(path, dirname(file), home);
  throw new RelaycertsError('settings', `${basename(file)}: smtpClients: ${what}`, {
    hint: 'write a list [ ... ], or { "file": "clients.csv" }',
  });
}
