# shellcheck shell=sh
# What `deploy` runs on a host, as root. The first line of stdin is the size of an archive in octets, and the archive
# follows: the script in it installs the bundle in it, and reads on from descriptor 3. A copy of this file stays on the
# host for a key that may do nothing else (command= in authorized_keys): with $only it accepts only certificates, keys
# and the table, and uses the script that was installed before.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

: "${folder:?}" "${only?}"

arrived=$folder/next
script=$arrived/install.sh

clean_up() {
  rm -rf "$arrived"
  # Only if it is empty: nothing was installed here.
  rmdir "$folder" 2>/dev/null || :
}

fail() {
  printf 'relaycerts: error: %s\nrelaycerts: hint: %s\n' "$1" "$2" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail 'this has to run as root' 'set sshUser to root, or allow sudo without a password'
read -r size
case $size in
  '' | *[!0-9]*) fail 'what arrived is not an archive' 'use relaycerts deploy' ;;
esac
mkdir -p "$folder"
rm -rf "$arrived"
trap clean_up EXIT
mkdir "$arrived"
head -c "$size" | tar -x -o -f - -C "$arrived"
if [ -n "$only" ]; then
  rm -f "$arrived/install.sh" "$arrived/receive.sh"
  for file in "$arrived"/* "$arrived"/.[!.]*; do
    [ -e "$file" ] || continue
    case " $only " in
      *" ${file##*/} "*) ;;
      *) fail "this key may not install ${file##*/}" 'install it with a key that is not limited' ;;
    esac
  done
  script=$folder/saved/install.sh
fi
sh "$script" "$arrived" 3<&0 </dev/null
