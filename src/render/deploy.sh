# shellcheck shell=sh
# What the script that installs hosts from here begins with. One host comes after the other, the relays first, because
# their tables have to list a client before it connects; if a relay fails, no client is touched.

failed=

# Ends the script if a host failed; $1 goes on from their names.
stop_if_failed() {
  [ -n "$failed" ] || return 0
  echo "relaycerts: error: not installed:$failed$1" >&2
  exit 1
}

for tool in rsync ssh; do
  command -v "$tool" >/dev/null || {
    echo "relaycerts: error: $tool is missing on this machine" >&2
    exit 1
  }
done
