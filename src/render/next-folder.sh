# shellcheck shell=sh
# How receive.sh and receive-lines.sh begin: a fixed environment, and functions for the folder on a host in which files
# arrive, before anything is in it. Both have the functions of failure.sh and parents.sh.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RELAYCERTS_DEPLOY=yes
export LC_ALL PATH RELAYCERTS_DEPLOY

: "${folder:?}" "${waiting:?}"

arrived=$folder/next

is_ours=no

# On exit, whatever the status, and also if nobody reads the messages any more.
clean_up() {
  status=$?
  set +e
  trap : PIPE
  [ "$status" -eq 0 ] || tell_if_full
  [ "$is_ours" = yes ] || return 0
  rm -rf "$arrived"
  # Only what is empty: nothing was installed here.
  rmdir "$folder" 2>/dev/null || return 0
  case ${folder%/*} in */relaycerts) rmdir "${folder%/*}" 2>/dev/null || : ;; esac
}

# The user of a mail program has to pass the folders above.
make_folder() { (umask 022 && mkdir -p "${folder%/*}") && mkdir -p "$folder"; }

# Anyone who can replace the folder can replace the script in it before root runs that, so this comes first.
check_folder() {
  above=$folder
  until [ -d "$above" ]; do above=$(dirname "$above"); done
  if [ "$above" != "$folder" ]; then
    check_parents "$above/."
    return
  fi
  secure_folder
}

# Makes the folder, empty.
begin_arrival() {
  check_folder
  take_turn
  is_ours=yes
  rm -rf "$arrived" "$waiting"
  mkdir "$arrived"
}
