// The settings as the rest of the program sees them: one typed value, every default filled in, no field optional.
// schema.ts makes it from a file; nothing here reads anything.

import type { AbsolutePath, Address, CountryCode, HostName, Sender, SshHost, SshUser } from '../names.js';
import type { OverrideName } from './overrides.js';

export const keyTypes = ['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'] as const;
export type KeyType = (typeof keyTypes)[number];

export const tableTypes = ['texthash', 'hash', 'lmdb', 'cdb'] as const;
export type TableType = (typeof tableTypes)[number];

/** The program that hands a home host's mail to the relay, and the user that reads its key in Debian's packages. */
export const programUsers = {
  postfix: 'root',
  exim: 'Debian-exim',
  opensmtpd: 'root',
  msmtp: 'root',
  nullmailer: 'mail',
  nodemailer: 'root',
} as const;
export type MailProgram = keyof typeof programUsers;
export const mailPrograms = ['postfix', 'exim', 'opensmtpd', 'msmtp', 'nullmailer', 'nodemailer'] as const;

/** Container images that have their own way of configuring Postfix. */
export const containers = ['mail-gateway', 'boky', 'docker-mailserver', 'mailcow'] as const;
export type Container = (typeof containers)[number];

export const roles = ['smtpd-server', 'smtp-client'] as const;
export type Role = (typeof roles)[number];

/** The default passphrase file's name in the home folder; all folders with this domain share it. */
export const passphraseFileName = (domain: string): string => `.${domain}-relaycerts-passphrase.gpg`;

/** How commands run here reach root on a host. `port` is a TCP port; port 22 is left out of commands. */
export interface Ssh {
  /** It is this machine: ssh is not used, and the other fields do not matter. */
  readonly isLocal: boolean;
  /** The user is not root there. */
  readonly needsSudo: boolean;
  readonly user: SshUser;
  readonly host: SshHost;
  readonly port: number;
}

interface Host {
  readonly hostname: HostName;
  readonly altNames: readonly HostName[];
  readonly ssh: Ssh;
  /** The image whose Postfix it is; undefined: it is not a container. */
  readonly container: Container | undefined;
  /** Mail from the world passes through it (`inbound`): it is both server and client, and its certificate is for both. */
  readonly isInbound: boolean;
  /** postconf(5) smtpd_tls_loglevel or smtp_tls_loglevel, 0 to 4. */
  readonly tlsLogLevel: number;
}

export interface SmtpdServer extends Host {
  readonly role: 'smtpd-server';
  /** The TCP port of the relay service; never 25. */
  readonly port: number;
  /** Postfix parameters of the relay service, by name: those that overrides.ts allows. */
  readonly overrides: Readonly<Partial<Record<OverrideName, string | undefined>>>;
}

export interface SmtpClient extends Host {
  readonly role: 'smtp-client';
  readonly program: MailProgram;
  /** The user that runs the program and may read the key. */
  readonly programUser: SshUser;
  /** The senders it may use; empty: any. */
  readonly senders: readonly Sender[];
}

export type HostSettings = SmtpdServer | SmtpClient;

/** RFC 5280 subject attributes other than the commonName; '' if the settings have none. */
export interface Subject {
  readonly country: CountryCode | '';
  readonly state: string;
  readonly locality: string;
  readonly organization: string;
  readonly organizationalUnit: string;
}

/** Mail from the world: MX, each relay, then `home`. */
export interface Inbound {
  /** An smtp-client whose program is Postfix. */
  readonly home: HostName;
  readonly domains: readonly HostName[];
  /** The TCP port of the service at home; never 25. */
  readonly port: number;
  readonly via: 'direct' | 'tunnel';
  /** Who gets mail there; `verify`: home is asked. */
  readonly recipients: 'verify' | readonly Address[];
}

/** The ssh tunnel that home opens to the relays if `Inbound.via` says so. */
interface Tunnel {
  /** The account on the relays. */
  readonly user: SshUser;
  /** The TCP port on the relays' 127.0.0.1. */
  readonly listen: number;
}

export interface Dkim {
  readonly signAt: 'relay' | 'home';
  readonly domains: readonly HostName[];
  readonly keyType: 'rsa-2048' | 'ed25519';
  /** The TCP port of the signing OpenDKIM on 127.0.0.1. */
  readonly socket: number;
}

interface Dns {
  readonly spf: 'mx' | 'a';
  readonly dmarc: { readonly policy: 'none' | 'quarantine' | 'reject'; readonly reportTo: Address | undefined };
  /** The server that checks ask: an IP address, with a port if it is not 53 (`[2001:db8::53]:5353`); undefined: the system's. */
  readonly resolver: string | undefined;
}

/** What the port 25 of the relays does about mail from the world. */
export interface RelayPort25 {
  /** postconf(5) reject_rbl_client's arguments: a name, or NAME=ANSWERS. */
  readonly dnsbl: readonly string[];
  /** Absolute path of the file with Spamhaus' DQS key. */
  readonly dqsKeyFile: string | undefined;
  readonly postscreen: boolean;
  readonly spf: 'off' | 'mark' | 'reject';
  readonly srs: boolean;
}

export interface Settings {
  /** Absolute path of the settings file. */
  readonly file: string;
  /** Absolute path of its folder, which also holds certs/ and hosts/. */
  readonly folder: string;
  /** `relaycerts` in commands for these settings, as a shell word in the user's folder. */
  readonly program: string;
  /** The same for any folder and without --settings, for cron. */
  readonly command: string;
  readonly domain: HostName;
  /** Absolute path of the clients file; undefined if the clients are in the settings themselves. */
  readonly clientsFile: string | undefined;
  readonly smtpdServers: readonly [SmtpdServer, ...SmtpdServer[]];
  readonly smtpClients: readonly [SmtpClient, ...SmtpClient[]];
  readonly subject: Subject;
  readonly ca: {
    readonly commonName: string;
    readonly validDays: number;
    readonly keyType: KeyType;
    readonly permittedDomains: readonly HostName[];
  };
  readonly certificates: {
    readonly validDays: number;
    readonly keyType: KeyType;
    readonly renewBeforeDays: number;
  };
  readonly passphrase: {
    /** Absolute path, `~` replaced. */
    readonly file: string;
    /** As written: a path (relative to `folder`), or anything that `gpg --export` accepts. */
    readonly recipients: readonly string[];
  };
  readonly postfix: {
    readonly directory: AbsolutePath;
    readonly tableType: TableType;
    readonly pin: 'public-key' | 'certificate';
    readonly unlisted: 'defer' | 'reject';
    readonly masterChroot: 'y' | 'n' | '-';
  };
  /** Undefined: the relays take no mail for the domain. */
  readonly inbound: Inbound | undefined;
  readonly tunnel: Tunnel;
  /** The file has a `tunnel`, and `inbound.via` does not use it. */
  readonly hasIdleTunnel: boolean;
  /** Undefined: nothing is signed. */
  readonly dkim: Dkim | undefined;
  readonly dns: Dns;
  /** Undefined: port 25 stays as it is. */
  readonly relayPort25: RelayPort25 | undefined;
}

/** All hosts in the settings' order, smtpd-servers first. */
export function hostsOf(settings: Settings): readonly HostSettings[] {
  return [...settings.smtpdServers, ...settings.smtpClients];
}
