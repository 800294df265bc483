# shellcheck shell=sh
# The functions that install.sh calls on an smtpd-server: one service in master.cf relays for the listed clients, with a
# tlsmgr and a cleanup that only it uses. They leave main.cf, port 25 and the services of other domains as they are.

: "${host:?}" "${port:?}" "${service:?}" "${domain:?}" "${syslog_name:?}" "${table:?}" "${ca:?}"
: "${folder:?}" "${saved:?}" "${was_running:?}" "${changing:?}" "${log_hint:?}"

table_type=${table%%:*}
table_file=${table#*:}

# The service on the port of this or an earlier run, with what only it uses. It is recognised by the name under which it
# logs and by our table: another domain may have its own on this host.
our_services() {
  for id in $(postconf -P '*/inet/syslog_name' 2>/dev/null | sed -n "s,/syslog_name = $syslog_name\$,,p"); do
    case $(postconf -P "$id/relay_clientcerts" 2>/dev/null) in
      *":$table_file") ;;
      *) continue ;;
    esac
    echo "$id"
    postconf -M 2>/dev/null | awk -v begin="relaycerts-${id%/*}-" 'index($1, begin) == 1 { print $1 "/" $2 }'
  done
}

# Connections to the services that were there end too: on a port that the settings changed, or no longer name.
note_services() { found_services=$(our_services); }

# True if the service on the port is ours.
is_ours() { our_services | grep -qx "$service"; }

# The inet services of master.cf on our port, under any name.
services_on_port() {
  for name in $(postconf -M 2>/dev/null | awk '$2 == "inet" { print $1 }'); do
    number=${name##*:}
    found=$(getent services "$number/tcp" 2>/dev/null | awk '{ sub("/.*", "", $2); print $2 }') || :
    [ "${found:-$number}" != "$port" ] || echo "$name/inet"
  done
}

# Prints something if a program listens on the port; nothing if ss is missing.
listener() { ss -H -ltn "sport = :$port" 2>/dev/null || :; }

check_role() {
  own_file "${table_file##*/}" 644
  check_table_type
  check_port
  # Even if root lets Postfix have a port, SELinux may refuse it.
  [ "$(getenforce 2>/dev/null)" != Enforcing ] ||
    log_hint="the mail log says why; if SELinux denies the port: semanage port -a -t smtp_port_t -p tcp $port"
  warn_of_hand_edits
  warn_of_main_cf
}

check_table_type() {
  here=$(postconf -m)
  printf '%s\n' "$here" | grep -qx "$table_type" && return
  both=$(for type in texthash hash lmdb cdb; do printf '%s\n' "$here" | grep -x "$type" || :; done | tr '\n' ' ')
  fail "this Postfix has no map type $table_type" "set postfix.tableType in the settings to one of: ${both% }"
}

# A second listener on the port would stop all of Postfix at the reload.
check_port() {
  for name in $(services_on_port); do
    case $name in
      "$service")
        is_ours && continue
        # A service that the same client could use: one like ours, made by hand or by another program.
        if postconf -M "$service" | grep -Eq 'relay_clientcerts=|permit_tls_(all_)?clientcerts|_ccert=yes'; then
          say "the service $service in master.cf relays by certificates already: this one replaces it, undo brings it back"
          continue
        fi
        ;;
    esac
    fail "master.cf has a service ${name%/inet} on port $port that is not ours" \
      "choose another port in the settings, or remove it: postconf -MX $name && postfix reload" port-taken
  done
  [ -n "$(services_on_port)" ] || [ -z "$(listener)" ] ||
    fail "another program listens on port $port of $host" \
      "choose another port in the settings; ss -ltnp shows the program" port-taken
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
    warn "$service loses what somebody added to it:$added; what is to stay belongs in smtpdServers[].overrides"
}

warn_of_main_cf() {
  value=$(value_of inet_interfaces)
  case $value in
    loopback-only | localhost | 127.0.0.1) warn "inet_interfaces = $value: no other host can reach port $port" ;;
  esac
  value=$(value_of inet_protocols)
  # The fourth column is the scope: 00 is a global internet address.
  if [ "$value" = ipv4 ] && awk '$4 == "00" { found = 1 } END { exit !found }' /proc/net/if_inet6 2>/dev/null; then
    warn "inet_protocols = ipv4: a home that has IPv6 only cannot reach port $port, though this host has an IPv6 address"
  elif [ "$value" = ipv6 ]; then
    warn "inet_protocols = ipv6: a home that has IPv4 only cannot reach port $port"
  fi
  value=$(value_of message_size_limit)
  if [ "$value" -gt 0 ] && [ "$value" -lt 10240000 ] && ! settings_of "$service" | grep -q '^message_size_limit='; then
    warn "message_size_limit = $value, less than Postfix has by itself: larger mail from home bounces there; raise it in main.cf, or in smtpdServers[].overrides"
  fi
  {
    all_services | while IFS=' ' read -r id _; do settings_of "$id"; done |
      sed -n 's/^\(smtpd_recipient_restrictions\)=.*/ours \1/p; s/^\(smtpd_sender_restrictions\)=.*/ours \1/p; s/^\(.*\)=$/ours \1/p'
    postconf -xn 2>/dev/null
  } | awk '$1 == "ours" { names[$2]; next } $1 in names && $1 !~ /tls_/ && NF > 2' | while IFS= read -r line; do
    say "port $port goes without what main.cf has: $line"
  done
  if ! settings_of "$service" | grep -q '^smtpd_milters=.' &&
    [ -n "$(value_of smtpd_milters)$(postconf -P smtp/inet/smtpd_milters 2>/dev/null)" ]; then
    warn "the milters of port 25 do not see mail from home; if one of them signs it (DKIM), set in smtpdServers[].overrides smtpd_milters, and milter_macro_daemon_name if it signs for that name only (often ORIGINATING)"
  fi
  warn_of_own_domain
}

# The parameter $1 of main.cf lists our domain, itself or in a table.
lists_domain() {
  for item in $(value_of "$1" | tr ',' ' '); do
    case $item in
      "$domain") return 0 ;;
      /*) ! grep -qsxi "$domain" "$item" || return 0 ;;
      *:*) [ -z "$(postmap -q "$domain" "$item" 2>/dev/null)" ] || return 0 ;;
    esac
  done
  return 1
}

# Mail from home to its own domain: this relay delivers it itself, or sends it in a loop.
warn_of_own_domain() {
  for name in mydestination virtual_alias_domains virtual_mailbox_domains; do
    ! lists_domain "$name" || {
      warn "$name lists $domain: mail for it from home is delivered on $host, and bounces if the user is unknown here"
      return
    }
  done
  ! lists_domain relay_domains || return 0
  mx=$(dig +short +time=3 +tries=1 MX "$domain" 2>/dev/null || host -W 3 -t MX "$domain" 2>/dev/null) || {
    say "cannot tell whether the MX of $domain is this relay: neither dig nor host answers"
    return
  }
  case " $(printf '%s' "$mx" | tr '\n' ' ') " in
    *" $host. "*)
      warn "the MX of $domain is this relay, which takes no mail for it: let home deliver it itself (mydestination there), or it waits at home"
      ;;
  esac
}

prepare_tables() {
  [ "$table_type" = texthash ] || postmap "$table" ||
    fail "postmap cannot make $table" "its messages are above"
}

# The file made by postmap exists, and has the contents of the text.
tables_are_there() {
  case $table_type in
    texthash) return ;;
    hash) [ -f "$table_file.db" ] ;;
    *) [ -f "$table_file.$table_type" ] ;;
  esac && [ "$(postmap -s "$table" 2>/dev/null | entries)" = "$(sed '/^#/d' "$table_file" | entries)" ]
}

# Keys and values, in a fixed order; postmap writes keys in lower case.
entries() { awk 'NF { print tolower($1), $2 }' | sort; }

# Postfix opens the port at the reload; if anything prevents that, only the mail log says so.
check_active() {
  command -v ss >/dev/null 2>&1 || return 0
  for _ in 1 2 3 4 5; do
    [ -z "$(listener)" ] || return 0
    sleep 1
  done
  fail "Postfix does not listen on port $port" "$log_hint" reload-failed
}

# An smtpd keeps the table, the CA and the settings that it started with until its client leaves. So the connections are
# ended, unless clients were only added to the table. $saved/loaded is what Postfix read at the last reload.
after_reload() {
  loaded=$saved/loaded
  lost=unknown
  if [ -f "$loaded/table" ] && [ -f "$table_file" ]; then
    lost=$(pins_missing_in "$table_file" "$loaded/table")
    gained=$(pins_missing_in "$loaded/table" "$table_file")
    [ -z "$gained" ] || say "may relay now, and could not at the last run: $gained"
  fi
  if [ "$changing" = no ] && [ -z "$lost" ] && cmp -s "$folder/$ca" "$loaded/ca"; then :; else end_connections; fi
  rm -rf "$loaded"
  mkdir -p "$loaded"
  { cp "$table_file" "$loaded/table" && cp "$folder/$ca" "$loaded/ca"; } || rm -rf "$loaded"
  settings_of "$service" | sed 's/=.*//' >"$saved/overrides"
}

# The hosts whose pins are in the table $2 but not in $1; the first ten.
pins_missing_in() {
  awk '/^#/ { next } FILENAME == ARGV[1] { known[$1]; next } !($1 in known) { if (++count <= 10) found = found " " $2 }
    END { if (count) print substr(found, 2) (count > 10 ? " and " count - 10 " more" : "") }' "$1" "$2"
}

# Ends the processes of our service, on the port of this run and of the previous one: smtpd, a child of this Postfix's
# master, with the service's name among its arguments.
end_connections() {
  [ "$was_running" = yes ] || return 0
  ports=$(printf '%s\n' "$service" "$found_services" | sed -n 's,/inet$,,p' | sort -u | tr '\n' '|')
  ports=${ports%|}
  if [ ! -e /proc/self/cmdline ]; then
    warn "connections that are open keep their old rights until they end; to end them: postfix stop; postfix start"
    return
  fi
  read -r master <"$(postconf -h queue_directory)/pid/master.pid" || return 0
  ended=no
  for process in /proc/[0-9]*; do
    { read -r _ name _ parent _ <"$process/stat"; } 2>/dev/null || continue
    [ "$name $parent" = "(smtpd) $master" ] || continue
    if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -Eq -- " -n ($ports) "; then
      kill "${process#/proc/}" 2>/dev/null && ended=yes
    fi
  done
  [ "$ended" = no ] || say "connections to port $(echo "$ports" | tr '|' ' ') that were open have ended; mail that was on its way comes again"
}
