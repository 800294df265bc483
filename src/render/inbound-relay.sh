# shellcheck shell=sh
# The part of install.sh for a relay that hands mail from the world to home: port 25 accepts the domains and refuses
# unknown recipients while the sender is there, and a transport of ours leads home. All of it is settings and tokens of
# main.cf, files beside it, and a service.

: "${host:?}" "${saved:?}" "${config=}" "${inbound_domains:?}" "${inbound_asks:?}"

check_inbound() {
  [ "$config" = /etc/postfix ] ||
    fail "Postfix on $host has its configuration in $config; mail from the world goes home only from /etc/postfix" \
      "remove inbound from the settings"
  for type in regexp inline; do
    postconf -m | grep -qx "$type" || fail "this Postfix has no map type $type" "install Postfix 3.4 or later with $type tables"
  done
  for name in $inbound_domains; do
    # This host would look for the recipients among its own, and refuse them.
    for list in mydestination virtual_alias_domains virtual_mailbox_domains; do
      ! lists_domain "$list" "$name" ||
        fail "$list on $host lists $name, whose mail should go home: its recipients would be looked for here and refused" \
          "take $name out of it: postconf -e '$list = ...'"
    done
  done
  if [ "$inbound_asks" = yes ]; then check_questions; else check_recipients; fi
}

# The overrides of the parameter $1 in the services that take mail from the world.
overrides_of_port25() {
  for id in smtp/inet 25/inet smtpd/pass; do postconf -P "$id/$1" 2>/dev/null || :; done
}

# The list $1 of main.cf, expanded, without the tokens of our last run.
list_of_others() {
  {
    { cat "$saved/tokens" 2>/dev/null || :; } | sed 's/^\([^ ]*\) [^ ]* /drop \1 /'
    postconf -x "$1" 2>/dev/null
  } | edit_lists | grep . || postconf -x "$1" 2>/dev/null
}

# Home is asked for each recipient, so port 25 has to come that far.
check_questions() {
  found=$(overrides_of_port25 smtpd_recipient_restrictions)
  [ -z "$found" ] ||
    fail "master.cf on $host overrides smtpd_recipient_restrictions, so port 25 would not ask home for a recipient: $found" \
      'move its value to main.cf, or list the recipients in inbound.recipients'
  others=$(list_of_others relay_recipient_maps | sed 's/^[^=]*= *//')
  [ -n "$others" ] || return 0
  for name in $inbound_domains; do
    [ -n "$(lookup_in "$others" "@$name")" ] ||
      fail "relay_recipient_maps on $host would refuse every recipient of $name before home is asked" \
        "add to one of its tables: @$name x"
  done
}

# The answer of the tables $1 for the key $2.
lookup_in() {
  for one in $(printf '%s' "$1" | tr ',' ' '); do postmap -q "$2" "$one" 2>/dev/null || :; done
}

# Without these, mail for users that do not exist would be returned to senders that may be forged, or mail for other
# domains would be refused.
check_recipients() {
  if [ "$(value_of smtpd_reject_unlisted_recipient)" != yes ] ||
    overrides_of_port25 smtpd_reject_unlisted_recipient | grep -q ' = no$'; then
    fail "smtpd_reject_unlisted_recipient is not yes on $host: port 25 would accept every recipient" \
      'set it to yes, or set inbound.recipients to "verify"'
  fi
  [ -n "$(postconf -n relay_domains 2>/dev/null)" ] || return 0
  others=$(list_of_others relay_domains | sed 's/^[^=]*=//' | tr -s ', \t' '\n' | sed '/^$/d')
  for name in $inbound_domains; do others=$(printf '%s\n' "$others" | grep -vxF -e "$name" || :); done
  if [ -n "$others" ] && [ -z "$(list_of_others relay_recipient_maps | sed 's/^[^=]*= *//')" ]; then
    fail "relay_domains on $host has other domains, with any recipient, and a list of recipients would refuse all of theirs: $(printf '%s' "$others" | tr '\n' ' ')" \
      'set relay_recipient_maps to a table that has "@DOMAIN x" for each of them, or inbound.recipients to "verify"'
  fi
}

is_right_inbound() { :; }
prepare_inbound() { :; }
put_back_inbound() { :; }
keep_inbound() { :; }
undo_inbound() { :; }
probe_inbound() { :; }
