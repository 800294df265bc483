# shellcheck shell=sh
# The functions that install.sh calls on an smtp-client: main.cf sends all mail through the relay. They change nothing
# but the settings listed in the script's head.

: "${host:?}" "${folder:?}" "${saved:?}" "${chain:?}"

check_role() {
  for name in transport_maps sender_dependent_relayhost_maps sender_dependent_default_transport_maps smtp_tls_policy_maps; do
    value=$(postconf -xh "$name" 2>/dev/null)
    [ -z "$value" ] || warn "$name = $value: mail that it matches may bypass the relay, or use other TLS settings"
  done
  value=$(postconf -h smtp_tls_chain_files)
  case $value in
    "$folder/$chain") ;;
    */"$chain")
      [ ! -d "${value%/*}/saved/before" ] ||
        fail "relaycerts configured $host from ${value%/*} before, and undo could no longer restore that" \
          "undo that first: set postfix.directory to ${value%/*} and run the same command with --undo"
      ;;
  esac
  value=$(postconf -xh default_transport)
  [ "$value" = smtp ] || warn "default_transport = $value: mail goes to the relay only if that is the smtp client"
  for override in $(postconf -P 'smtp/unix/*' 2>/dev/null | sed -n 's, = .*,,; /\/relayhost$/p; /\/smtp_tls_/p; /\/tls_/p'); do
    warn "master.cf overrides what is set here: $(postconf -P "$override")"
  done
}

prepare_tables() { :; }

configuration_is_right() {
  wanted=$(settings | sed 's/=/ = /; s/ *$//' | sort)
  found=$(settings | sed 's/=.*//' | xargs postconf | sed 's/ *$//' | sort)
  [ "$wanted" = "$found" ]
}

change_configuration() (
  IFS='
'
  set -f
  # shellcheck disable=SC2046 # one word per line
  postconf -c "$1" -e $(settings)
)

check_active() { :; }

# A setting that still has our value goes back to what it was, or goes away; one that was changed since stays.
undo_settings() {
  copy=$1
  before=$(postconf -c "$saved/before" -n)
  gone=
  set --
  while IFS= read -r line; do
    name=${line%%=*}
    if [ "$(postconf -c "$copy" -h "$name")" != "${line#*=}" ]; then
      warn "$name was changed since; it stays as it is"
    elif old=$(printf '%s\n' "$before" | grep "^$name ="); then
      set -- "$@" "$old"
    else
      gone="$gone $name"
    fi
  done <<END
$(cat "$saved/settings" 2>/dev/null || settings)
END
  # All at once: what reads main.cf waits until its last edit is two seconds old.
  [ -z "$gone" ] || printf '%s\n' "$gone" | xargs postconf -c "$copy" -X
  [ $# -eq 0 ] || postconf -c "$copy" -e "$@" </dev/null
}
