// What a relay's port 25 does about Internet mail, as data: block lists, postscreen, SPF and SRS. The restrictions
// are one class, so that main.cf's list gets one item, which comes and goes token by token. Our own port is not affected,
// because its service has lists of its own; only SRS is about mail from there.

import { keyedLists, openLists, port25Names, type BlockList } from '../plan/port25.js';
import type { Secret } from '../secret.js';
import type { RelayPort25, Settings, SmtpdServer } from '../settings/settings.js';
import type { Configuration, ListToken, Parameter, Service } from './postfix.js';
import { madeLine } from './step.js';

/** Named after the port, because another domain may have a relay on the same host. */
const classOf = ({ port }: SmtpdServer): string => `relaycerts_${port}_port25`;

/** The folder of main.cf: the user that checks SPF cannot enter postfix.directory. */
const folder = '/etc/postfix';

const last = (name: string, token: string): ListToken => ({ name, place: 'last', token });

/** What is set on a relay; nothing if the settings do not ask. */
export function port25Of(settings: Settings, server: SmtpdServer): Configuration {
  const { relayPort25: port25 } = settings;
  if (port25 === undefined) return { main: [], tokens: [], services: [], files: [] };
  const restrictions = restrictionsOf(settings, port25, server);
  const isChecked = restrictions.length > 0;
  const keyed = keyedLists(port25);
  return {
    main: [
      ...(isChecked ? [{ name: classOf(server), value: [...exempt, ...restrictions].join(', ') }] : []),
      ...(port25.spf === 'off' ? [] : [{ name: `${spfService(server)}_time_limit`, value: '3600' }]),
      // Tests after the greeting would answer 450 to every new server once, so they stay off.
      ...(port25.postscreen ? ['postscreen_greet_action', 'postscreen_dnsbl_action'] : []).map((name) => ({
        name,
        value: 'enforce',
      })),
    ],
    tokens: [
      ...(isChecked
        ? [last('smtpd_restriction_classes', classOf(server)), last('smtpd_recipient_restrictions', classOf(server))]
        : []),
      ...(keyed.length > 0
        ? [
            {
              ...last('rbl_reply_maps', `texthash:${settings.postfix.directory}/${port25Names.replies}`),
              place: 'first' as const,
            },
          ]
        : []),
      ...(port25.postscreen ? openLists(port25).map((list) => last('postscreen_dnsbl_sites', filtered(list))) : []),
      ...(port25.srs ? [last('recipient_canonical_maps', srsReverse(server))] : []),
    ],
    services: port25.spf === 'off' ? [] : [spfPolicy(server)],
    files: [
      ...(port25.spf === 'off' ? [] : [{ name: spfFile(server), lines: spfLines(port25.spf) }]),
      ...(port25.srs ? [{ name: srsFile(server), lines: srsLines(server) }] : []),
    ],
  };
}

/** Users of this relay, who log in or are on its own networks. */
const exempt = ['permit_mynetworks', 'permit_sasl_authenticated'];

const filtered = ({ name, answers }: BlockList): string => `${name}=${answers}`;

function restrictionsOf({ postfix }: Settings, port25: RelayPort25, server: SmtpdServer): readonly string[] {
  // With postscreen, a listed address does not get as far as smtpd.
  const open = port25.postscreen ? [] : openLists(port25);
  return [
    ...open.map((list) => `reject_rbl_client ${filtered(list)}`),
    ...(keyedLists(port25).length > 0 ? [`check_client_access cidr:${postfix.directory}/${port25Names.lists}`] : []),
    ...(port25.spf === 'off' ? [] : [`check_policy_service unix:private/${spfService(server)}`]),
  ];
}

const spfService = ({ port }: SmtpdServer): string => `relaycerts-${port}-spf`;
const spfFile = (server: SmtpdServer): string => `${spfService(server)}.conf`;
const srsFile = ({ port }: SmtpdServer): string => `relaycerts-${port}-srs`;

/** policyd-spf of Debian's postfix-policyd-spf-python, with settings of its own. */
function spfPolicy(server: SmtpdServer): Service {
  const name = spfService(server);
  return {
    id: `${name}/unix`,
    line: `${name} unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf ${folder}/${spfFile(server)}`,
    overrides: [],
  };
}

/** Only a sender whose own record forbids it is refused: not a HELO name, and nothing because DNS does not answer. */
function spfLines(spf: 'mark' | 'reject'): readonly string[] {
  return [
    madeLine,
    'debugLevel = 1',
    'TestOnly = 1',
    'HELO_reject = False',
    `Mail_From_reject = ${spf === 'reject' ? 'Fail' : 'False'}`,
    'PermError_reject = False',
    'TempError_Defer = False',
    'skip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1',
  ];
}

/** postsrsd 1.x, on the ports of its package. */
const srsForward = 'tcp:127.0.0.1:10001';

/** Only addresses that SRS may have made are looked up: if postsrsd is down, all other mail goes on. */
function srsReverse(server: SmtpdServer): string {
  return `pipemap:{regexp:${folder}/${srsFile(server)},tcp:127.0.0.1:10002}`;
}

function srsLines({ hostname }: SmtpdServer): readonly string[] {
  const host = hostname.replaceAll('.', String.raw`\.`);
  return [madeLine, String.raw`/^(SRS[01][-+=].+@${host})$/ $` + '{1}'];
}

/** The overrides of our port's cleanup: the sender of what home forwards is rewritten to this relay. */
export function srsOverrides({ relayPort25 }: Settings): readonly Parameter[] {
  if (relayPort25?.srs !== true) return [];
  return [
    { name: 'sender_canonical_maps', value: srsForward },
    { name: 'sender_canonical_classes', value: 'envelope_sender' },
  ];
}

/** The senders that SRS leaves alone, besides those of the relay: our own domains. */
export function srsExcluded({ domain, inbound }: Settings): readonly string[] {
  return [...new Set([domain, ...(inbound?.domains ?? [])])];
}

/** The answer to a client that such a list refuses. */
const replyFor = ({ name }: BlockList): string =>
  `$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using ${name}`;

/** The files with the DQS key, by name; none without lists for it. */
export function keyedFiles({ domain, relayPort25 }: Settings, key: Secret | undefined): ReadonlyMap<string, Buffer> {
  const lists = keyedLists(relayPort25);
  if (key === undefined || lists.length === 0) return new Map();
  const secretName = ({ name }: BlockList): string =>
    `${key.revealText()}.${name.replace(/\.spamhaus\.org$/u, '.dq.spamhaus.net')}`;
  const text = (lines: readonly string[]): Buffer =>
    Buffer.from([`# relaycerts ${domain}: the names contain a secret key`, ...lines, ''].join('\n'));
  const checks = lists.map((list) => `reject_rbl_client ${secretName(list)}=${list.answers}`).join(', ');
  const replies = lists.map((list) => `${secretName(list)}=${list.answers} ${replyFor(list)}`);
  return new Map([
    [port25Names.lists, text([`0.0.0.0/0 ${checks}`, `::/0 ${checks}`])],
    [port25Names.replies, text(replies)],
  ]);
}
