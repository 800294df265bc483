// smtpdServers[].overrides: which postconf(5) parameters of the relay's service a user may set, and the form of their
// values. It lists what is allowed, because a new release may add a parameter that opens the relay: none of these
// decides who relays, which certificates are trusted, or what is rejected permanently.
//
// No value holds white space, because `postconf -P` of 3.7 refuses it; nor `$`, so that each value is literal.

import { quote, RelaycertsError } from '../errors.js';
import { parsed, section } from './fields.js';
import { optional } from './kinds.js';

interface ValueKind {
  /** ECMA-262 with `u`, matched against the whole value. */
  readonly pattern: string;
  readonly example: string;
}

const address = String.raw`(?:\[[0-9A-Fa-f:.]+\]|\[?[A-Za-z0-9][A-Za-z0-9._\-]*\]?)`;
const path = String.raw`(?:/?[A-Za-z0-9._][A-Za-z0-9._\-]*)(?:/[A-Za-z0-9._\-]+)*`;
const list = (item: string): string => `^${item}(?:,${item})*$`;

const count: ValueKind = { pattern: '^(?:0|[1-9][0-9]{0,8})$', example: '20' };
const limit: ValueKind = { pattern: '^[1-9][0-9]{0,8}$', example: '20' };
const time: ValueKind = { pattern: '^[1-9][0-9]{0,5}[smhdw]?$', example: '60s' };
const milters: ValueKind = {
  pattern: list(`(?:inet:${address}:[0-9]{1,5}|unix:${path})`),
  example: 'inet:127.0.0.1:8891',
};
const checks: ValueKind = { pattern: list(`[a-z]{1,16}:/${path}`), example: 'regexp:/etc/postfix/header_checks' };

const kinds = {
  smtpd_milters: milters,
  milter_default_action: { pattern: '^(?:tempfail|accept|reject|quarantine|shutdown)$', example: 'tempfail' },
  milter_macro_daemon_name: { pattern: String.raw`^[A-Za-z0-9._\-]{1,64}$`, example: 'ORIGINATING' },
  milter_connect_timeout: time,
  milter_command_timeout: time,
  milter_content_timeout: time,
  content_filter: {
    pattern: `^[A-Za-z0-9][A-Za-z0-9_\\-]{0,63}:(?:${address}(?::[0-9]{1,5})?)?$`,
    example: 'smtp-amavis:[127.0.0.1]:10024',
  },
  header_checks: checks,
  body_checks: checks,
  message_size_limit: count,
  smtpd_client_connection_count_limit: count,
  smtpd_client_connection_rate_limit: count,
  smtpd_client_message_rate_limit: count,
  smtpd_client_recipient_rate_limit: count,
  smtpd_client_new_tls_session_rate_limit: count,
  smtpd_recipient_limit: limit,
  smtpd_hard_error_limit: limit,
  smtpd_junk_command_limit: limit,
  smtpd_timeout: time,
  smtpd_starttls_timeout: time,
} as const satisfies Readonly<Record<string, ValueKind>>;

export type OverrideName = keyof typeof kinds;

/** A value as `name=value` in master.cf accepts it. @throws name */
function parseOverride(input: string, { pattern, example }: ValueKind): string {
  if (input.length <= 1024 && new RegExp(pattern, 'u').test(input)) return input;
  const commas = /\s/u.test(input) ? '; write commas instead of white space' : '';
  throw new RelaycertsError('name', `not a value that this can have: ${quote(input)}`, {
    hint: `write text such as "${example}"${commas}`,
  });
}

function field(kind: ValueKind) {
  return optional(
    parsed((input) => parseOverride(input, kind), { maxLength: 1024, pattern: kind.pattern }, kind.example),
  );
}

/** The schema of the object; all its keys are optional. */
export function buildOverrides() {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of `kinds`, each with a field
  const shape = Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, field(kind)])) as Record<
    OverrideName,
    ReturnType<typeof field>
  >;
  return section(
    "Postfix parameters of the relay's service; settings added there by hand are removed at the next run",
    shape,
  );
}
