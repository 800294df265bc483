// Names that come from outside. Each has one parser, which accepts only that name's alphabet. A value of these types is
// safe in a path, a Postfix file, a DN and (quoted as well) a shell word. Nothing is looked up: a name that parses need
// not exist.

import { domainToASCII, domainToUnicode } from 'node:url';
import { quote, RelaycertsError } from './errors.js';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A DNS host name: lower-case A-labels, at least two labels, no trailing dot, at most 253 octets. */
export type HostName = Branded<'HostName'>;
/** What ssh connects to: a DNS name of one or more labels, an ssh_config alias, or an IP address without brackets. */
export type SshHost = Branded<'SshHost'>;
/** A login name on a host. */
export type SshUser = Branded<'SshUser'>;
/** An envelope sender's address, or a domain of senders; lower case. */
export type Sender = Branded<'Sender'>;
/** A mailbox's address; lower case. */
export type Address = Branded<'Address'>;
/** An absolute POSIX path of plain characters, for a folder that holds only our files. */
export type AbsolutePath = Branded<'AbsolutePath'>;
/** ISO 3166-1 alpha-2, upper case. */
export type CountryCode = Branded<'CountryCode'>;
/** A digest as postconf(5) relay_clientcerts takes it: upper-case hexadecimal octets with colons between. */
export type Fingerprint = Branded<'Fingerprint'>;
/** A certificate's serial number: lower-case hexadecimal, an even number of digits. */
export type Serial = Branded<'Serial'>;

/** The only way from text to a name; used by the parsers below after they have checked every character. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller's return type chooses the name
function branded<Name extends Branded<string>>(text: string): Name {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a brand exists only in types
  return text as Name;
}

const ldhLabel = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const numericLabel = /^(?:[0-9]+|0x[0-9a-f]*)$/i;

/**
 * A DNS host name of two or more labels, lower-cased, with internationalised labels as A-labels.
 *
 * Refused: wildcards, addresses in any notation, a trailing dot, underscores, labels over 63 octets, names over 253.
 * @throws name
 * @source RFC 1123 2.1 (letters, digits, hyphen), RFC 1035 2.3.4 (sizes), RFC 5890 2.3.2.1 (A-labels)
 */
export function parseHostName(input: unknown): HostName {
  const name = parseLabels(input);
  if (!name.includes('.')) throw notHostName(input, 'it has one label only', 'write the whole name, with its domain');
  return branded(name);
}

/** As parseHostName, or as completeHostName with a `domain`; undefined if it is not a host name. */
export function findHostName(input: unknown, domain?: HostName): HostName | undefined {
  try {
    return domain === undefined ? parseHostName(input) : completeHostName(input, domain);
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}

/**
 * A host name as the settings write it: one label is completed with the domain, anything else is a whole name.
 *
 * @throws name
 */
export function completeHostName(label: unknown, domain: HostName): HostName {
  const name = parseLabels(label);
  if (name.includes('.')) return branded(name);
  return parseHostName(`${name}.${domain}`);
}

/** net.isIP (4, 6 or 0), whose module takes milliseconds to load and which hardly any command needs. */
export function isIP(text: string): number {
  return process.getBuiltinModule('node:net').isIP(text);
}

/** The form of nearly every name: nothing in it has to be converted, and no rule below can refuse it. */
const plainName = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function parseLabels(input: unknown): string {
  if (typeof input === 'string' && input.length <= 253 && !input.includes('--') && plainName.test(input)) return input;
  if (typeof input !== 'string') throw notHostName(input, 'it is not text');
  const flaw = findHostNameFlaw(input);
  if (flaw !== undefined) throw notHostName(input, flaw);
  const labels = input.split('.').map((label) => {
    const ascii = toALabel(label);
    if (ascii === undefined) throw notHostName(input, `${quote(label)} cannot be an internationalised label`);
    if (ascii.length > 63) throw notHostName(input, 'a label is over 63 octets long');
    return ascii;
  });
  const name = labels.join('.');
  if (name.length > 253) throw notHostName(input, 'it is over 253 octets long');
  // RFC 5893 2: the rule for right-to-left scripts applies to all labels together.
  if (name.includes('xn--') && domainToASCII(name) !== name) {
    throw notHostName(input, 'its internationalised labels do not go together');
  }
  return name;
}

function findHostNameFlaw(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (text.length > 1000) return 'it is over 253 octets long';
  if (text.includes('*')) return 'it has a wildcard';
  if (text.includes(':') && isIP(text.replaceAll(/^\[|\]$/g, '')) !== 0) return 'it is an address';
  if (text.includes('_')) return 'it has an underscore';
  if (text.includes('/') || text.includes(':')) return 'it is a URL, a path or has a port';
  if (!/^(?:[A-Za-z0-9.-]|(?![\0-\x7f])[\p{L}\p{M}\p{Nd}])+$/u.test(text))
    return 'it has a character that no DNS name has';
  // Full-width letters and dots, ligatures and the Kelvin sign would become other characters in an A-label.
  if (text.normalize('NFKC') !== text) return 'it has a character that only looks like another one';
  if (text.endsWith('.')) return 'it ends with a dot';
  const labels = text.split('.');
  if (labels.includes('')) return 'it has an empty label';
  if (labels.some((label) => label.startsWith('-') || label.endsWith('-')))
    return 'a label begins or ends with a hyphen';
  // inet_aton and URL parsers read 127.1, 1.2.3 and 0x7f.1 as IPv4 addresses; no top-level domain is a number.
  if (labels.length > 1 && numericLabel.test(labels.at(-1) ?? '')) return 'it is an address or would be read as one';
  return undefined;
}

/** The lower-case A-label or LDH label of one label; undefined if it does not convert back to itself (RFC 5891 4.2). */
function toALabel(label: string): string | undefined {
  // Letter by letter, as in UTS 46: lower-casing the whole word would change a final sigma.
  const lower = Array.from(label, (character) => character.toLowerCase()).join('');
  if (ldhLabel.test(lower) && !lower.startsWith('xn--')) return lower;
  const ascii = domainToASCII(lower);
  if (!ldhLabel.test(ascii) || !ascii.startsWith('xn--')) return undefined;
  const back = domainToUnicode(ascii);
  if (back === '' || back.startsWith('xn--') || /^[\0-\x7f]*$/.test(back)) return undefined;
  return lower === ascii || lower === back ? ascii : undefined;
}

const hostNameHint = 'write a DNS name such as relayhost.example.org: letters, digits and hyphens, with dots between';

function notHostName(input: unknown, flaw: string, hint = hostNameHint): RelaycertsError {
  return refusal(`a host name (${flaw})`, input, hint);
}

/** `what` is the expected name, with its article. */
function refusal(what: string, input: unknown, hint: string): RelaycertsError {
  return new RelaycertsError('name', `not ${what}: ${quote(input)}`, { hint });
}

/**
 * What ssh connects to: a DNS name, an ssh_config alias (its case kept), an IPv4 or an IPv6 address without brackets
 * and zone. It never begins with a hyphen, so ssh cannot take it for an option.
 *
 * @throws name
 * @source ssh(1) destination, ssh_config(5) Host
 */
export function parseSshHost(input: unknown): SshHost {
  const hint = 'write a DNS name, an alias of ssh_config, or an IP address without brackets and zone';
  const refuse = (flaw: string) => refusal(`an ssh host (${flaw})`, input, hint);
  if (typeof input !== 'string') throw refuse('it is not text');
  if (input.includes('%')) throw refuse('it has a zone or a character that no host has');
  if (/[:.]/.test(input) && /^[0-9A-Fa-f:.]+$/.test(input) && isIP(input) !== 0) return branded(input);
  if (input.length > 253) throw refuse('it is over 253 characters long');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(input)) {
    if (!/[^\0-\x7f]/.test(input)) throw refuse('it has a character that no host has, or begins with one');
    return branded(parseLabels(input));
  }
  // inet_aton reads 127.1 and 0x7f000001 as addresses, which is not what they look like.
  if (input.split('.').every((label) => numericLabel.test(label))) throw refuse('it is half an address');
  return branded(input);
}

/**
 * A login name on a host: a letter or underscore, then up to 31 letters, digits, dots, underscores and hyphens.
 *
 * @throws name
 */
export function parseSshUser(input: unknown): SshUser {
  if (typeof input === 'string' && /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(input)) return branded(input);
  const hint = 'write a login name such as root: at most 32 letters, digits, dots, hyphens and underscores';
  throw refusal('a login name', input, hint);
}

/**
 * An envelope sender's address, or a domain of senders, lower-cased. The local part is letters, digits and `._+-`, at most
 * 64, without quotes, and has no empty part between dots; the domain is a host name.
 *
 * @throws name
 */
export function parseSender(input: unknown): Sender {
  const hint = 'write an address such as ann@example.org, its local part of letters, digits and ._+-, or a domain';
  const sender = typeof input === 'string' ? readSender(input) : undefined;
  if (sender === undefined) throw refusal('a sender', input, hint);
  return branded(sender);
}

function readSender(input: string): string | undefined {
  const [, local, domain] = /^(?:([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@)?([^@]+)$/.exec(input) ?? [];
  const host = findHostName(domain);
  if (host === undefined || (local !== undefined && local.length > 64)) return undefined;
  return local === undefined ? host : `${local.toLowerCase()}@${host}`;
}

/** An address, in the alphabet of a sender's. @throws name */
export function parseAddress(input: unknown): Address {
  const hint = 'write an address such as ann@example.org, its local part of letters, digits and ._+-';
  const sender = typeof input === 'string' && input.includes('@') ? readSender(input) : undefined;
  if (sender === undefined) throw refusal('an address', input, hint);
  return branded(sender);
}

const foreignTrees =
  /^\/(?:bin|boot|dev|lib|lib32|lib64|libx32|proc|run|sbin|sys|tmp|var\/run|var\/tmp|var\/spool)(?:\/|$)/;
const foreignFolders = new Set(
  [
    ['etc', 'apt cron.d default dovecot exim4 init.d letsencrypt opendkim pam.d pki postfix profile.d rspamd ssh ssl'],
    ['etc', 'sudoers.d sysconfig systemd pki/ca-trust pki/tls pki/tls/certs pki/tls/private ssl/certs ssl/private'],
    ['usr/local/etc', 'dovecot pki postfix rc.d ssh ssl ssl/certs ssl/private'],
  ].flatMap(([parent, children]) => (children ?? '').split(' ').map((child) => `/${parent ?? ''}/${child}`)),
);

/**
 * An absolute path on a Postfix host for a folder that holds only our files and may have its mode set.
 *
 * At most 300 characters of `[A-Za-z0-9._-]` components, none of them `.` or `..` or with a leading hyphen; one
 * trailing slash is removed. Folders of the system and of other programs, those that do not survive a reboot, and
 * Postfix's chroot and queue are refused.
 * @throws name
 */
export function parseAbsolutePath(input: unknown): AbsolutePath {
  const hint = 'write a folder of its own, such as /etc/postfix/relaycerts/example.org';
  const refuse = (flaw: string) => refusal(`a usable path (${flaw})`, input, hint);
  if (typeof input !== 'string') throw refuse('it is not text');
  if (!input.startsWith('/')) throw refuse('it does not begin with a slash');
  if (input.length > 300) throw refuse('it is over 300 characters long');
  const path = input === '/' ? input : input.replace(/\/$/, '');
  const components = path.slice(1).split('/');
  if (path !== '/' && components.includes('')) throw refuse('it has a double slash');
  if (components.some((part) => part === '.' || part === '..')) throw refuse('it has a . or .. component');
  if (components.some((part) => part.startsWith('-'))) throw refuse('a component begins with a hyphen');
  if (!/^[A-Za-z0-9._/-]+$/.test(path))
    throw refuse('only letters, digits, dots, hyphens and underscores may be in it');
  if (isForeignFolder(path, components)) throw refuse('that folder holds other things and keeps its own mode');
  return branded(path);
}

function isForeignFolder(path: string, components: readonly string[]): boolean {
  const [root, second] = components;
  if (components.length === 1 || foreignTrees.test(path) || foreignFolders.has(path)) return true;
  if (root === 'usr') return second !== 'local' || components[2] !== 'etc' || components.length < 4;
  return (root === 'home' || root === 'var') && components.length === 2;
}

/**
 * An ISO 3166-1 alpha-2 country code, upper-cased; whether the code is assigned is not checked.
 *
 * @throws name
 */
export function parseCountryCode(input: unknown): CountryCode {
  if (typeof input === 'string' && /^[A-Za-z]{2}$/.test(input)) return branded(input.toUpperCase());
  throw refusal('a country code', input, 'write two letters, such as NL');
}

/**
 * A certificate's serial number of 1 to 20 octets in hexadecimal, lower-cased, without leading zero octets (which DER
 * adds for the sign); never zero.
 *
 * @throws name
 * @source RFC 5280 4.1.2.2
 */
export function parseSerial(input: unknown): Serial {
  if (typeof input === 'string' && /^(?:[0-9A-Fa-f]{2}){1,21}$/.test(input)) {
    const serial = input.toLowerCase().replace(/^(?:00)+/, '');
    if (serial !== '' && serial.length <= 40) return branded(serial);
  }
  const hint = 'write 1 to 20 hexadecimal octets without colons, as openssl x509 -serial prints them';
  throw refusal('a serial number', input, hint);
}
