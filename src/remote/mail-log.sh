# shellcheck shell=sh
# Prints the mail log of this host, for `relaycerts explain`; if $mode is "follow", as it grows. It changes nothing. Its
# place depends on the system: a file of Postfix, of a syslog daemon or of Exim, or else the journal, or else the file for
# everything, as busybox's syslogd has it.

set -u
: "${mode:?}"
# That it ran at all: an empty log looks like a login that runs no script.
echo 'relaycerts: reading the mail log' >&2
set --
for file in "$(postconf -h maillog_file 2>/dev/null)" /var/log/mail.log /var/log/maillog /var/log/exim4/mainlog /var/log/exim/main.log; do
  # Postfix may be configured to write the file that a syslog daemon would write.
  case "$file ${*-}" in
    /dev/* | "$file $file"*) ;;
    *) if [ -s "$file" ]; then set -- "$@" "$file"; fi ;;
  esac
done
if [ $# -eq 0 ] && [ -s /var/log/messages ] && ! command -v journalctl >/dev/null 2>&1; then set -- /var/log/messages; fi

if [ $# -gt 0 ]; then
  if [ "$mode" = follow ]; then exec tail -q -n +1 -F "$@"; fi
  exec cat "$@"
fi
if command -v journalctl >/dev/null 2>&1; then
  if [ "$mode" = follow ]; then exec journalctl -q --no-pager -o short-iso -n all -f SYSLOG_FACILITY=2; fi
  exec journalctl -q --no-pager -o short-iso SYSLOG_FACILITY=2
fi
echo "relaycerts: error: there is no mail log" >&2
exit 4
