# shellcheck shell=sh
# What `deploy` runs on a host, as root. A line of stdin has the word `archive` and a size in octets, and the archive
# follows: the script in it installs the bundle in it, and reads on from descriptor 3. A copy of this file stays on the
# host for a key that may do nothing else (command= in authorized_keys), and passes over the one that is sent: with $only
# it accepts only certificates, keys and tables. The files of $configuration stay as they were installed before, and the
# line `kept` has those that differ.

: "${folder:?}" "${arrived:?}" "${only?}" "${configuration?}"

script=$arrived/install.sh

[ "$(id -u)" = 0 ] || fail 'this has to run as root' 'set sshUser to root, or allow sudo without a password'
command -v tar >/dev/null 2>&1 || fail 'tar is not installed there' "$(how_to_get tar)"
word=
until [ "$word" = archive ]; do
  read -r word size ||
    fail 'only relaycerts deploy can use this login' 'log in with an ssh key that is not limited' key-limited
done
case $size in
  '' | *[!0-9]*) fail 'what arrived is not an archive' 'use relaycerts deploy' ;;
esac
trap clean_up EXIT
begin_arrival
head -c "$size" | tar -x -o -f - -C "$arrived"
# A link could stand for a file that is elsewhere, or that exists only later: find prints the folder first, and no more.
[ "$(find "$arrived" \( ! -type f -o -links +1 \) | wc -l)" -eq 1 ] ||
  fail 'what arrived has more than files in it' 'use relaycerts deploy'
if [ -n "$only" ]; then
  # What deploy sends besides, whatever the key may do.
  rm -f "$arrived"/*.known_hosts
  kept=
  for file in $configuration; do
    [ -f "$arrived/$file" ] || continue
    cmp -s "$arrived/$file" "$folder/$file" || cmp -s "$arrived/$file" "$folder/saved/$file" || kept="$kept $file"
    rm -f "$arrived/$file"
  done
  for file in "$arrived"/* "$arrived"/.[!.]*; do
    [ -e "$file" ] || continue
    case " $only " in
      *" ${file##*/} "*) ;;
      *) fail "this ssh key may not install ${file##*/}" 'deploy with an ssh key that is not limited' key-limited ;;
    esac
  done
  [ -z "$kept" ] || printf 'relaycerts: kept:%s\n' "$kept"
  script=$folder/saved/install.sh
fi
# Processes that the script starts may outlive it, so they do not inherit the lock.
sh "$script" "$arrived" 3<&0 </dev/null 9<&-
