// What a new Debian installation of Postfix ("Internet Site") writes to /etc, made from the files in Debian's package.
// One line is the lab's own: maillog_file, because no syslog daemon runs on its hosts.

import type { Machine } from './machine.js';

export interface MailRole {
  readonly hostname: string;
  /** The domain whose mail it accepts, for every recipient, into the Maildir /var/mail/outside; '' for none. */
  readonly takesMailOf: string;
}

export const logFile = '/var/log/mail.log';
/** Where `virtual` of the outside MX puts what it gets. */
export const outsideMaildir = '/var/mail/outside';
/** The stock /etc/postfix and /etc/cron.d, to go back to. */
const stockFolder = '/run/lab/stock';

/**
 * The settings from the package's questions with their default answers, as its postinst makes them: on top of the files
 * below.
 */
function answers({ hostname, takesMailOf }: MailRole): readonly string[] {
  const takes = [
    `virtual_mailbox_domains = ${takesMailOf}`,
    'virtual_mailbox_maps = static:outside/',
    'virtual_mailbox_base = /var/mail',
    'virtual_uid_maps = static:8',
    'virtual_gid_maps = static:8',
    'virtual_minimum_uid = 8',
  ];
  return [
    'smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination',
    `myhostname = ${hostname}`,
    'myorigin = /etc/mailname',
    `mydestination = $myhostname, ${hostname}, localhost.${hostname.replace(/^[^.]+\./, '')}, localhost`,
    'relayhost = ',
    'mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128',
    'mailbox_size_limit = 0',
    'recipient_delimiter = +',
    'inet_interfaces = all',
    'inet_protocols = all',
    `maillog_file = ${logFile}`,
    ...(takesMailOf === '' ? [] : takes),
  ];
}

// Anything in the machine's own /etc/postfix that is not from the package is left out. So are the public CAs: Postfix
// copies them into its chroot, every `postfix check` compares each of them, and every openssl loads them all.
const installScript = `cd /etc/postfix
for entry in * ; do
  case "$entry" in
    dynamicmaps.cf* | makedefs.out | post-install | postfix-files* | postfix-script | sasl) ;;
    *) rm -rf "$entry" ;;
  esac
done
cat /usr/share/postfix/main.cf.debian /usr/share/postfix/main.cf.tls > main.cf
cp /usr/share/postfix/master.cf.dist master.cf
hostname=$1
shift
# hash, or lmdb in a release whose Postfix has no Berkeley DB.
type=$(postconf -dh default_database_type)
postconf -e "$@" "alias_maps = $type:/etc/aliases" "alias_database = $type:/etc/aliases"
echo "$hostname" > /etc/mailname
find /etc/ssl/certs -type l -delete
echo "postmaster: root" > /etc/aliases
openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 3650 -subj "/CN=$hostname" \\
  -keyout /etc/ssl/private/ssl-cert-snakeoil.key -out /etc/ssl/certs/ssl-cert-snakeoil.pem 2> /dev/null
# OpenSSL 3.5 reports a file without certificates.
cp /etc/ssl/certs/ssl-cert-snakeoil.pem /etc/ssl/certs/ca-certificates.crt
mkdir -p /etc/cron.d ${stockFolder} /var/spool/postfix
install -d -o postfix -g postfix /var/lib/postfix
newaliases
cp -a /etc/postfix /etc/cron.d ${stockFolder}`;

// From 3.9 on, Debian's `postfix start` fills the chroot itself; before that, the starter of Postfix had to.
const startScript = `if ! grep -q configure-instance.sh /usr/lib/postfix/sbin/post-install; then
  /usr/lib/postfix/configure-instance.sh -
fi
postfix start`;

/** The machines of the lab that have a Postfix. */
export const mailMachines: Machine[] = [];

/** Installs and starts Postfix as Debian's package would. */
export async function startPostfix(host: Machine, role: MailRole): Promise<void> {
  mailMachines.push(host);
  await host.exec(['sh', '-euc', installScript, 'sh', role.hostname, ...answers(role)]);
  await host.sh(
    `sh -euc '${startScript}' > /run/lab/start.log 2>&1 || { cat /run/lab/start.log ${logFile} >&2; exit 1; }`,
  );
}

/**
 * Ends Postfix and waits for its last process, which may be in a delivery or hold a port after the master is gone.
 * `postfix stop` would check only once a second whether it has ended.
 */
export const abort = `group=$(tr -d ' ' < /var/spool/postfix/pid/master.pid)
postfix abort > /dev/null 2>&1
while pgrep -g "$group" > /dev/null; do sleep 0.02; done`;

/**
 * Puts the stock /etc/postfix and /etc/cron.d back, empties the queue, and starts Postfix again. The file quick-start
 * (postfix(1) quick-stop) skips the checks at the start.
 */
export async function restoreStock(host: Machine): Promise<void> {
  const script = `rsync --archive --checksum --delete ${stockFolder}/postfix ${stockFolder}/cron.d /etc/
${abort}
postsuper -d ALL > /dev/null 2>&1
rm -f /var/lib/postfix/*
: > /var/spool/postfix/quick-start
postfix start > /dev/null 2>&1`;
  await host.sh(script);
}

/** The whole mail log. */
export function readMailLog(host: Machine): Promise<string> {
  return host.peek(logFile);
}
