// The files of OpenDKIM on a host that signs: an instance of its own, with its own configuration, unit and socket.
//
// On a relay it signs what comes from our port: only that service has this milter, and only its connections carry the
// name ORIGINATING, so port 25 cannot be made to sign, not even by 127.0.0.1. At home it signs what is sent from this
// host and by its users (opendkim(8) -i, InternalHosts; a user is who has logged in), and never what comes from
// elsewhere. In both, only mail whose From: is in one of the domains is signed; everything else passes as it is.

import { activeKeys, dkimFiles, dkimKeyFile, dkimNames, isSigner, type FoundDkimKey } from '../plan/dkim.js';
import type { Dkim, HostSettings, Settings } from '../settings/settings.js';

/** The relay's port tells the milter this name, and opendkim.conf(5) MTA asks for it. */
const originating = 'ORIGINATING';

/** The folder of OpenDKIM's files on a host: opendkim cannot enter postfix.directory, which is root's. */
export const dkimFolder = ({ domain }: Pick<Settings, 'domain'>): string => `/etc/relaycerts-opendkim/${domain}`;

/** The systemd unit there. */
export const dkimUnit = ({ domain }: Pick<Settings, 'domain'>): string => `relaycerts-opendkim-${domain}.service`;

/** The milter, as Postfix names it. */
export const dkimMilter = ({ socket }: Dkim): string => `inet:127.0.0.1:${socket}`;

/** The lists of milters in main.cf at home: for mail by SMTP, and for mail by sendmail(1). */
export const milterLists = ['smtpd_milters', 'non_smtpd_milters'] as const;

/** The signer in these lists, which tempfails whatever main.cf says of milters; undefined if this home does not sign. */
export function homeMilter({ dkim }: Pick<Settings, 'dkim'>, host: HostSettings): string | undefined {
  if (dkim === undefined || host.role !== 'smtp-client' || !isSigner({ dkim }, host)) return undefined;
  return `{${dkimMilter(dkim)},default_action=tempfail}`;
}

const text = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

/** The files of a host that signs, by name; none if it does not, or a domain has no key yet. */
export function signingFilesOf(
  settings: Settings,
  host: HostSettings,
  keys: readonly FoundDkimKey[],
): ReadonlyMap<string, Buffer> {
  const { dkim } = settings;
  const active = activeKeys(settings, keys);
  if (dkim === undefined || !isSigner(settings, host) || active.length < dkim.domains.length) return new Map();
  const folder = dkimFolder(settings);
  // A key's name has its selector, so that the table, which is replaced all at once, decides which key is used.
  const keyLine = (key: FoundDkimKey): string =>
    `${key.domain} ${key.domain}:${key.selector}:${folder}/${dkimKeyFile(key)}`;
  return new Map([
    [dkimNames.configuration, text(configurationLines(settings, dkim, host, active))],
    [dkimNames.keyTable, text(active.map(keyLine))],
    [dkimNames.signingTable, text(active.map(({ domain }) => `*@${domain} ${domain}`))],
    [dkimNames.unit, text(unitLines(settings))],
    ...active.map(({ domain, key }) => [dkimNames.key(domain), key.pem] as const),
  ]);
}

function configurationLines(
  settings: Settings,
  dkim: Dkim,
  host: HostSettings,
  active: readonly FoundDkimKey[],
): readonly string[] {
  const folder = dkimFolder(settings);
  // Global in OpenDKIM 2.11 beta2, the release of Debian 12 and 13: keys of another type would not sign.
  const algorithm = active.some(({ keyType }) => keyType === 'ed25519') ? 'ed25519-sha256' : 'rsa-sha256';
  return [
    `# Made by relaycerts for ${settings.domain}; changes are lost.`,
    'Mode s',
    ...(host.role === 'smtpd-server'
      ? // 255.255.255.255 is nobody's address; without a list, 127.0.0.1 would be signed for.
        [`MTA ${macroName(host)}`, 'InternalHosts 255.255.255.255']
      : ['InternalHosts 127.0.0.1']),
    'Canonicalization relaxed/relaxed',
    `SignatureAlgorithm ${algorithm}`,
    'OversignHeaders From',
    `KeyTable file:${folder}/KeyTable`,
    `SigningTable refile:${folder}/SigningTable`,
    `Socket inet:${dkim.socket}@127.0.0.1`,
    'UserID opendkim:opendkim',
    'UMask 007',
    'Syslog yes',
  ];
}

/** The name that the relay's service has for milters: ours, or the one that its overrides have for others. */
export function macroName(host: HostSettings): string {
  return (host.role === 'smtpd-server' ? host.overrides.milter_macro_daemon_name : undefined) ?? originating;
}

function unitLines(settings: Settings): readonly string[] {
  return [
    `# Made by relaycerts for ${settings.domain}; changes are lost.`,
    '[Unit]',
    `Description=OpenDKIM of relaycerts for ${settings.domain}`,
    'After=network.target nss-lookup.target',
    '',
    '[Service]',
    `ExecStart=/usr/sbin/opendkim -f -x ${dkimFolder(settings)}/opendkim.conf`,
    'ExecReload=/bin/kill -USR1 $MAINPID',
    'Restart=always',
    'RestartSec=5',
    'NoNewPrivileges=yes',
    'PrivateTmp=yes',
    'ProtectHome=yes',
    'ProtectSystem=strict',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ];
}

/** For dkim.sh; a host that does not sign has no files. */
export function signingValues(settings: Settings, host: HostSettings) {
  return {
    dkim_folder: dkimFolder(settings),
    dkim_unit: dkimUnit(settings),
    dkim_port: String(settings.dkim?.socket ?? ''),
    dkim_files: dkimFiles(settings, host).join(' '),
  };
}
