// Who tries to relay when a relay is checked: our clients whose keys are here, and strangers of every kind that the two
// locks must keep out. The strangers' certificates are issued in memory and never leave it.

import { generateHostKey, generateKey } from '../issue/keys.js';
import type { Issuer } from '../issue/x509.js';
import { RelaycertsError } from '../errors.js';
import { readHostKey } from '../certificate/private-key.js';
import type { HostName } from '../names.js';
import type { Inventory } from '../plan/inventory.js';
import type { Call, Shown } from '../probe/conversation.js';
import { senderOf } from '../render/senders.js';
import type { Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';

/** A client as the relay sees it; `tls` undefined: it sends no STARTTLS. */
interface Visitor {
  /** Continues "a client with". */
  readonly who: string;
  readonly withTls: boolean;
  readonly shown: Shown | undefined;
}

/** A stranger that could not be made. */
interface Missing {
  readonly who: string;
  readonly why: string;
}

export interface Visitors {
  readonly strangers: readonly Visitor[];
  readonly missing: readonly Missing[];
  readonly clients: readonly { readonly host: SmtpClient; readonly shown: Shown }[];
  /** Clients whose key is not here. */
  readonly absent: readonly HostName[];
}

/** RFC 2606: belongs to nobody, and not to the relay. */
const outside = 'postmaster@example.com';

/** The conversation of one visitor with a relay. */
export function callOf(
  settings: Settings,
  relay: Pick<SmtpdServer, 'hostname' | 'port'>,
  { address, ca }: { readonly address: string; readonly ca: string },
  visitor: Pick<Visitor, 'withTls' | 'shown'>,
  client?: SmtpClient,
): Call {
  return {
    address,
    port: relay.port,
    helo: client?.hostname ?? `check.${settings.domain}`,
    tls: visitor.withTls ? { name: relay.hostname, ca, shown: visitor.shown } : undefined,
    mail: { from: senderOf(settings, client ?? { senders: [] }), to: outside },
  };
}

/** Everybody who tries. `issuer`: our CA, if its key opens without asking. */
export async function makeVisitors(
  settings: Settings,
  { hosts }: Pick<Inventory, 'hosts'>,
  issuer: Issuer | undefined,
  at: Date,
): Promise<Visitors> {
  const clients: Visitors['clients'][number][] = [];
  const absent: HostName[] = [];
  for (const { host, key, certificate, isRevoked } of hosts) {
    if (host.role !== 'smtp-client' || isRevoked) continue;
    if (key === undefined) absent.push(host.hostname);
    else if (certificate !== undefined)
      clients.push({ host, shown: { certificate: certificate.info.pem, key: key.pem } });
  }
  const { issueCa, issueLeaf } = await import('../issue/x509.js');
  const keyPair = await generateKey('ecdsa-p256');
  const other: Issuer = {
    certificatePem: await issueCa({
      commonName: settings.ca.commonName,
      subject: settings.subject,
      keyPair,
      at,
      validDays: 2,
      permittedDomains: [],
    }),
    privateKey: keyPair.privateKey,
  };
  const issue = async (ca: Issuer, { hostname }: SmtpClient, own?: Shown): Promise<Shown> => {
    const key = Buffer.from(own?.key ?? (await generateHostKey('ecdsa-p256')).revealBytes());
    const { spki } = readHostKey('memory', key);
    const client = { role: 'smtp-client', isInbound: false, hostname, altNames: [] } as const;
    const info = await issueLeaf({ ...client, subject: settings.subject, spki, ca, at, validDays: 1 });
    return { certificate: info.pem, key };
  };
  const [first] = settings.smtpClients;
  const [listed] = clients;
  const others = [
    await attempt('a certificate from another CA', () => issue(other, first)),
    await attempt(
      'a certificate of this CA whose pin is not listed',
      issuer === undefined ? "the CA's passphrase does not open without asking" : () => issue(issuer, first),
    ),
    await attempt(
      'a listed key, and a certificate from another CA',
      listed === undefined ? 'no key of a client is here' : () => issue(other, listed.host, listed.shown),
    ),
  ];
  return {
    clients,
    absent,
    strangers: [
      { who: 'no TLS', withTls: false, shown: undefined },
      { who: 'no certificate', withTls: true, shown: undefined },
      ...others.flatMap((one) => ('shown' in one ? [one] : [])),
    ],
    missing: others.flatMap((one) => ('why' in one ? [one] : [])),
  };
}

/** A stranger with the result of `issue`, or why there is none: for example, an expired CA signs nothing. */
async function attempt(who: string, issue: (() => Promise<Shown>) | string): Promise<Visitor | Missing> {
  if (typeof issue === 'string') return { who, why: issue };
  try {
    return { who, withTls: true, shown: await issue() };
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    return { who, why: error.message };
  }
}
