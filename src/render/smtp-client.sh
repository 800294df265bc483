# shellcheck shell=sh
# The functions that install.sh calls on an smtp-client: a separate transport leads to the relay, and main.cf names it.
# Every other smtp client of the host works as before.

: "${host:?}" "${domain:?}" "${folder:?}" "${saved:?}" "${chain:?}" "${force_routes:?}" "${force_hint:?}"

transport=relaycerts

# Whichever folder it reads: check_role refuses another one.
our_transport() { [ -z "$(postconf -M "$transport/unix" 2>/dev/null)" ] || echo "$transport/unix"; }

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
    fail "Postfix on $host uses no chroot, and in one it could not look up the relay: $queue/etc/resolv.conf is missing" \
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

# One line per route of the tables that choose a transport: "stops ..." if it takes ours to another host, "passes ..."
# if it takes everything past the relay, or "keeps ..." if it has a transport of its own, which works as before.
transport_routes() {
  for table in transport_maps sender_dependent_default_transport_maps; do
    entries_of "$table" | while IFS=' ' read -r entry route; do
      case $route in
        : | DUNNO) ;;
        :* | "$transport":*) is_relay "${route#*:}" || echo "stops $table: $entry $route" ;;
        *)
          case $entry in
            '?') echo "keeps $table: $route, which cannot be listed" ;;
            '*' | "@$domain") echo "passes $table: $entry $route" ;;
            *) echo "keeps $table: $entry $route" ;;
          esac
          ;;
      esac
    done
    # The answer of a table that cannot be listed for a recipient, or sender, that nobody has.
    for entry in nobody@relaycerts.invalid "nobody@$domain"; do
      route=$(lookup "$table" "$entry")
      case $route in
        '' | : | DUNNO) ;;
        :* | "$transport":*) is_relay "${route#*:}" || echo "stops $table: $entry $route" ;;
        *) [ "$table $entry" = "transport_maps nobody@$domain" ] || echo "passes $table: $entry $route" ;;
      esac
    done
  done
}

# The same for the table that chooses a next hop by sender, whose transport is ours unless another table says otherwise.
sender_routes() {
  table=sender_dependent_relayhost_maps
  entries_of "$table" | while IFS=' ' read -r entry route; do
    # A table that cannot be listed may send any sender anywhere.
    case $(lookup sender_dependent_default_transport_maps "$entry") in
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
  routes=$({ transport_routes && sender_routes && service_routes; } | sort -u)
}

check_routes() {
  find_routes
  for kind in stops passes; do
    [ -n "$(list "$kind")" ] || continue
    case $kind in
      stops)
        what="this mail will stop, since the transport to the relay takes it to no other host"
        finding='route-stops'
        ;;
      passes)
        what="this mail goes past the relay"
        finding='route-around'
        ;;
    esac
    [ "$force_routes" = no ] || { warn "$what: $(list "$kind")" && continue; }
    fail "$what: $(list "$kind")" \
      "give it a transport of its own, as in: smtp:[host]:587; or, to install all the same: $force_hint" "$finding"
  done
  kept=$(printf '%s\n' "$routes" | grep -c '^keeps ') || :
  case $kept in
    0) ;;
    1) say "1 route has a transport of its own and goes on as before: $(list keeps)" ;;
    *) say "$kept routes have a transport of their own and go on as before: $(list keeps)" ;;
  esac
}

# The first routes of kind $1, on one line.
list() { printf '%s\n' "$routes" | sed -n "s/^$1 //p" | head -n 5 | sed '$!s/$/;/' | tr '\n' ' ' | sed 's/ $//'; }

set_postscreen() { :; }

undo_postscreen() { :; }
