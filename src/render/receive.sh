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

# Anyone who can replace the folder can replace the script in it before root runs that, so this comes first.
check_folder() {
  above=$folder
  until [ -d "$above" ]; do above=$(dirname "$above"); done
  if [ "$above" != "$folder" ]; then
    check_parents "$above/."
    return
  fi
  [ ! -L "$folder" ] || fail "the folder $folder is a link" 'set postfix.directory in the settings to what it leads to'
  check_parents "$folder"
  chown 0 "$folder"
  chmod go-w "$folder"
}

# One at a time. A run that waits for a verdict on a dead connection would restore the old files later, over those of
# this run, so it is made to do it now.
take_turn() {
  mkdir -p "$folder"
  command -v flock >/dev/null 2>&1 || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    mkdir -p "$folder"
    exec 9<"$folder"
    ! flock -n 9 || return 0
    { read -r waiting <"$arrived/waiting" && kill "$waiting"; } 2>/dev/null || :
    sleep 1
  done
  fail 'another deployment is at work on this host' 'run relaycerts deploy again when it is done'
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
  rm -f "$arrived"/*.known_hosts
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
