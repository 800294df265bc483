# shellcheck shell=sh
# The functions of a relay that hands mail from the world to home, besides those of smtpd-server.sh. Port 25 accepts the
# domains, refuses unknown recipients while the sender is there, and a transport of ours leads home.

: "${host:?}" "${more_tables:?}" "${inbound_domains:?}" "${inbound_asks:?}" "${replies:?}"

check_inbound() {
  for one in $more_tables; do own_file "${one##*/}" 644; done
  own_file "$replies" 644
  postconf -m | grep -qx regexp || fail 'this Postfix has no map type regexp' "install Postfix with regexp tables"
  for name in $inbound_domains; do check_domain "$name"; done
  check_recipients
}

# This host would look for the recipients among its own, and refuse them.
check_domain() {
  for list in mydestination virtual_alias_domains virtual_mailbox_domains; do
    ! lists_domain "$list" "$1" ||
      fail "$list on $host lists $1, whose mail should go home: its recipients would be looked for here and refused" \
        "take $1 out of it: postconf -e '$list = ...'"
  done
}

# What must hold, or mail for users that do not exist would be returned to senders that may be forged.
check_recipients() {
  if [ "$inbound_asks" = yes ]; then
    overridden=$(overrides_of_port25 smtpd_recipient_restrictions)
    [ -z "$overridden" ] ||
      fail "master.cf on $host overrides smtpd_recipient_restrictions: $overridden; port 25 would not ask home for a recipient" \
        'put its value into main.cf, or list the recipients in inbound.recipients'
    return
  fi
  if [ "$(value_of smtpd_reject_unlisted_recipient)" != yes ] ||
    overrides_of_port25 smtpd_reject_unlisted_recipient | grep -q ' = no$'; then
    fail "smtpd_reject_unlisted_recipient = no on $host: port 25 would accept every recipient" \
      'set it to yes, or set inbound.recipients to "verify"'
  fi
  others=$(other_domains)
  if [ -n "$others" ] && [ -z "$(items_of_others relay_recipient_maps)" ]; then
    fail "relay_domains on $host also lists $others, with any recipient: relay_recipient_maps would refuse all of them" \
      "list their recipients there, \"@DOMAIN x\" for any, or set inbound.recipients to \"verify\""
  fi
}

# The overrides of the parameter $1 in the services that take mail from the world.
overrides_of_port25() {
  for id in smtp/inet 25/inet smtpd/pass; do postconf -P "$id/$1" 2>/dev/null || :; done
}

# The list $1 of main.cf without our items.
items_of_others() {
  list=$(value_of "$1")
  items_of_runs | while IFS=' ' read -r name item; do [ "$name" != "$1" ] || printf '%s\n' "$item"; done | {
    while IFS= read -r item; do list=$(drop_item "$list" "$item") || list=$(value_of "$1"); done
    printf '%s\n' "$list"
  }
}

# What main.cf lists in relay_domains besides the domains of home.
other_domains() {
  [ -n "$(postconf -n relay_domains 2>/dev/null)" ] || return 0
  list=" $(value_of relay_domains | tr ',' ' ') "
  for name in $inbound_domains; do list=$(printf '%s' "$list" | sed "s/ $name / /g"); done
  items_of_runs | sed -n 's/^relay_domains //p' | {
    while IFS= read -r item; do list=$(drop_item "$list" "$item") || :; done
    printf '%s\n' "$list" | tr -s ' ' | sed 's/^ //; s/ $//'
  }
}
