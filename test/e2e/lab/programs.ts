// A mail program other than Postfix on a host of the lab: unpacked from Debian's packages, which are not installed
// because they conflict with Postfix, and mounted over /usr of that host only. What the packages' postinst would do is
// done here.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { MailHost } from './mail-host.js';

export type Program = keyof typeof programs;

/** What a package's postinst does, and the answers to its questions. */
const programs = {
  exim: `account Debian-exim 901
install -d -o Debian-exim -g adm -m 2750 /var/log/exim4
install -d -o Debian-exim -g Debian-exim -m 750 /run/exim4 /var/spool/exim4 /var/spool/exim4/db /var/spool/exim4/input \\
  /var/spool/exim4/msglog
install -d /var/lib/exim4
chown root:Debian-exim /etc/exim4/passwd.client
cat > /etc/exim4/update-exim4.conf.conf << END
# /etc/exim4/update-exim4.conf.conf

dc_eximconfig_configtype='internet'
dc_other_hostnames='$(hostname).example.org'
dc_local_interfaces='127.0.0.1 ; ::1'
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
END
update-exim4.conf
service exim4 start`,
  nullmailer: `install -d -o mail -g root -m 755 /var/spool/nullmailer
install -d -o mail -g mail -m 700 /var/spool/nullmailer/queue /var/spool/nullmailer/tmp /var/spool/nullmailer/failed
install -d /etc/nullmailer
echo 'smtp.provider.example smtp' > /etc/nullmailer/remotes
chown mail:mail /etc/nullmailer/remotes
chmod 600 /etc/nullmailer/remotes
service nullmailer start`,
  msmtp: '',
  nodemailer: '',
  'opensmtpd-6': '',
  'opensmtpd-7': `account opensmtpd 902
account opensmtpq 903
chgrp opensmtpq "$folder/usr/sbin/smtpctl"
chmod 2755 "$folder/usr/sbin/smtpctl"
install -d -m 711 /var/lib/opensmtpd /var/lib/opensmtpd/empty /var/spool/smtpd
service opensmtpd start`,
};

const unpack = `account() {
  echo "$1:x:$2:$2::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
  echo "$1:*:19000:0:99999:7:::" >> /etc/shadow
  echo "$1:x:$2:" >> /etc/group
}
postfix stop > /dev/null 2>&1 || :
folder=/run/lab/programs/$1
mkdir -p "$folder"
for archive in "$folder".*.deb; do dpkg-deb -x "$archive" "$folder"; done
for place in etc var; do
  if [ -d "$folder/$place" ]; then cp -a "$folder/$place/." "/$place/"; fi
done
# Over all that came before, because overlays can be stacked only twice.
stock=/run/lab/usr
if [ ! -d "$stock" ]; then
  mkdir "$stock"
  mount --bind /usr "$stock"
fi
layers=$folder/usr:$(cat /run/lab/layers 2> /dev/null || echo "$stock")
echo "$layers" > /run/lab/layers
mount -t overlay -o "lowerdir=$layers" overlay /usr`;

/** Stops Postfix on a host and puts the program in its place, as its package would. */
export async function installProgram(host: MailHost, program: Program): Promise<void> {
  const cache = fileURLToPath(new URL(`../../../node_modules/.cache/relaycerts/archives/${program}`, import.meta.url));
  if (!existsSync(cache)) throw new Error(`no archives of ${program}: as root: node scripts/fetch-test-archives.mjs`);
  const archives = readdirSync(cache).filter((name) => name.endsWith('.deb'));
  await Promise.all(
    archives.map((name) => host.writeFile(`/run/lab/programs/${program}.${name}`, readFileSync(`${cache}/${name}`))),
  );
  // A daemon must not hold the pipes of the call that starts it.
  const log = '/run/lab/program.log';
  const run = `sh -euc "$2" sh "$1" > ${log} 2>&1 < /dev/null || { cat ${log} >&2; exit 1; }`;
  await host.exec(['sh', '-c', run, 'sh', program, `${unpack}\n${programs[program]}`]);
}
