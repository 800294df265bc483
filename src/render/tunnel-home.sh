# shellcheck shell=sh
# The part of install.sh for home's end of the tunnel: for each relay, ssh logs in as an account that may only listen
# there, with the key that home has anyway, and knows one relay by its host keys. `deploy` sends these; without them the
# rest is installed, and the script says what is missing.

: "${host:?}" "${folder:?}" "${bundle:?}" "${arrived:?}" "${saved:?}" "${key:?}" "${tunnel_user:?}" "${tunnel_relays:?}" "${tunnel_hint:?}" "${tunnel_steps_hint:?}"

unit_of() { echo "$tunnel_user-$1.service"; }

unit_file_of() { echo "/etc/systemd/system/$(unit_of "$1")"; }

# The host keys of relay $1: those that came with the bundle, or those that are here.
known_hosts_of() {
  if [ -f "$arrived/$1.known_hosts" ] && [ ! -L "$arrived/$1.known_hosts" ]; then
    echo "$arrived/$1.known_hosts"
  else
    echo "$folder/$1.known_hosts"
  fi
}

end_files() {
  if has_systemd; then all_tunnel_files; else all_tunnel_files | grep -v '^/etc/systemd/'; fi
  for relay in $tunnel_relays; do
    file=$(known_hosts_of "$relay")
    [ ! -f "$file" ] || sed "s,^,$folder/$relay.known_hosts ," "$file"
  done
}

# True if ssh runs for relay $1, however it was started.
tunnel_runs() {
  for process in /proc/[0-9]*; do
    # shellcheck disable=SC2094 # nothing writes there
    case $(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) in
      ssh\ *" $tunnel_user@$1 " | */ssh\ *" $tunnel_user@$1 ") return 0 ;;
    esac
  done
  return 1
}

check_tunnel() {
  command -v ssh >/dev/null 2>&1 ||
    fail "ssh is not installed on $host, which needs it to open a tunnel; nothing was changed" "install it: apt-get install openssh-client"
  ssh-keygen -y -P '' -f "$bundle/$key" >/dev/null 2>&1 ||
    fail "the ssh of $host cannot read its key $bundle/$key: Ed25519 keys need OpenSSH 9.6; nothing was changed" \
      'set certificates.keyType to "ecdsa-p256" in the settings, and make a new key: relaycerts renew --rekey'
  for relay in $tunnel_relays; do
    file=$(known_hosts_of "$relay")
    [ ! -f "$file" ] || ! grep -Eqv '^[][A-Za-z0-9.:-]+ [a-z0-9-]+ [A-Za-z0-9+/]+=*$' "$file" ||
      fail "$file has more than host keys" "remove it, and install $host again"
    [ -s "$file" ] || warn "$host does not know the ssh host key of $relay, so there is no tunnel to it: $tunnel_hint"
  done
  check_tunnel_files
}

is_right_tunnel() {
  tunnel_files_are_right || return 1
  has_systemd || return 0
  for relay in $tunnel_relays; do
    [ ! -s "$(known_hosts_of "$relay")" ] || systemctl is-enabled --quiet "$(unit_of "$relay")" || return 1
  done
}

prepare_tunnel() {
  if ! is_right_tunnel; then
    place_tunnel_files
    if has_systemd; then
      systemctl daemon-reload
      for relay in $tunnel_relays; do start_tunnel "$relay"; done
    fi
  fi
  has_systemd || for relay in $tunnel_relays; do
    tunnel_runs "$relay" ||
      warn "systemd does not run on $host, so nothing starts the tunnel to $relay; have it started with the host, as this says: $tunnel_steps_hint"
  done
}

# Without host keys, ssh would refuse the relay.
start_tunnel() {
  [ -s "$folder/$1.known_hosts" ] || return 0
  systemctl enable "$(unit_of "$1")" >/dev/null 2>&1
  systemctl restart "$(unit_of "$1")" || fail "$(unit_of "$1") does not start" "journalctl -u $(unit_of "$1")"
}

put_back_tunnel() {
  put_back_tunnel_files && has_systemd || return 0
  systemctl daemon-reload
  for relay in $tunnel_relays; do
    if [ -f "$(unit_file_of "$relay")" ]; then
      systemctl restart "$(unit_of "$relay")"
    else
      systemctl disable --now "$(unit_of "$relay")"
    fi >/dev/null 2>&1
  done
}

# A service has started even if ssh ends at once. That undoes nothing: the relay may be down, and systemd tries again.
warn_of_ended_tunnel() {
  [ -s "$folder/$1.known_hosts" ] && has_systemd && ! systemctl is-active --quiet "$(unit_of "$1")" || return 0
  said=$(journalctl -q -o cat -n 1 -u "$(unit_of "$1")" 2>/dev/null) || :
  case $said in
    *'No user exists for uid'*) said="$said; install libnss-systemd" ;;
  esac
  warn "ssh does not keep the tunnel to $1 open: ${said:-journalctl -u $(unit_of "$1")}"
}

# What takes the tunnel to each relay out again, also when the settings no longer name it (install.sh).
keep_tunnel() {
  rm -rf "$saved/tunnel"
  for relay in $tunnel_relays; do
    warn_of_ended_tunnel "$relay"
    keep_undo "tunnel.$relay" <<END
if [ -d /run/systemd/system ] && [ -f $(unit_file_of "$relay") ]; then
  systemctl disable --now $(unit_of "$relay") >/dev/null 2>&1 || :
  rm -f $(unit_file_of "$relay")
  systemctl daemon-reload
fi
for process in /proc/[0-9]*; do
  case \$(tr '\\0' ' ' <"\$process/cmdline" 2>/dev/null) in
    *ssh\\ *" $tunnel_user@$relay ") kill "\${process#/proc/}" 2>/dev/null || : ;;
  esac
done
rm -f $folder/$relay.known_hosts $folder/$relay.etrn
END
  done
}

left_tunnel() { false; }

undo_tunnel() { :; }

probe_tunnel() {
  for relay in $tunnel_relays; do
    section tunnel "$relay" "$(unit_of "$relay")"
    {
      is_right_tunnel || echo stale
      if has_systemd; then systemctl is-active --quiet "$(unit_of "$relay")"; else tunnel_runs "$relay"; fi || echo stopped
      { cat "$folder/$relay.known_hosts" 2>/dev/null || :; } | sed 's/^[^ ]* /key /'
    } | lines
  done
}
