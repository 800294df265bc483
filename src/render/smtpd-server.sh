# shellcheck shell=sh
# The functions that install.sh calls on an smtpd-server, besides those of own-service.sh: one service in master.cf
# relays for the listed clients, with a tlsmgr and a cleanup that only it uses. They leave main.cf, port 25 and the services of other domains as they are.

: "${host:?}" "${port:?}" "${service:?}" "${domain:?}" "${table:?}" "${ca:?}"
: "${folder:?}" "${saved:?}" "${table_file:?}" "${log_hint:?}"

# How the chain file begins that the transport of a home has which this host was before; another domain may have its own on
# this host.
transport_chain() { echo "$folder/"; }

check_role() {
  own_file "${table_file##*/}" 644
  check_table_type
  check_port
  warn_of_hand_edits
  warn_of_main_cf
}

# What somebody added to our service: set neither by this script nor by its last run.
warn_of_hand_edits() {
  is_ours || return 0
  added=$(
    {
      settings_of "$service" | sed 's/^\([^=]*\)=.*/set \1/'
      { cat "$saved/overrides" 2>/dev/null || :; } | sed 's/^/set /'
      postconf -P "$service/*" 2>/dev/null | sed -n "s,^$service/\([^ ]*\) = .*,found \1,p"
    } | awk '$1 == "set" { ours[$2] } $1 == "found" && !($2 in ours) { printf " %s", $2 }'
  )
  [ -z "$added" ] ||
    warn "$service loses settings that were added to it by hand:$added; to keep them, put them in smtpdServers[].overrides"
}

warn_of_main_cf() {
  values_of -x inet_interfaces inet_protocols message_size_limit | while IFS='=' read -r name value; do
    case $name=$value in
      inet_interfaces=loopback-only | inet_interfaces=localhost | inet_interfaces=127.0.0.1)
        warn "inet_interfaces = $value: no other host can reach port $port"
        ;;
      inet_protocols=ipv4)
        # The fourth column is the scope: 00 is a global internet address.
        ! awk '$4 == "00" { found = 1 } END { exit !found }' /proc/net/if_inet6 2>/dev/null ||
          warn "inet_protocols = ipv4: a home with only IPv6 cannot reach port $port, though this host has an IPv6 address"
        ;;
      inet_protocols=ipv6) warn "inet_protocols = ipv6: a home with only IPv4 cannot reach port $port" ;;
      message_size_limit=*)
        if [ "$value" -gt 0 ] && [ "$value" -lt 10240000 ] && ! settings_of "$service" | grep -q '^message_size_limit='; then
          warn "message_size_limit = $value, less than Postfix's default: larger mail waits at home, and then bounces; raise it in main.cf, or in smtpdServers[].overrides"
        fi
        ;;
    esac
  done
  {
    all_services | while IFS=' ' read -r id _; do settings_of "$id"; done |
      sed -n 's/^\(smtpd_recipient_restrictions\)=.*/ours \1/p; s/^\(smtpd_sender_restrictions\)=.*/ours \1/p; s/^\(.*\)=$/ours \1/p'
    postconf -xn 2>/dev/null
  } | awk '$1 == "ours" { names[$2]; next } $1 in names && $1 !~ /tls_/ && NF > 2 && !/= relaycerts_[0-9a-z_]+$/' | while IFS= read -r line; do
    say "port $port does not use this setting of main.cf: $line"
  done
  if ! settings_of "$service" | grep -q '^smtpd_milters=.' &&
    [ -n "$(value_of smtpd_milters)$(postconf -P smtp/inet/smtpd_milters 2>/dev/null)" ]; then
    warn "the milters of port 25 do not see mail from home; if one of them signs it (DKIM), set smtpd_milters in smtpdServers[].overrides, and milter_macro_daemon_name if it signs only for that name (often ORIGINATING)"
  fi
  warn_of_own_domain
}

# By these, mail for home's own domain is delivered on this host.
lists_of_own_domain() {
  for name in mydestination virtual_alias_domains virtual_mailbox_domains; do
    ! lists_domain "$name" "$domain" || echo "$name"
  done
}

# Mail from home to its own domain: this relay delivers it itself, or sends it in a loop.
warn_of_own_domain() {
  list=$(lists_of_own_domain | sed -n 1p)
  [ -z "$list" ] || {
    warn "$list lists $domain: mail for it from home is delivered on $host, and bounces if the user is unknown here"
    return
  }
  ! lists_domain relay_domains "$domain" || return 0
  mx=$(dig +short +time=3 +tries=1 MX "$domain" 2>/dev/null || host -W 3 -t MX "$domain" 2>/dev/null) || {
    say "cannot tell whether the MX of $domain is this relay: neither dig nor host answers"
    return
  }
  addresses=$(addresses_of "$host")
  for name in $(printf '%s\n' "$mx" | awk '{ print tolower($NF) }' | sed -n 's/\.$//p'); do
    if [ "$name" = "$host" ]; then
      warn "the MX of $domain is this relay, which accepts no mail for it: let home deliver that mail itself (mydestination there), or it waits at home"
    elif addresses_of "$name" | grep -qxF -e "$addresses"; then
      warn "the MX of $domain is this relay as $name, which accepts no mail for it: let home deliver that mail itself (mydestination there), or it bounces; with $name in altNames in the settings it waits at home"
    fi
  done
}

# The addresses that the DNS has for the name $1.
addresses_of() {
  { { dig +short +time=3 +tries=1 A "$1" && dig +short +time=3 +tries=1 AAAA "$1"; } || host -W 3 "$1"; } 2>/dev/null |
    awk '$NF ~ /^[0-9a-f.:]*[.:][0-9a-f]+$/ { print $NF }'
}
