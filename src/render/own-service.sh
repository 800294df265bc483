# shellcheck shell=sh
# The functions that install.sh calls on a host with a service of ours: the port, the table of pins, and the connections
# that were open.

: "${host:?}" "${port:?}" "${service:?}" "${table:?}" "${ca:?}"
: "${folder:?}" "${saved:?}" "${was_running:?}" "${changing:?}" "${log_hint:?}"

table_type=${table%%:*}
table_file=${table#*:}

# Connections to the services that were there end too: on a port that the settings changed, or no longer name.
note_services() { found_services=$(our_services); }

# True if the service on the port is ours.
is_ours() { our_services | grep -qx "$service"; }

# The inet services of master.cf on our port, under any name.
services_on_port() {
  for name in $(postconf -M 2>/dev/null | awk '$2 == "inet" { print $1 }'); do
    number=${name##*:}
    [ "$(number_of "$number")" != "$port" ] || echo "$name/inet"
  done
}

# The number of the TCP port $1, which may be a name; not every system has getent.
number_of() {
  found=$(getent services "$1/tcp" 2>/dev/null || awk -v name="$1" '
    { sub(/#.*/, "") }
    $2 ~ /\/tcp$/ { for (i = 1; i <= NF; i++) if (i != 2 && $i == name) { print; exit } }' /etc/services 2>/dev/null) || :
  found=$(printf '%s\n' "$found" | awk '{ sub("/.*", "", $2); print $2 }')
  echo "${found:-$1}"
}

check_table_type() {
  here=$(postconf -m)
  printf '%s\n' "$here" | grep -qx "$table_type" && return
  both=$(for type in texthash hash lmdb cdb; do printf '%s\n' "$here" | grep -x "$type" || :; done | tr '\n' ' ')
  fail "this Postfix has no map type $table_type" "set postfix.tableType in the settings to one of: ${both% }"
}

# SELinux lets Postfix listen on ports with one label only, and a port that it cannot have stops all of Postfix.
check_label() {
  [ "$(getenforce 2>/dev/null)" = Enforcing ] || return 0
  label="semanage port -a -t smtp_port_t -p tcp $port"
  log_hint="the mail log says why; if SELinux denies the port: $label"
  # As in "smtp_port_t  tcp  25, 465, 587"; a range is 2500-2510.
  ports=$(semanage port -l 2>/dev/null | sed -n 's/^smtp_port_t  *tcp  *//p' | tr -d ' ' | tr ',' '\n')
  [ -n "$ports" ] || return 0
  printf '%s\n' "$ports" | awk -F - -v port="$port" 'port >= $1 + 0 && port <= $NF + 0 { found = 1 } END { exit !found }' ||
    fail "SELinux on $host does not let Postfix listen on port $port" "$label"
}

# A second listener on the port would stop all of Postfix at the reload.
check_port() {
  check_label
  for name in $(services_on_port); do
    # It may be ours on another address.
    ! our_services | grep -qx "$name" || continue
    case $name in
      "$service")
        # A service that the same client could use: one like ours, made by hand or by another program.
        if postconf -M "$service" | grep -Eq 'relay_clientcerts=|permit_tls_(all_)?clientcerts|_ccert=yes'; then
          say "the service $service in master.cf already relays for certificates: this one replaces it, and undo restores it"
          continue
        fi
        ;;
    esac
    fail "master.cf has a service ${name%/inet} on port $port that is not ours" \
      "choose another port in the settings, or remove it: postconf -MX $name && postfix reload" port-taken
  done
  [ -n "$(services_on_port)" ] || [ -z "$(listener "$port")" ] ||
    fail "another program listens on port $port of $host" \
      "choose another port in the settings; ss -ltnp shows the program" port-taken
}

# The parameter $1 of main.cf lists the domain $2, itself or in a table.
lists_domain() {
  for item in $(value_of "$1" | tr ',' ' '); do
    case $item in
      "$2") return 0 ;;
      /*) ! grep -qsxi "$2" "$item" || return 0 ;;
      *:*) [ -z "$(postmap -q "$2" "$item" 2>/dev/null)" ] || return 0 ;;
    esac
  done
  return 1
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
  await_listener "$port" && return
  disabled=$(value_of master_service_disable)
  [ -z "$disabled" ] || log_hint="main.cf says what does not start: master_service_disable = $disabled"
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
    [ -z "$gained" ] || say "new in the table, may now relay: $gained"
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

# Ends the connections to our service, on the port of this run and of the previous one. If a process in its first session
# is killed, master closes the service for a minute (service_throttle_time): so the kernel closes connections first, and
# what is left is killed.
end_connections() {
  [ "$was_running" = yes ] || return 0
  ports=$(printf '%s\n' "$service" "$found_services" | sed -n 's,/inet$,,p' | sort -u | tr '\n' '|')
  ports=${ports%|}
  if [ ! -e /proc/self/cmdline ]; then
    warn "open connections keep their old rights until they end; to end them: postfix stop; postfix start"
    return
  fi
  found=$(smtpd_processes "$ports")
  [ -n "$found" ] || return 0
  for name in $(echo "$ports" | tr '|' ' '); do ss -K -t -n "sport = :${name##*:}" >/dev/null 2>&1 || :; done
  # They notice it at once, and those of before the reload end.
  sleep 1
  left=" $(smtpd_processes "$ports" | tr '\n' ' ')"
  for process in $found; do
    case $left in *" $process "*) kill "$process" 2>/dev/null || : ;; esac
  done
  say "closed the open connections to port $(echo "$ports" | tr '|' ' '); mail in transit will be sent again"
}

# The processes that serve these ports, as "2500|2501": smtpd, a child of this Postfix's master, with the service's name
# among its arguments.
smtpd_processes() {
  read -r master <"$(value_of queue_directory)/pid/master.pid" || return 0
  for process in /proc/[0-9]*; do
    { read -r _ name _ parent _ <"$process/stat"; } 2>/dev/null || continue
    [ "$name $parent" = "(smtpd) $master" ] || continue
    ! { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -Eq -- " -n ($1) " || echo "${process#/proc/}"
  done
}
