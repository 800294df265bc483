# shellcheck shell=sh
# The part of install.sh for a home that gets inbound mail: a service of its own takes it from the relays.
# own-service.sh has what it has in common with a relay's. Port 25 stays as it is.

: "${host:?}" "${port:?}" "${service:?}" "${inbound_domains:?}" "${table_file:?}" "${transport:?}"

check_inbound() {
  own_file "${table_file##*/}" 600
  check_table_type
  check_port
  name=$(domains_elsewhere | sed -n 1p)
  [ -z "$name" ] ||
    fail "$host is not the final destination of $name: inbound mail for it would wait at the relay" \
      "let it deliver that mail, for example: postconf -e 'mydestination = $(postconf -h mydestination), $name'"
  warn_of_inbound
}

domains_elsewhere() { for name in $inbound_domains; do holds_domain "$name" || echo "$name"; done; }

# Mail for a domain that this host does not hold would wait at the relay, or go back there.
holds_domain() {
  for list in mydestination virtual_alias_domains virtual_mailbox_domains; do
    ! lists_domain "$list" "$1" || return 0
  done
  # A host behind this one may hold it.
  lists_domain relay_domains "$1" || return 1
  case $(lookup transport_maps "$1") in
    '' | :* | DUNNO | "$transport":*) return 1 ;;
  esac
}

warn_of_inbound() {
  case "$service $(value_of inet_interfaces)" in
    127.0.0.1:*) ;;
    *' loopback-only' | *' localhost' | *' 127.0.0.1') warn "inet_interfaces = $(value_of inet_interfaces): no relay can reach port $port" ;;
  esac
  [ -n "$(value_of local_recipient_maps)" ] ||
    warn "local_recipient_maps is empty: $host accepts mail for users that do not exist, and returns it to senders that may be forged"
  postconf -xn 2>/dev/null | grep -E '^(smtpd_milters|header_checks|body_checks|smtpd_proxy_filter) = .' |
    while IFS= read -r line; do
      say "port $port goes without what main.cf has, because what home refuses, the relay could only return to a sender that may be forged: $line"
    done
}

is_right_inbound() { :; }
left_inbound() { false; }
prepare_inbound() { :; }
put_back_inbound() { :; }
keep_inbound() { :; }
undo_inbound() { :; }

# What keeps inbound mail from arriving: the id of a finding, and the name that it is about.
probe_inbound() {
  section inbound
  domains_elsewhere | sed 's/^/inbound-not-held /' | lines
}
