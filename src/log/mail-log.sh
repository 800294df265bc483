# shellcheck shell=sh
# Prints the mail log of this host, for `relaycerts explain`; with "follow" as it grows. It changes nothing.
# Where it is depends on the system: a file of Postfix's own, of a syslog daemon or of Exim, or else the journal.

set -u
mode=${1:-once}
set --
for file in "$(postconf -h maillog_file 2>/dev/null)" /var/log/mail.log /var/log/maillog /var/log/exim4/mainlog; do
  case "$file" in
    /dev/*) ;;
    *) if [ -s "$file" ]; then set -- "$@" "$file"; fi ;;
  esac
done
# Postfix may be told the file that the syslog daemon writes, too.
if [ "${1:-}" = "${2:-none}" ]; then shift; fi

if [ $# -gt 0 ]; then
  echo "relaycerts: log: $*" >&2
  if [ "$mode" = follow ]; then exec tail -n +1 -q -F "$@"; fi
  exec cat "$@"
elif command -v journalctl >/dev/null 2>&1; then
  echo "relaycerts: log: journalctl SYSLOG_FACILITY=2" >&2
  if [ "$mode" = follow ]; then exec journalctl -q --no-pager -o short-iso -n all -f SYSLOG_FACILITY=2; fi
  exec journalctl -q --no-pager -o short-iso SYSLOG_FACILITY=2
fi
echo "relaycerts: error: there is no mail log here" >&2
exit 4
