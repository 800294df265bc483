# shellcheck shell=sh
# The functions that install.sh calls on an smtp-client: a separate transport leads to the relay, and main.cf names it.
# Every other smtp client of the host works as before.

: "${host:?}" "${domain:?}" "${folder:?}" "${saved:?}" "${chain:?}" "${force_routes:?}" "${force_hint:?}"

transport=relaycerts

# How the chain file of our transport begins: it is ours whichever folder it reads, and check_role refuses another one.
transport_chain() { :; }

# Value $1 of a chain file is in another postfix.directory that our script configured. In ours, it may belong to a host
# of another name: that is the same machine under its old name.
is_elsewhere() { [ "${1%/*}" != "$folder" ] && [ -d "${1%/*}/saved/before" ]; }

check_role() {
  value=$(postconf -P "$transport/unix/smtp_tls_chain_files" 2>/dev/null | sed 's/.* = //')
  if [ -n "$(postconf -M "$transport/unix" 2>/dev/null)" ] && [ -z "$value" ]; then
    fail "master.cf has a transport $transport that is not ours" "rename it there, or remove it: postconf -MX $transport/unix"
  fi
  # Earlier releases set it in main.cf.
  for value in "$value" "$(value_of smtp_tls_chain_files)"; do
    ! is_elsewhere "$value" ||
      fail "relaycerts configured $host from ${value%/*} before, and undo could no longer restore that" \
        "undo that first: set postfix.directory to ${value%/*} and run the same command with --undo"
  done
  check_chroot
  check_routes
}

# Systems other than Debian have no chroot; in one without the resolver's files, no name is found, and mail waits.
check_chroot() {
  [ "$(all_services | awk -v id="$transport/unix" '$1 == id { print $6 }')" = y ] || return 0
  case $(postconf -M smtp/unix 2>/dev/null | awk '{ print $5 }') in
    n | -) ;;
    *) return 0 ;;
  esac
  queue=$(value_of queue_directory)
  [ -e "$queue/etc/resolv.conf" ] ||
    fail "Postfix on $host uses no chroot, and inside one it could not look up the relay: $queue/etc/resolv.conf is missing" \
      'set postfix.masterChroot in the settings to "n"'
}

# The entries of the tables in $1, key and value; "?" and the table for one that cannot be listed.
entries_of() {
  tables_of "$1" | while IFS= read -r table; do
    if listed=$(postmap -s "$table" 2>/dev/null); then
      printf '%s\n' "$listed" | tr '\t' ' ' | sed '/^$/d'
    else
      printf '? %s\n' "$table"
    fi
  done
}

# True if next hop $1 is one of our relays, or empty.
is_relay() {
  case ", $relays, " in
    *", $1, "*) true ;;
    *) [ -z "$1" ] || [ "$1" = DUNNO ] ;;
  esac
}

# True if route $1 leads to another host by smtp(8), but names none: then sender_dependent_relayhost_maps or relayhost does,
# also for a transport that is not ours and shows no certificate.
lacks_hop() {
  case $1 in
    *:?*) false ;;
    *) [ "$(postconf -M "${1%:}/unix" 2>/dev/null | awk '{ print $8 }')" = smtp ] ;;
  esac
}

# What the tables in $1, one per line, have for the sender $2, or for its domain.
lookup_sender() {
  [ -n "$1" ] || return 0
  found=$(printf '%s\n' "$1" | lookup_in "$2")
  echo "${found:-$(printf '%s\n' "$1" | lookup_in "@${2##*@}")}"
}

# The same for route $3 of entry $2 in the table $1, if it is the one that chooses by sender.
lacks_sender_hop() {
  [ "$1" != transport_maps ] && lacks_hop "$3" && [ -z "$(lookup_sender "$hops_by_sender" "$2")" ]
}

# One line per route of the tables that choose a transport: "stops ..." if it takes ours to another host, or another one
# to our relay, "passes ..." if it bypasses the relay, or "keeps ..." if it has a transport of its own, which
# works as before.
transport_routes() {
  for table in transport_maps sender_dependent_default_transport_maps; do
    entries_of "$table" | while IFS=' ' read -r entry route; do
      case $route in
        : | DUNNO) ;;
        :* | "$transport":*) is_relay "${route#*:}" || echo "stops $table: $entry $route" ;;
        *)
          if [ "$entry" = '?' ]; then
            echo "keeps $table: $route, which cannot be listed"
          elif lacks_sender_hop "$table" "$entry" "$route"; then
            echo "stops $table: $entry $route"
          elif [ "$entry" = '*' ] || [ "$entry" = "@$domain" ]; then
            echo "passes $table: $entry $route"
          else
            echo "keeps $table: $entry $route"
          fi
          ;;
      esac
    done
    # The answer of a table that cannot be listed for a recipient, or sender, that nobody has.
    for entry in nobody@relaycerts.invalid "nobody@$domain"; do
      route=$(lookup "$table" "$entry")
      case $route in
        '' | : | DUNNO) ;;
        :* | "$transport":*) is_relay "${route#*:}" || echo "stops $table: $entry $route" ;;
        *)
          if lacks_sender_hop "$table" "$entry" "$route"; then
            echo "stops $table: $entry $route"
          elif [ "$table $entry" != "transport_maps nobody@$domain" ]; then
            echo "passes $table: $entry $route"
          fi
          ;;
      esac
    done
  done
}

# Mail for relay_domains has a transport of its own, but the next hop is relayhost unless transport_maps names another one.
relay_routes() {
  route=$(value_of relay_transport)
  lacks_hop "$route" && [ "${route%:}" != "$transport" ] || return 0
  {
    tables_of mydestination | sed 's/^/local /'
    tables_of relay_domains | while IFS= read -r item; do
      case $item in
        /*) sed 's/#.*//' "$item" 2>/dev/null | tr -s ' ,\t' '\n' | sed 's/^/relay /' ;;
        *:*) postmap -s "$item" 2>/dev/null | sed 's/[[:blank:]].*//; s/^/relay /' ;;
        *) echo "relay $item" ;;
      esac
    done
  } | awk '$1 == "local" { ours[$2] } $1 == "relay" && $2 !~ /^!/ && NF > 1 && !($2 in ours) { print $2 }' | while IFS= read -r name; do
    case $(route_of "${name#.}") in
      '' | : | DUNNO) echo "stops relay_domains: $name" ;;
    esac
  done
}

# Without compatibility_level 2, relay_domains has what mydestination has: that mail is delivered here, but not mail for
# subdomains.
warn_of_subdomains() {
  lacks_hop "$(value_of relay_transport)" || return 0
  tables_of parent_domain_matches_subdomains | grep -qx relay_domains || return 0
  for name in mydestination relay_domains; do
    tables_of "$name" | grep -qxF -e "$domain" || return 0
  done
  [ -z "$(route_of ".$domain")" ] || return 0
  warn "relay_domains has $domain, so mail for its subdomains would go to the relay over another transport, and wait; take it out: postconf -e relay_domains="
}

# What transport_maps has for the domain $1, or for those above it.
route_of() {
  key=$1
  until found=$(lookup transport_maps "$key") && [ -n "$found" ]; do
    case ${key#.} in
      *.*)
        key=${key#.}
        key=.${key#*.}
        ;;
      *)
        found=$(lookup transport_maps '*')
        break
        ;;
    esac
  done
  echo "$found"
}

# The same for the table that chooses a next hop by sender, whose transport is ours unless another table says otherwise.
sender_routes() {
  table=sender_dependent_relayhost_maps
  entries_of "$table" | while IFS=' ' read -r entry route; do
    # A table that cannot be listed may send any sender anywhere.
    case $(lookup_sender "$transports_by_sender" "$entry") in
      '' | :* | "$transport":* | DUNNO) is_relay "$route" || echo "stops $table: $entry $route" ;;
      *) echo "keeps $table: $entry $route" ;;
    esac
  done
}

# The overrides in master.cf of the parameters that we set, and of those that decide before them.
service_routes() {
  for name in relayhost default_transport transport_maps sender_dependent_relayhost_maps sender_dependent_default_transport_maps; do
    postconf -P "*/*/$name" 2>/dev/null | sed 's/^/passes master.cf: /'
  done
}

# Finds mail that would bypass the relay, or go through our transport to a host that it does not accept.
find_routes() {
  relays=$(settings_of main.cf | sed -n 's/^relayhost=//p')
  # Once, because there may be thousands of senders.
  hops_by_sender=$(tables_of sender_dependent_relayhost_maps)
  transports_by_sender=$(tables_of sender_dependent_default_transport_maps)
  routes=$({ transport_routes && sender_routes && relay_routes && service_routes; } | sort -u)
}

check_routes() {
  find_routes
  for kind in stops passes; do
    [ -n "$(list "$kind")" ] || continue
    case $kind in
      stops)
        what="this mail will stop, because it would go to another host over the transport to the relay, or to the relay over another transport"
        finding='route-stops'
        ;;
      passes)
        what="this mail bypasses the relay"
        finding='route-around'
        ;;
    esac
    [ "$force_routes" = no ] || { warn "$what: $(list "$kind")" && continue; }
    fail "$what: $(list "$kind")" \
      "give it a transport and next hop of its own, such as smtp:[host]:587 (relay_domains: in transport_maps); or, to install anyway: $force_hint" "$finding"
  done
  warn_of_subdomains
  kept=$(printf '%s\n' "$routes" | grep -c '^keeps ') || :
  case $kept in
    0) ;;
    1) say "1 route has a transport of its own and keeps working as before: $(list keeps)" ;;
    *) say "$kept routes have a transport of their own and keep working as before: $(list keeps)" ;;
  esac
}

# The first routes of kind $1, on one line.
list() { printf '%s\n' "$routes" | sed -n "s/^$1 //p" | head -n 5 | sed '$!s/$/;/' | tr '\n' ' ' | sed 's/ $//'; }

set_postscreen() { :; }

undo_postscreen() { :; }
