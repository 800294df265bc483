# shellcheck shell=sh
# The functions that install.sh calls on an smtpd-server: one service in master.cf relays for the listed clients. They
# leave main.cf, port 25 and the services of other domains as they are.

: "${host:?}" "${port:?}" "${service:?}" "${syslog_name:?}" "${table:?}"

table_type=${table%%:*}
table_file=${table#*:}

# Every service that relaycerts made, known by the name under which it logs.
relay_services() {
  postconf -P '*/inet/syslog_name' 2>/dev/null | sed -n "s,/syslog_name = $syslog_name\$,,p"
}

# Those with our table: another domain may have its own service on this host.
our_services() {
  for name in $(relay_services); do
    case $(postconf -P "$name/relay_clientcerts" 2>/dev/null) in
      *":$table_file") echo "$name" ;;
    esac
  done
}

check_role() {
  own_file "${table_file##*/}" 644
  postconf -m | grep -qx "$table_type" ||
    fail "this Postfix has no map type $table_type" \
      "set postfix.tableType in the settings to one of: $(postconf -m | tr '\n' ' ')"
  if [ -n "$(postconf -M "$service" 2>/dev/null)" ]; then
    our_services | grep -qx "$service" ||
      fail "master.cf has a service $service that is not ours" \
        "choose another port in the settings, or remove it: postconf -MX $service"
  else
    check_port
  fi
  value=$(value_of inet_interfaces)
  case $value in
    loopback-only | localhost | 127.0.0.1) warn "inet_interfaces = $value: no other host can reach port $port" ;;
  esac
}

# Prints something if a program listens on the port; nothing if ss is missing.
listener() { ss -H -ltn "sport = :$port" 2>/dev/null || :; }

# A second listener on the port would stop all of Postfix at the reload.
check_port() {
  for name in $(postconf -M 2>/dev/null | awk '$2 == "inet" { print $1 }'); do
    number=${name##*:}
    found=$(getent services "$number/tcp" 2>/dev/null | awk '{ sub("/.*", "", $2); print $2 }') || :
    [ "${found:-$number}" != "$port" ] ||
      fail "master.cf has a service $name on port $port already" "choose another port in the settings"
  done
  [ -z "$(listener)" ] ||
    fail "another program listens on port $port of $host" \
      "choose another port in the settings; ss -ltnp shows the program"
}

prepare_tables() {
  [ "$table_type" = texthash ] || postmap "$table" ||
    fail "postmap cannot make $table" "its messages are above"
}

tables_are_there() {
  case $table_type in
    texthash) ;;
    hash) [ -f "$table_file.db" ] ;;
    *) [ -f "$table_file.$table_type" ] ;;
  esac
}

# Postfix opens the port at the reload; if anything prevents that, only the mail log says so.
check_active() {
  command -v ss >/dev/null 2>&1 || return 0
  for _ in 1 2 3 4 5; do
    [ -z "$(listener)" ] || return 0
    sleep 1
  done
  fail "Postfix does not listen on port $port" "the mail log says why"
}
