// A stock Debian configuration of Postfix for one test only: sh commands for the start of its own mount namespace
// (`unshare --mount sh -c`), with copies of main.cf and master.cf, and with Postfix not running. `$top` is an empty
// folder.

// smtp_tls_CApath: as Debian's installation adds it.
export const stockPostfix = `
set -eu
top=/mnt
mount -t tmpfs none "$top"
mkdir "$top/etc"
cp -a /etc/postfix/. "$top/etc/"
rm -rf "$top/etc/relaycerts"
cp /usr/share/postfix/main.cf.debian "$top/etc/main.cf"
cp /usr/share/postfix/master.cf.dist "$top/etc/master.cf"
printf 'myhostname = stock.example.org\\nsmtp_tls_CApath = /etc/ssl/certs\\n' >>"$top/etc/main.cf"
mount --bind "$top/etc" /etc/postfix
mount -t tmpfs -o mode=755 none /var/spool/postfix
mount -t tmpfs -o mode=755 none /var/lib/postfix
chown postfix /var/lib/postfix
`;

/** What runs a command with these sh commands: "$@" in them is the command, on a host with such a Postfix. */
export function underStockPostfix(commands: string): readonly string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${stockPostfix}${commands}`, 'sh'];
}
