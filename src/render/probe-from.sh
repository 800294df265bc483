# shellcheck shell=sh
# Tries to relay from the home host itself, with openssl only: it runs like probe.sh, and prints the same sections. Each
# try is a conversation up to RCPT, with and without the host's certificate. No mail is sent, and nothing stays on the
# host.

: "${host:?}" "${folder:?}" "${key:?}" "${certificate:?}" "${ca:?}" "${sender:?}"

lines() { head -n 200 | sed 's/^/ /'; }

# Copies openssl's output to descriptor 4, up to the end of a reply.
await_reply() {
  while IFS= read -r line; do
    printf '%s\n' "$line" >&4
    case $line in
      [2-5][0-9][0-9]' '*) return 0 ;;
    esac
  done
  [ -z "$line" ] || printf '%s\n' "$line" >&4
  return 1
}

# Each command is sent after the reply to the previous one: openssl reads its input only once it is connected, and then
# repeats the last line of the server's greeting.
converse() {
  for command in "EHLO $host" "MAIL FROM:<$sender>" 'RCPT TO:<postmaster@example.com>' QUIT; do
    await_reply || return 0
    printf '%s\n' "$command"
  done
  while await_reply; do :; done
}

# $1 is a relay, $2 its port, the rest are options about the certificate.
try_relay() {
  name=$1
  place=$1:$2
  shift 2
  # shellcheck disable=SC2094 # a named pipe leads from the second back to the first
  {
    converse <"$replies" |
      openssl s_client -quiet -crlf -starttls smtp -connect "$place" -servername "$name" -verify_hostname "$name" \
        -verify_return_error -CAfile "$folder/$ca" "$@" >"$replies" 2>&1 4>&-
  } 4>&1 | lines
}

# One relay and port per line of all_relays.
probe_from() {
  if ! command -v openssl >/dev/null 2>&1; then
    section no-openssl
    section end
    return
  fi
  folder_of_replies=$(mktemp -d) || exit
  trap 'rm -rf "$folder_of_replies"' EXIT
  trap 'exit 1' HUP INT PIPE TERM
  replies=$folder_of_replies/replies
  mkfifo "$replies" || exit
  all_relays | while IFS=' ' read -r name number; do
    probe_addresses "$name"
    section with "$name"
    said=$(try_relay "$name" "$number" -cert "$folder/$certificate" -key "$folder/$key")
    printf '%s\n' "$said"
    section without "$name"
    # A relay that does not answer would make a second try wait just as long.
    case $said in
      *' 250 '*) try_relay "$name" "$number" ;;
    esac
  done
  section end
}
