# shellcheck shell=sh
# Tries services of ours from a host itself, with openssl only: the relays from a home, and the service for mail from the
# world from a relay or at home. It runs like probe.sh, and prints the same sections. Each try is a conversation up to
# RCPT, with and without the host's certificate. No mail is sent, and nothing stays on the host.

: "${host:?}" "${folder:?}" "${key:?}" "${certificate:?}" "${ca:?}" "${sender?}" "${greeting:?}" "${recipients:?}"

# What others say must not read as messages of the script that this may be part of. Their lines end with CR.
lines() { tr -d '\r' | head -n 200 | cut -b 1-1000 | sed 's/relaycerts:/relaycerts;/g; s/^/ /'; }

# Copies openssl's output to descriptor 4, up to the end of a reply.
await_reply() {
  while IFS= read -r line; do
    reply=$line
    printf '%s\n' "$line" >&4
    case $line in
      [2-5][0-9][0-9]' '*) return 0 ;;
    esac
  done
  [ -z "$line" ] || printf '%s\n' "$line" >&4
  return 1
}

# Each command is sent after the reply to the previous one: openssl reads its input only once it is connected, and then
# repeats the last line of the server's greeting. After five refused recipients the others are not tried.
converse() {
  # Two NOOPs show in the log that this is a trial (log/sessions.ts).
  if [ "$greeting" = trial ]; then set -- NOOP NOOP; else set --; fi
  set -- "EHLO $host" "$@" "MAIL FROM:<$sender>"
  set -f
  for recipient in $recipients; do set -- "$@" "RCPT TO:<$recipient>"; done
  reply=
  refused=0
  for command in "$@"; do
    await_reply || return 0
    case $reply in [45]*) refused=$((refused + 1)) ;; esac
    [ "$refused" -lt 5 ] || break
    printf '> %s\n' "$command" >&4
    printf '%s\n' "$command"
  done
  [ "$refused" -ge 5 ] || await_reply || return 0
  echo QUIT
  while await_reply; do :; done
}

# Sets $limit, which ends a command after a minute: a server that says nothing would keep it for as long as it likes. A
# group of its own, as timeout(1) makes without --foreground, would be out of reach of a limit around this script; busybox
# makes none, and has no such option.
find_limit() {
  limit=
  for words in 'timeout --foreground' timeout; do
    ! $words 9 true >/dev/null 2>&1 || { limit="$words 60" && return; }
  done
}

# Runs openssl s_client. 124 is the limit, and with busybox its signal.
connect() {
  $limit openssl s_client "$@" && result=0 || result=$?
  case $result in 124 | 143) echo 'Connection timed out' ;; esac
}

# $1 is a host's name, $2 its address and port, the rest are options about the certificate.
try_peer() {
  name=$1
  place=$2
  shift 2
  # shellcheck disable=SC2094 # a named pipe leads from the second back to the first
  {
    converse <"$replies" |
      connect -quiet -crlf -starttls smtp -connect "$place" -servername "$name" -verify_hostname "$name" \
        -verify_return_error -CAfile "$folder/$ca" "$@" >"$replies" 2>&1 4>&-
  } 4>&1 | lines
}

# One name, and one address with port, per line of all_peers.
probe_from() {
  if ! command -v openssl >/dev/null 2>&1; then
    section no-openssl
    section end
    return
  fi
  find_limit
  folder_of_replies=$(mktemp -d) || exit
  trap 'rm -rf "$folder_of_replies"' EXIT
  trap 'exit 1' HUP INT PIPE TERM
  replies=$folder_of_replies/replies
  mkfifo "$replies" || exit
  all_peers | while IFS=' ' read -r name place; do
    probe_addresses "$name"
    section with "$name"
    said=$(try_peer "$name" "$place" -cert "$folder/$certificate" -key "$folder/$key")
    printf '%s\n' "$said"
    section without "$name"
    # A host that does not answer would make a second try wait just as long.
    case $said in
      *' 250 '*) try_peer "$name" "$place" ;;
    esac
  done
  section end
}
