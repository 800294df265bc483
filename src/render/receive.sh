# shellcheck shell=sh
# What `deploy` runs on a host, as root. A line of stdin has the word `archive` and a size in octets, and the archive
# follows: the script in it installs the bundle in it, and reads on from descriptor 3. A copy of this file stays on the
# host for a key that may do nothing else (command= in authorized_keys), and passes over the one that is sent: with $only
# it accepts only certificates, keys and tables, and uses the script and the settings that were installed before.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

: "${folder:?}" "${only?}"

arrived=$folder/next
script=$arrived/install.sh

clean_up() {
  [ $? -eq 0 ] || tell_if_full
  rm -rf "$arrived"
  # Only if it is empty: nothing was installed here.
  rmdir "$folder" 2>/dev/null || :
}

[ "$(id -u)" = 0 ] || fail 'this has to run as root' 'set sshUser to root, or allow sudo without a password'
command -v tar >/dev/null 2>&1 || fail 'tar is not installed there' 'install it: apt-get install tar'
word=
until [ "$word" = archive ]; do
  read -r word size || fail 'what arrived is not an archive' 'use relaycerts deploy'
done
case $size in
  '' | *[!0-9]*) fail 'what arrived is not an archive' 'use relaycerts deploy' ;;
esac
check_folder
take_turn
rm -rf "$arrived"
trap clean_up EXIT
mkdir "$arrived"
head -c "$size" | tar -x -o -f - -C "$arrived"
if [ -n "$only" ]; then
  for file in install.sh receive.sh opendkim.conf opendkim.SigningTable opendkim.service dnsbl dnsbl_replies; do
    rm -f "$arrived/$file"
  done
  for file in "$arrived"/* "$arrived"/.[!.]*; do
    [ -e "$file" ] || continue
    case " $only " in
      *" ${file##*/} "*) ;;
      *) fail "this key may not install ${file##*/}" 'install it with a key that is not limited' ;;
    esac
  done
  script=$folder/saved/install.sh
fi
# Processes that the script starts may outlive it, so they do not inherit the lock.
sh "$script" "$arrived" 3<&0 </dev/null 9<&-
