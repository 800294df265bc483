// The keys for mail of the whole domain: mail to home through the relays (inbound, tunnel), signatures (dkim), records
// (dns), and what the relays' port 25 does about mail from the world (relayPort25). Without them nothing of it is set up.

import { quote, RelaycertsError } from '../errors.js';
import {
  isIP,
  completeHostName,
  parseAddress,
  parseHostName,
  parseSshUser,
  type Address,
  type HostName,
} from '../names.js';
import { choice, flag, list, oneOrMore, parsed, parsePath, section, textFormats, whole } from './fields.js';
import { checked, noValue, optional, withDefault, type Kind } from './kinds.js';

const loopbackSocket = { pattern: '^inet:127\\.0\\.0\\.1:[1-9][0-9]{0,4}$' };
const dnsServer = { maxLength: 53, pattern: '^(?:[0-9A-Fa-f:.]+|\\[[0-9A-Fa-f:.]+\\]:[1-9][0-9]{0,4})$' };

function parseBlockList(input: string): string {
  const [name = '', ...answers] = input.split('=');
  if (!new RegExp(textFormats.blockList.pattern, 'u').test(input)) {
    const hint = 'write its name, such as "zen.spamhaus.org", or "zen.spamhaus.org=127.0.0.[2..11]"';
    throw new RelaycertsError('name', `not a DNS block list: ${quote(input)}`, { hint });
  }
  return [parseHostName(name), ...answers].join('=');
}

/** The TCP port of a socket on the loopback interface. */
function parseLoopbackSocket(input: string): number {
  const port = Number(new RegExp(loopbackSocket.pattern).test(input) ? input.split(':').at(-1) : 0);
  if (port >= 1 && port <= 65535) return port;
  const hint = 'write a port of this host, such as "inet:127.0.0.1:8891"';
  throw new RelaycertsError('name', `not a socket on 127.0.0.1: ${quote(input)}`, { hint });
}

/** The address of a DNS server, with a port if it is not 53: `192.0.2.53:5353`, `[2001:db8::53]:5353`. @throws name */
export function parseDnsServer(input: string): string {
  const [, six, four, digits] = /^(?:\[([\dA-Fa-f:.]+)\]|([\d.]+)):([1-9]\d{0,4})$/u.exec(input) ?? [];
  const [address, port] = [six ?? four ?? input, Number(digits ?? 53)];
  const isOne = six === undefined ? isIP(address) !== 0 : isIP(six) === 6;
  if (isOne && port <= 65535 && !address.includes('%')) return input;
  const hint = 'write an IPv4 or IPv6 address, such as "192.0.2.53"';
  throw new RelaycertsError('name', `not an IP address: ${quote(input)}`, { hint });
}

const domains = (what: string) =>
  optional(
    oneOrMore(
      list(
        parsed(parseHostName, textFormats.hostName, 'example.org'),
        { description: `${what}; default: the mail domain`, uniqueItems: true },
        '["example.org"]',
      ),
      'a domain',
      '["example.org"]',
    ),
  );

export const tunnelDefaults = { user: 'relaycerts-tunnel', listen: 2525 } as const;

/** The sections; a label for `inbound.home` is completed with `domain`. */
export function buildDomainMail(domain: HostName) {
  const homeFormat = { ...textFormats.hostOrLabel, examples: ['mailhost'] };
  const home = parsed(
    (input) => completeHostName(input, domain),
    homeFormat,
    'mailhost',
    'The smtp-client that gets the mail: a label, completed with the domain, or its whole name',
  );
  const inbound = section('Inbound mail: MX, a relay, then home over mutual TLS in the other direction', {
    home,
    domains: domains('The domains whose mail goes home'),
    port: checked(
      whole(1, 65535, 'The TCP port of the service at home; never 25', 2525),
      (port) =>
        port === 25 ? { what: 'must not be 25: 25', hint: 'write another port, for example 2525' } : undefined,
      { not: { const: 25 } },
    ),
    via: choice(['direct', 'tunnel'], 'How a relay reaches home: directly, or through an ssh tunnel that home opens'),
    recipients: withDefault(recipientsKind(), 'verify'),
  });
  const tunnel = section('The ssh tunnel of inbound\'s "via": "tunnel"', {
    user: withDefault(
      checked(
        parsed(parseSshUser, textFormats.sshUser, tunnelDefaults.user, 'The account on the relays that it logs in to'),
        // Its limits would lock root out.
        (user) =>
          user === 'root' ? { what: 'must not be root: "root"', hint: 'write the name of a new account' } : undefined,
        { not: { const: 'root' } },
      ),
      tunnelDefaults.user,
    ),
    listen: whole(1024, 65535, "Its TCP port on the relays' 127.0.0.1", tunnelDefaults.listen),
  });
  const dkim = section('DKIM: the mail of our port is signed, and no other', {
    signAt: choice(['relay', 'home'], 'Who signs'),
    domains: domains('The domains whose mail is signed'),
    keyType: choice(['rsa-2048', 'ed25519'], 'The keys; few receivers verify ed25519'),
    socket: withDefault(
      parsed(parseLoopbackSocket, loopbackSocket, 'inet:127.0.0.1:8891', 'Where the signing OpenDKIM listens'),
      'inet:127.0.0.1:8891',
    ),
  });
  const dmarc = section('The DMARC record', {
    policy: choice(['none', 'quarantine', 'reject'], 'What receivers do with mail that is not from us'),
    reportTo: optional(
      parsed(parseAddress, textFormats.address, 'dmarc@example.org', 'Who gets the daily reports; default: nobody'),
    ),
  });
  const dns = section('The DNS records that are printed and checked', {
    spf: choice(['mx', 'a'], 'How the SPF record names the relays: as MX of the domain, or by their names'),
    dmarc: withDefault(dmarc, {}),
    resolver: optional(
      parsed(
        parseDnsServer,
        dnsServer,
        '192.0.2.53',
        "The address of the DNS server that checks ask; default: the system's",
      ),
    ),
  });
  const lists = list(
    parsed(parseBlockList, textFormats.blockList, 'zen.spamhaus.org'),
    { description: 'DNS block lists; mail from listed addresses is refused', uniqueItems: true },
    '["zen.spamhaus.org"]',
  );
  const relayPort25 = section('What port 25 of the relays does about mail from the Internet', {
    dnsbl: withDefault(lists, []),
    dqsKeyFile: optional(
      parsed(
        parsePath,
        textFormats.path,
        '~/.spamhaus-dqs-key',
        "A file with Spamhaus' DQS key; its lists are asked by it",
      ),
    ),
    postscreen: flag('postscreen answers first'),
    spf: choice(['off', 'mark', 'reject'], "What is done about mail that the sender's SPF record forbids"),
    srs: flag('Senders of forwarded mail are rewritten (SRS), so that SPF passes at the next host'),
  });
  return { inbound, tunnel, dkim, dmarc, dns, relayPort25 };
}

function recipientsKind(): Kind<'verify' | readonly Address[]> {
  const format = { ...textFormats.address, examples: ['ann@example.org'] };
  const addresses = oneOrMore(
    list(parsed(parseAddress, format, 'ann@example.org'), { uniqueItems: true }, '["ann@example.org"]'),
    'an address',
    '"verify", or addresses',
  );
  return {
    read: (input, path, flaws) => {
      if (input === 'verify') return input;
      if (typeof input !== 'string') return addresses.read(input, path, flaws);
      flaws.push({ path, what: `must be "verify" or a list of addresses: ${quote(input)}`, hint: 'write "verify"' });
      return noValue;
    },
    jsonSchema: {
      description: 'Who gets mail there: "verify" asks home, or the addresses; all others are refused',
      anyOf: [{ const: 'verify' }, addresses.jsonSchema],
    },
  };
}
