# shellcheck shell=sh
# Who can replace the folder of the installed files, and with it the key and the script that root runs. It is part of
# the scripts for all hosts and of receive.sh; both have a function fail.

: "${folder:?}"

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
