# shellcheck shell=sh
# What home-program.sh needs for Exim 4 as Debian configures it, split or not: macros for the transport to the
# smarthost, in separate files, and the smarthost in update-exim4.conf.conf.

: "${host:?}" "${folder:?}" "${chain:?}" "${ca:?}"
: "${force_routes:?}" "${force_hint:?}" "${routes:?}"

program_release() { exim4 -bV 2>/dev/null | sed -n 's/^Exim version \([0-9]*\.[0-9]*\).*/\1/p'; }

check_program() {
  by_hand="set in its transport: hosts_require_tls = *, tls_verify_hosts = *, tls_verify_certificates = $folder/$ca, tls_certificate = $folder/$chain, tls_privatekey = $folder/$chain; and in its router: route_list = * $routes byname"
  command -v update-exim4.conf >/dev/null 2>&1 || fail "Exim on $host is not configured by Debian's update-exim4.conf" "$by_hand"
  [ ! -e /etc/exim4/exim4.conf ] ||
    fail "/etc/exim4/exim4.conf overrides the configuration that update-exim4.conf makes" "move it away, or $by_hand"
  # Debian's own template sets the one with a star by default.
  found=$(for file in /etc/exim4/conf.d/main/* /etc/exim4/exim4.conf.template; do
    [ "$file" = /etc/exim4/conf.d/main/000_relaycerts ] || grep -H '^[[:blank:]]*REMOTE_SMTP_SMARTHOST_' "$file" || :
  done | grep -v 'TLS_VERIFY_HOSTS = [*]$' | head -n 1)
  [ -z "$found" ] || fail "a macro of the transport to the smarthost is set already: $found" "remove that line, and others like it"
  check_routers
}

# The admin's own routers with this transport would send another provider's mail with our settings.
check_routers() {
  found=$(exim4 -bP routers 2>/dev/null | awk '
    /router:$/ { name = $1 }
    $1 == "transport" && $3 == "remote_smtp_smarthost" && name != "smarthost" { print name }' | tr '\n' ' ')
  [ -n "$found" ] || return 0
  what="the mail of these routers will stop, because their transport delivers only to the relay: $found"
  if [ "$force_routes" = yes ]; then
    warn "$what"
  else
    fail "$what" "give them a transport of their own; or, to install anyway: $force_hint" route-stops
  fi
}

apply_program() { update-exim4.conf; }

# Asks Exim itself: a macro that no file uses has no effect.
check_applied() {
  found=$(exim4 -bP transport remote_smtp_smarthost 2>/dev/null) || :
  for line in 'hosts_require_tls = *' 'tls_verify_hosts = *' "tls_verify_certificates = $folder/$ca" \
    "tls_certificate = $folder/$chain" "tls_privatekey = $folder/$chain" 'hosts_avoid_tls = '; do
    printf '%s\n' "$found" | grep -qxF -e "$line" ||
      fail "Exim did not take the setting: $line" "exim4 -bP transport remote_smtp_smarthost shows what it has"
  done
  exim4 -bP router smarthost 2>/dev/null | grep -qxF -e "route_list = * $routes byname" ||
    fail "Exim does not send its mail to $routes" "exim4 -bP router smarthost shows where it goes"
}
