# shellcheck shell=sh
# How the scripts for all hosts and receive.sh end: `outcome` is a line for deploy, which sets RELAYCERTS_DEPLOY. It is
# changed, unchanged, or the id of what failed, if that has an id of its own in docs/findings.md.

: "${folder:?}"

outcome() { [ -z "${RELAYCERTS_DEPLOY-}" ] || printf 'relaycerts: outcome: %s\n' "$1"; }

# Ends with the message $1, the hint $2, and the id $3 if there is one.
fail() {
  printf 'relaycerts: error: %s\nrelaycerts: hint: %s\n' "$1" "$2" >&2
  [ -z "${3-}" ] || outcome "$3"
  exit 1
}

# How to install the package $1 on this system: each has its own command.
how_to_get() {
  for command in 'apt-get install' 'dnf install' 'apk add' 'pkg install'; do
    ! command -v "${command%% *}" >/dev/null 2>&1 || {
      echo "install it: $command $1"
      return
    }
  done
  echo "install the package $1, which may have another name there"
}

# With a full disk, anything may fail, so this is asked before anything is removed. The folder may not exist yet. Where
# others than root can make a link, nothing is written.
tell_if_full() {
  above=$folder
  until [ -d "$above" ]; do above=$(dirname "$above"); done
  [ -z "$(open_parents "$above/.")" ] || return 0
  rm -f "$above/.relaycerts-full"
  case $({ head -c 1048576 /dev/zero >"$above/.relaycerts-full"; } 2>&1) in
    *'No space left'* | *'uota exceeded'*)
      printf 'relaycerts: error: the disk with %s is full\nrelaycerts: hint: make room: df -h %s\n' "$above" "$above" >&2
      outcome disk-full
      ;;
  esac
  rm -f "$above/.relaycerts-full"
}
