# shellcheck shell=sh
# Tries to relay from the home host itself, with openssl only: it runs as probe.sh does, and prints the same sections.
# Each try is a conversation up to RCPT, with and without the host's certificate. No mail comes of it, and nothing is
# written.

: "${host:?}" "${folder:?}" "${key:?}" "${certificate:?}" "${ca:?}" "${sender:?}"

section() { printf '@%s\n' "$*"; }

lines() { head -n 200 | sed 's/^/ /'; }

# openssl reads its input only once it is connected, and a server takes commands that come all at once amiss.
commands() {
  sleep 3
  echo "EHLO $host"
  sleep 1
  echo "MAIL FROM:<$sender>"
  sleep 1
  echo 'RCPT TO:<postmaster@example.com>'
  sleep 1
  echo QUIT
  sleep 1
}

# $1 a relay, $2 its port, the rest: options about the certificate.
try_relay() {
  name=$1
  place=$1:$2
  shift 2
  commands | openssl s_client -quiet -crlf -starttls smtp -connect "$place" -servername "$name" -verify_hostname "$name" \
    -verify_return_error -CAfile "$folder/$ca" "$@" 2>&1 | lines
}

# One relay and port in each line of all_relays.
probe_from() {
  all_relays | while IFS=' ' read -r name number; do
    section addresses "$name"
    { getent ahosts "$name" 2>/dev/null || :; } | awk '{ print $1 }' | sort -u | lines
    section with "$name"
    try_relay "$name" "$number" -cert "$folder/$certificate" -key "$folder/$key"
    section without "$name"
    try_relay "$name" "$number"
  done
  section end
}
