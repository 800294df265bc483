# shellcheck shell=sh
# Who can replace the folder of the installed files, and with it the key and the script that root runs, and whose turn it
# is there. It is part of the scripts for all hosts and of receive.sh; both have the functions fail and make_folder.

: "${folder:?}"

# The process that waits for a verdict (arrival.sh). Nothing that arrives can replace it.
waiting=$folder/saved/waiting

# Prints the folders above $1 that users other than root can change, by the given path and with links resolved.
open_parents() {
  for path in "$1" "$(cd -P "$1" && pwd -P)"; do
    while [ "$path" != / ]; do
      path=$(dirname "$path")
      find -H "$path" -prune \( ! -user 0 -o -perm -020 -o -perm -002 \)
    done
  done
}

# Only root can replace a folder above $1.
check_parents() {
  path=$(open_parents "$1" | head -n 1)
  [ -z "$path" ] ||
    fail "$path, which holds $folder, can be changed by others than root" \
      "set postfix.directory in the settings to a folder below /etc, or: chown root $path && chmod go-w $path"
}

# From here on only root can change what is in the folder. Before, others may have: scripts in saved are run, and files in
# it are put back.
secure_folder() {
  [ ! -L "$folder" ] || fail "the folder $folder is a link" 'set postfix.directory in the settings to what it leads to'
  [ -d "$folder" ] || return 0
  check_parents "$folder"
  chown 0 "$folder"
  chmod go-w "$folder"
  [ -z "$(find "$folder/saved" -prune \( ! -type d -o ! -user 0 \) 2>/dev/null)" ] ||
    fail "$folder/saved is not a folder of root, so somebody else made it" "look at what is in it, then: rm -r $folder/saved"
}

# One at a time. A run that waits for a verdict on a dead connection would restore the old files later, over those of
# this run, so it is made to do it now.
take_turn() {
  make_folder
  command -v flock >/dev/null 2>&1 || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    make_folder
    exec 9<"$folder"
    ! flock -n 9 || return 0
    { read -r process <"$waiting" && kill "$process"; } 2>/dev/null || :
    sleep 1
  done
  fail 'another deployment is running on this host' 'run this again when it has finished'
}
