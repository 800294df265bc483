// The settings.mk of the Makefile that came before relaycerts: lines NAME = VALUE in make's syntax. Nothing in it runs:
// only $(NAME) of the same file and $(HOME) are replaced. What a variable is about is taken from its name, because
// people renamed them; whatever does not fit the settings is left out.

import { findHostName, type HostName } from '../names.js';

/** What settings.mk says, as far as it fits. */
export interface MakeSettings {
  readonly domain: HostName | undefined;
  readonly relays: readonly HostName[];
  readonly clients: readonly HostName[];
  readonly port: number | undefined;
  /** A path, as written; `~` is not replaced. */
  readonly passphraseFile: string | undefined;
  readonly recipients: readonly string[];
  readonly subject: Readonly<Record<string, string>>;
}

const assignment = /^(?:(?:export|override)\s+)*([A-Za-z_][A-Za-z0-9_.-]{0,63})\s*(:{0,3}|\?|\+)=\s*(.*)$/u;

/** The variables of the text, with others of it put in; `home` is $(HOME). */
function parseMakeVariables(text: string, home: string): ReadonlyMap<string, string> {
  const raw = new Map<string, string>();
  for (const one of text.replaceAll(/\\\r?\n\s*/gu, ' ').split(/\r?\n/u)) {
    const [, name, operator, written = ''] = assignment.exec(one.trim()) ?? [];
    const before = name === undefined ? undefined : raw.get(name);
    if (name === undefined || (operator === '?' && before !== undefined)) continue;
    const value = written.replace(/(?:^|\s)#.*$/u, '').trim();
    raw.set(name, operator === '+' ? `${before ?? ''} ${value}`.trim() : value);
  }
  const expand = (value: string, depth: number): string =>
    value.replaceAll(/\$[({]([A-Za-z_][A-Za-z0-9_.-]{0,63})[)}]/gu, (whole, name: string) => {
      const inner = name === 'HOME' ? home : raw.get(name);
      return inner === undefined || depth === 0 ? whole : expand(inner, depth - 1).slice(0, 4096);
    });
  raw.delete('HOME');
  return new Map([...raw].map(([name, value]) => [name.toUpperCase(), expand(value, 4).slice(0, 4096)]));
}

const subjectKeys: readonly (readonly [RegExp, string])[] = [
  [/(?:^|_)COUNTRY$|^C$/u, 'country'],
  [/(?:^|_)(?:STATE|PROVINCE)$|^ST$/u, 'state'],
  [/(?:^|_)(?:LOCALITY|CITY)$|^L$/u, 'locality'],
  [/(?:^|_)(?:ORGANIZATION|ORG)$|^O$/u, 'organization'],
  [/(?:^|_)(?:ORGANIZATIONAL_?UNIT|OU)$/u, 'organizationalUnit'],
];

/** What the file says about a project. */
export function readMakeSettings(text: string, home: string): MakeSettings {
  const variables = parseMakeVariables(text, home);
  const named = (pattern: RegExp): readonly string[] =>
    [...variables].filter(([name]) => pattern.test(name)).map(([, value]) => value);
  const domain = named(/^(?:MAIL_?)?DOMAIN(?:_?NAME)?$/u).map((value) => findHostName(value))[0];
  const hosts = (pattern: RegExp): readonly HostName[] => {
    const words = named(pattern).flatMap((value) => value.split(/[\s,]+/u));
    return [...new Set(words.flatMap((word) => findHostName(word, domain) ?? []))].filter((name) => name !== domain);
  };
  const relays = hosts(/(?:^|_)(?:SMTPD_?)?(?:SERVERS?|RELAYS?|RELAY_?HOSTS?)(?:$|_(?:FQDN|HOST|HOSTNAME|NAME)S?$)/u);
  const clients = hosts(/(?:^|_)(?:SMTP_?)?(?:CLIENTS?|HOMES?|MAIL_?HOSTS?)(?:$|_(?:FQDN|HOST|HOSTNAME|NAME)S?$)/u);
  const [port] = named(/(?:^|_)PORT$/u).flatMap((value) => (/^[1-9]\d{0,4}$/u.test(value) ? [Number(value)] : []));
  const subject = Object.fromEntries(
    subjectKeys.flatMap(([pattern, key]) => {
      const [value = ''] = named(pattern);
      const isFit =
        key === 'country' ? /^[A-Z]{2}$/u.test(value) : /^[\p{L}\p{N}][\p{L}\p{N} .,&'-]{0,63}$/u.test(value);
      return isFit ? [[key, value]] : [];
    }),
  );
  return {
    domain,
    relays,
    clients: clients.filter((name) => !relays.includes(name)),
    port: port !== undefined && port !== 25 && port < 65_536 ? port : undefined,
    passphraseFile: named(/PASS(?:PHRASE|WORD)/u).find((value) => /\.(?:gpg|asc|pgp)$/u.test(value)),
    recipients: named(/(?:GPG|PGP).*(?:RECIPIENT|KEY|ID|USER)|^RECIPIENTS?$/u)
      .flatMap((value) => value.split(/[\s,]+/u))
      .filter((word) => /^[A-Za-z0-9][A-Za-z0-9@._+-]{1,127}$/u.test(word)),
    subject,
  };
}
