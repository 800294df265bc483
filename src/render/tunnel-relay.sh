# shellcheck shell=sh
# The part of install.sh for a relay's end of the tunnel: an account without a password or a shell, whose keys are those
# of home and may do nothing but listen on one port of 127.0.0.1. sshd is asked what it makes of the settings before it
# reads them, so that no mistake in them, or in the admin's, locks anybody out or lets the account do more.

: "${host:?}" "${bundle:?}" "${saved:?}" "${copy_hint:?}"
: "${tunnel_user:?}" "${tunnel_comment:?}" "${tunnel_limits:?}" "${tunnel_listen:?}" "${tunnel_home:?}"

# sshd refuses to run under a relative name.
sshd=$(command -v sshd || echo /usr/sbin/sshd)
tunnel_keys=/etc/ssh/$tunnel_user.keys
tunnel_settings=/etc/ssh/sshd_config.d/$tunnel_user.conf
# The account was made in this run.
tunnel_user_made=no

end_files() {
  all_tunnel_files
  # With its comment, so that the file is replaced also if no key is left.
  sed "s|^\([^#]\)|$tunnel_limits \1|; s|^|$tunnel_keys |" "$bundle/tunnel_keys"
}

# The account is ours: it has our comment.
is_our_user() { getent passwd "$tunnel_user" | cut -d : -f 5 | grep -qxF -e "$tunnel_comment"; }

# All processes of the account: sshd's, for home's connections.
end_tunnels() {
  for process in $(processes_of "$tunnel_user"); do kill -9 "$process" 2>/dev/null || :; done
}

check_tunnel() {
  for program in sshd useradd userdel getent; do
    command -v "$program" >/dev/null 2>&1 ||
      fail "$program is not installed on $host, where the tunnel from $tunnel_home ends; nothing was changed" \
        "install openssh-server and passwd (shadow on other systems)"
  done
  own_file tunnel_keys 644
  ! sed '/^#/d' "$bundle/tunnel_keys" | grep -Eqv '^[a-z0-9-]+ [A-Za-z0-9+/]+=*$' ||
    fail "$bundle/tunnel_keys has more than keys; nothing was changed" "copy the bundle again: $copy_hint"
  ! getent passwd "$tunnel_user" >/dev/null || is_our_user ||
    fail "$host has an account $tunnel_user that is not ours; nothing was changed" "set another tunnel.user in the settings"
  check_tunnel_files
  messages=$("$sshd" -t 2>&1) ||
    fail "sshd -t finds an error in its settings as they are; nothing was changed: $messages" "sshd -t"
  for process in $(ss -H -ltnp "sport = :$tunnel_listen" 2>/dev/null | grep -v '"sshd' | sed -n 's/.*users:(("\([^"]*\)".*/\1/p'); do
    fail "$process listens on port $tunnel_listen of $host; nothing was changed" "set another tunnel.listen in the settings" port-taken
  done
}

# What sshd makes of the account's settings lacks none of these: something else in sshd_config may come first.
sshd_ignores() {
  "$sshd" -T -C "user=$tunnel_user,host=localhost,addr=127.0.0.1" 2>/dev/null | {
    cat
    echo end
    tunnel_text "$tunnel_settings" | sed -n 's/^  //p'
  } | awk '
    $0 == "end" { wanted = 1; next }
    { line = tolower($1) substr($0, length($1) + 1) }
    { sub(/^pubkeyacceptedalgorithms /, "pubkeyacceptedkeytypes ", line) }
    wanted && !(line in found) { print; exit }
    { found[line] }'
}

is_right_tunnel() { is_our_user && tunnel_files_are_right && [ -z "$(sshd_ignores)" ]; }

prepare_tunnel() {
  ! is_right_tunnel || return 0
  if ! getent passwd "$tunnel_user" >/dev/null; then
    # Root cannot log in as it without the key: '*' is no password's hash, and unlike '!' it does not lock the account.
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell "$(command -v nologin || echo /usr/sbin/nologin)" \
      --password '*' --comment "$tunnel_comment" "$tunnel_user" 2>/dev/null ||
      fail "useradd did not make the account $tunnel_user" "useradd --system $tunnel_user"
    tunnel_user_made=yes
  fi
  place_tunnel_files
  messages=$("$sshd" -t 2>&1) || fail "sshd -t does not accept $tunnel_settings: $messages" "sshd -t"
  ignored=$(sshd_ignores)
  [ -z "$ignored" ] ||
    fail "sshd would not use \"$ignored\" for $tunnel_user, because something in /etc/ssh/sshd_config comes first" \
      'put "Include /etc/ssh/sshd_config.d/*.conf" first in /etc/ssh/sshd_config'
  reload_sshd
  # What was allowed before ends; home comes again.
  end_tunnels
}

# Connections stay open; sshd starts itself again with the same arguments.
reload_sshd() {
  file=$("$sshd" -T 2>/dev/null | sed -n 's/^pidfile //p')
  # Without one, systemd starts an sshd for each connection.
  { read -r process <"${file:-/run/sshd.pid}" && kill -HUP "$process"; } 2>/dev/null || :
}

put_back_tunnel() {
  if put_back_tunnel_files; then
    reload_sshd
    end_tunnels
  fi
  [ "$tunnel_user_made" = no ] || userdel "$tunnel_user" 2>/dev/null
}

# What takes it out again, also when the settings no longer ask for it (install.sh).
keep_tunnel() {
  rm -rf "$saved/tunnel"
  keep_undo "tunnel.$tunnel_user" <<END
rm -f $tunnel_settings $tunnel_keys
file=\$($sshd -T 2>/dev/null | sed -n 's/^pidfile //p')
{ read -r process <"\${file:-/run/sshd.pid}" && $sshd -t && kill -HUP "\$process"; } 2>/dev/null || :
if getent passwd $tunnel_user | cut -d : -f 5 | grep -qxF '$tunnel_comment'; then
  for process in \$(find /proc -maxdepth 1 -name '[0-9]*' -user $tunnel_user 2>/dev/null); do
    kill -9 "\${process#/proc/}" 2>/dev/null || :
  done
  for _ in 1 2 3 4 5; do ! userdel $tunnel_user 2>/dev/null || break; sleep 1; done
  ! getent group $tunnel_user >/dev/null || groupdel $tunnel_user
fi
END
}

left_tunnel() { false; }

undo_tunnel() { :; }

# Also the host's keys, which home has to know; the way through the tunnel is tried from here as inbound.ts says.
probe_tunnel() {
  section tunnel "$tunnel_user"
  {
    is_right_tunnel || echo stale
    "$sshd" -T 2>/dev/null | sed -n 's/^hostkey //p' | while IFS= read -r file; do cat "$file.pub" 2>/dev/null; done |
      cut -d ' ' -f -2 | sed 's/^/key /'
  } | lines
}
