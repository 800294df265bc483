# shellcheck shell=sh
# Asks a relay for the mail that waits there for home, once the tunnel is up again: Postfix would try only after
# maximal_backoff_time. It is given home's certificate, which the relay's port asks for, and each command is sent after
# the reply to the one before. It is beside the files that it reads: in postfix.directory, or in a service's
# credentials.

set -eu

: "${host:?}" "${relay:?}" "${port:?}" "${domains:?}" "${key:?}" "${certificate:?}" "${ca:?}"

cd "$(dirname "$0")"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
trap 'exit 1' HUP INT PIPE TERM
mkfifo "$made/replies"

# Up to the end of a reply.
await_reply() {
  while IFS= read -r line; do
    case $line in
      [2-5][0-9][0-9]' '*) return 0 ;;
    esac
  done
  return 1
}

# openssl repeats the last line of the server's greeting, on stderr.
converse() {
  last=
  set -- "EHLO $host"
  for domain in $domains; do set -- "$@" "ETRN $domain"; done
  for command in "$@" QUIT; do
    await_reply || break
    case $last in ETRN*) echo "$last: $line" >&2 ;; esac
    printf '%s\n' "$command"
    last=$command
  done
}

# shellcheck disable=SC2094 # a named pipe leads from the second back to the first
converse <"$made/replies" |
  openssl s_client -quiet -crlf -starttls smtp -connect "$relay:$port" -servername "$relay" -verify_hostname "$relay" \
    -verify_return_error -CAfile "$ca" -cert "$certificate" -key "$key" >"$made/replies" 2>&1
