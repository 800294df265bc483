# shellcheck shell=sh
# What probe.sh and probe-from.sh print alike: sections, and the addresses that a host has for a name.

section() { printf '@%s\n' "$*"; }

# Some systems' getent knows no ahosts, and prints one family of addresses.
probe_addresses() {
  section addresses "$1"
  { getent ahosts "$1" || getent hosts "$1" || :; } 2>/dev/null | awk '{ print $1 }' | sort -u | lines
}
