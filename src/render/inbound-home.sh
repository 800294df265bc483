# shellcheck shell=sh
# The functions of a home that gets mail from the world, besides those of smtp-client.sh and own-service.sh: a service of
# its own takes it from the relays. Port 25 stays as it is.

: "${host:?}" "${port:?}" "${service:?}" "${service_place:?}" "${inbound_domains:?}" "${table_file:?}" "${transport:?}"

is_ours() { our_services | grep -qx "$service"; }

check_inbound() {
  own_file "${table_file##*/}" 644
  check_table_type
  check_port
  check_domains
  warn_of_inbound
}

# Mail for a domain that this host does not hold would wait at the relay, or go back there.
check_domains() {
  for name in $inbound_domains; do
    holds_domain "$name" ||
      fail "$host does not hold $name: mail from the world for it would wait at the relay" \
        "let it deliver that mail, as in: postconf -e 'mydestination = $(postconf -h mydestination), $name', or with virtual_mailbox_domains"
  done
}

holds_domain() {
  for list in mydestination virtual_alias_domains virtual_mailbox_domains; do
    ! lists_domain "$list" "$1" || return 0
  done
  # A host behind this one holds it.
  lists_domain relay_domains "$1" || return 1
  case $(lookup transport_maps "$1") in
    '' | :* | DUNNO | "$transport":*) return 1 ;;
  esac
}

warn_of_inbound() {
  value=$(value_of inet_interfaces)
  case "$service_place $value" in
    127.0.0.1:* | *' all') ;;
    *' loopback-only' | *' localhost' | *' 127.0.0.1') warn "inet_interfaces = $value: no relay can reach port $port" ;;
  esac
  [ -n "$(value_of local_recipient_maps)" ] ||
    warn "local_recipient_maps is empty: $host accepts mail for users that do not exist, and returns it to senders that may be forged"
  postconf -xn 2>/dev/null | grep -E '^(smtpd_milters|header_checks|body_checks|smtpd_proxy_filter) = .' |
    while IFS= read -r line; do
      say "port $port goes without what main.cf has, because what home refuses the relay would return to forged senders: $line"
    done
}
