// A machine as other systems have it, as sh commands for the start of its own mount namespace, where /mnt is an empty
// folder of its own: busybox's applets in place of Debian's programs, as on Alpine, and a Postfix that was built with
// another configuration folder, as on FreeBSD.

/** Where the Postfix of `builtElsewhere` has main.cf: as long as Debian's path, because it takes its place in files. */
export const otherFolder = '/mnt/postfix';

/** Copies /etc/postfix to `otherFolder`, where Postfix now finds it by itself; /etc/postfix is empty. */
export const builtElsewhere = `
mkdir /mnt/built
for file in /usr/lib/postfix/libpostfix-global.so /usr/sbin/postconf /usr/sbin/postfix /usr/sbin/postmulti; do
  sed 's,/etc/postfix,${otherFolder},g' "$file" >"/mnt/built/\${file##*/}"
  chmod 755 "/mnt/built/\${file##*/}"
  mount --bind "/mnt/built/\${file##*/}" "$file"
done
cp -a /etc/postfix ${otherFolder}
sed -i 's,/etc/postfix,${otherFolder},g' ${otherFolder}/main.cf ${otherFolder}/dynamicmaps.cf
mount -t tmpfs -o mode=755 none /etc/postfix
`;

/**
 * From here on, what busybox has is busybox's, and what Alpine does not install is gone; the rest is Debian's. bash
 * stays as a word for sh, because it is root's shell.
 */
export const onlyBusybox = `
for folder in bin sbin; do
  mkdir -p /mnt/real/$folder /mnt/links/$folder
  mount --rbind /usr/$folder /mnt/real/$folder
done
busybox --install -s /mnt/links/bin
for folder in bin sbin; do ln -s /mnt/real/$folder/* /mnt/links/$folder/ 2>/dev/null || :; done
(
  cd /mnt/links/sbin
  for name in *; do [ ! -e "../bin/$name" ] || rm "$name"; done
  rm -f getenforce invoke-rc.d posttls-finger semanage service
  cd ../bin
  rm -f apt-get awk.real bash dig dpkg-query gawk getenforce getent host journalctl mawk namei nawk netstat.real ss systemctl
  # Debian 13's Postfix fills its chroot with Perl.
  [ -e /usr/lib/postfix/syncfiles.pl ] || rm -f perl
  printf '#!/bin/sh\\nexec /bin/sh "$@"\\n' >bash
  chmod 755 bash
)
for folder in bin sbin; do mount --bind /mnt/links/$folder /usr/$folder; done
`;
