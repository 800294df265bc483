# shellcheck shell=sh
# The part of install.sh for a relay that sends inbound mail home: port 25 accepts the domains and refuses
# unknown recipients while the sender is there, and a transport of ours leads home. All of it is settings and tokens of
# main.cf, files beside it, and a service.

: "${host:?}" "${saved:?}" "${config=}" "${inbound_domains:?}" "${inbound_asks:?}" "${inbound_transport:?}"

check_inbound() {
  [ "$config" = /etc/postfix ] ||
    fail "Postfix on $host has its configuration in $config; inbound mail can be sent home only from /etc/postfix" \
      "remove inbound from the settings"
  for type in regexp inline; do
    postconf -m | grep -qx "$type" || fail "this Postfix has no map type $type" "install Postfix 3.4 or later with $type tables"
  done
  hindrances | sed -n 1p | {
    ! read -r id name found || refuse "$id" "$name" "$found"
  } || exit 1
  [ "$inbound_asks" = no ] || warn_of_code
}

# What keeps mail from going home, or would have it returned to senders that may be forged: the id of a finding, and the
# name and the value that it is about. The settings and tokens that are ours may not be there yet.
hindrances() {
  for name in $inbound_domains; do
    for list in mydestination virtual_alias_domains virtual_mailbox_domains; do
      ! lists_domain "$list" "$name" || echo "inbound-domain-here $list $name"
    done
  done
  overrides_of_port25 relay_domains | sed 's/^/inbound-overridden /'
  if [ "$inbound_asks" = yes ]; then hindrances_to_questions; else hindrances_to_lists; fi
}

# One of these: id, name, value.
refuse() {
  case $1 in
    inbound-domain-here) fail "$2 on $host lists $3, whose mail should go home: its recipients would be looked up on $host instead, and refused" \
      "remove $3 from it: postconf -e '$2 = ...'" ;;
    inbound-overridden) fail "master.cf on $host overrides ${2##*/} for port 25, so what is in main.cf would have no effect there: $2 $3" \
      'move its value to main.cf' ;;
    inbound-refuses) fail "relay_recipient_maps on $host would refuse every recipient of $2 before home is asked" \
      "add to one of its tables: @$2 x" ;;
    inbound-no-verify) fail "master.cf on $host has no service verify, so home could not be asked about recipients" \
      "add it: postconf -M 'verify/unix=verify unix - - y - 1 verify'" ;;
    inbound-accepts-all) fail "$2 is not yes on $host: port 25 would accept every recipient" \
      'set it to yes, or set inbound.recipients to "verify"' ;;
    inbound-catch-all) fail "relay_recipient_maps on $host has @$2: port 25 would accept every recipient" \
      'remove that from its table, or set inbound.recipients to "verify"' ;;
    inbound-refuses-others) fail "relay_domains on $host has other domains, with any recipient, and a recipient list would refuse all mail for them: $2 $3" \
      'set relay_recipient_maps to a table that has "@DOMAIN x" for each of them, or inbound.recipients to "verify"' ;;
  esac
}

# An unknown recipient is refused with this code, and Postfix has no other for each question.
warn_of_code() {
  others=$(postconf -xn 2>/dev/null | sed -n '/^relaycerts_/d; s/^\([^ ]*\) = .*reject_unverified_recipient.*/\1/p' | tr '\n' ' ')
  [ -z "$others" ] ||
    warn "unverified_recipient_reject_code = 550 applies to all of $host, so also to ${others% }: a recipient unknown there is refused permanently too"
}

# The list $1 of main.cf, expanded, without the tokens of our last run.
list_of_others() {
  {
    { cat "$saved/tokens" 2>/dev/null || :; } | sed 's/^\([^ ]*\) [^ ]* /drop \1 /'
    postconf -x "$1" 2>/dev/null
  } | edit_lists | grep . || postconf -x "$1" 2>/dev/null
}

# Home is asked for each recipient, so port 25 has to come that far.
hindrances_to_questions() {
  for name in smtpd_recipient_restrictions smtpd_restriction_classes unverified_recipient_reject_code; do
    overrides_of_port25 "$name" | sed 's/^/inbound-overridden /'
  done
  [ -n "$(postconf -M verify/unix 2>/dev/null)" ] || echo inbound-no-verify verify/unix
  others=$(list_of_others relay_recipient_maps | sed 's/^[^=]*= *//')
  [ -n "$others" ] || return 0
  for name in $inbound_domains; do
    [ -n "$(printf '%s\n' "$others" | tables_in | lookup_in "@$name")" ] || echo "inbound-refuses $name"
  done
}

# Otherwise mail for users that do not exist would be returned to senders that may be forged, or mail for other domains
# would be refused.
hindrances_to_lists() {
  overrides_of_port25 relay_recipient_maps | sed 's/^/inbound-overridden /'
  [ "$(value_of smtpd_reject_unlisted_recipient)" = yes ] ||
    echo inbound-accepts-all smtpd_reject_unlisted_recipient
  overrides_of_port25 smtpd_reject_unlisted_recipient | sed -n 's/^\(.* = no\)$/inbound-overridden \1/p'
  others=$(list_of_others relay_recipient_maps | sed 's/^[^=]*= *//')
  for name in $inbound_domains; do
    [ -z "$(printf '%s\n' "$others" | tables_in | lookup_in "@$name")" ] ||
      echo "inbound-catch-all $name"
  done
  [ -n "$(postconf -n relay_domains 2>/dev/null)" ] || return 0
  others=$(list_of_others relay_domains | sed 's/^[^=]*=//' | tr -s ', \t' '\n' | sed '/^$/d')
  for name in $inbound_domains; do others=$(printf '%s\n' "$others" | grep -vxF -e "$name" || :); done
  if [ -n "$others" ] && [ -z "$(list_of_others relay_recipient_maps | sed 's/^[^=]*= *//')" ]; then
    echo "inbound-refuses-others $(printf '%s' "$others" | tr '\n' ' ')"
  fi
}

# Mail, and questions, leave by another way than ours.
other_routes() {
  maps=transport_maps
  [ "$inbound_asks" = no ] || maps="$maps address_verify_transport_maps"
  for map in $maps; do
    for name in $inbound_domains; do
      route=$(lookup "$map" "$name")
      case $route in
        '' | "$inbound_transport":*) ;;
        *) echo "inbound-route $map $name $route" ;;
      esac
    done
  done
}

probe_inbound() {
  section inbound
  {
    hindrances
    other_routes
  } | lines
}

is_right_inbound() { :; }
left_inbound() { false; }
prepare_inbound() { :; }
put_back_inbound() { :; }
keep_inbound() { :; }
undo_inbound() { :; }
