# shellcheck shell=sh
# The part of probe.sh for a Postfix host. postconf's messages are discarded, because it repeats them each time, and no
# program of Postfix runs that logs, repairs (postfix check) or takes a lock.

: "${host:?}" "${folder:?}" "${port=}" "${table_type=}" "${routes=}"

probe_service() {
  section service "$1" "$2"
  found=$(postconf -M "$1" 2>/dev/null | tr -s '[:space:]' ' ')
  [ -n "$found" ] || return 0
  printf '%s\n' "${found%% -o *}" | lines
  section wanted "$1"
  settings_of "$1" | lines
  section found "$1"
  overrides=$(postconf -P "$1/*" 2>/dev/null | sed -n "s,^$1/\([^ ]*\) = \{0\,1\}\(.*\)\$,\1=\2,p")
  printf '%s\n' "$overrides" | sed '/^$/d' | lines
  # The values it takes from main.cf because the override is missing.
  section inherited "$1"
  missing=$({
    printf '%s\n' "$overrides" | sed 's/=.*//; s/^/found /'
    settings_of "$1" | sed 's/=.*//; s/^/wanted /'
  } | awk '$1 == "found" { here[$2]; next } !($2 in here) { print $2 }')
  # shellcheck disable=SC2086 # several names
  values_of -x $missing | lines
}

probe_values() {
  section values
  values=$(values_of -x myhostname smtp_helo_name smtpd_banner inet_interfaces inet_protocols mynetworks queue_directory message_size_limit \
    queue_minfree recipient_delimiter defer_transports master_service_disable relayhost)
  printf '%s\n' "$values" | lines
  queue=$(printf '%s\n' "$values" | sed -n 's/^queue_directory=//p')
  section disk "$queue"
  df -Pk "$queue" 2>/dev/null | awk 'END { print $4 }' | lines
}

# Other services with our overrides: those of ours remain if only its first line is removed, and belong to the one above.
# Behind each, its line without the overrides that have our values. Another domain's services are none of these: they have
# files of another folder, or are a part of one that has.
probe_left() {
  section left
  {
    all_services | while IFS=' ' read -r id _; do
      echo "own $id"
      settings_of "$id" | sed 's/^/ours /'
    done
    postconf -M 2>/dev/null | grep -F -e '-o syslog_name=postfix/relaycerts'
  } | awk -v folder="$folder/" '
    $1 == "own" { own[$2]; next }
    $1 == "ours" { ours[$2]; next }
    !index($0, folder) && ($1 ~ /^relaycerts-[0-9]+-/ || /(relay_clientcerts|smtp_tls_chain_files)=[^ ]*\//) { next }
    !(($1 "/" $2) in own) {
      line = $1
      for (i = 2; i <= NF; i++) {
        if ($i == "-o" && (($(i + 1) in ours) || $(i + 1) ~ /^syslog_name=postfix\/relaycerts/)) i++
        else line = line " " $i
      }
      print $1 "/" $2, line
    }' | lines
}

# The queue, or why it is not known.
probe_queue() {
  section queue
  postqueue -j 2>/dev/null | head -n 500 | lines
  section queue-error
  postqueue -j 2>&1 >/dev/null | sed -n 's/^postqueue: fatal: //p' | lines
}

# The port of our service, and its table of pins.
probe_port() {
  section port "$port"
  services_on_port | lines
  section listener "$port"
  ss -H -ltnp "sport = :$port" 2>/dev/null | sed 's/.*users:/users:/' | lines || :
  section table-file "$table_type"
  tables_are_there || echo stale | lines
}

# Does this host reach the mail server of $mail_domain on port 25, and is that really the server that answers?
probe_way_out() {
  section port25 "$mail_domain"
  command -v posttls-finger >/dev/null 2>&1 || {
    echo missing | lines
    return
  }
  posttls-finger -l none -t 10 -T 10 -o dnssec_probe= "$mail_domain" 2>&1 </dev/null |
    sed -n 's/^posttls-finger: //; /^Connected to /p; /^< 220/p; /^Failed to /p; /lookup failed/p' | lines
}

probe_postfix() {
  if ! command -v postconf >/dev/null 2>&1; then
    section postfix missing
    return
  fi
  release=$(postconf -dh mail_version 2>/dev/null | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
  config=$(value_of config_directory)
  note_settings
  section postfix "$release"
  section errors
  postconf -n 2>&1 >/dev/null | sed -n 's/^postconf: fatal: //p' | lines
  if "$(value_of daemon_directory)/master" -t 2>/dev/null; then running=no; else running=yes; fi
  section running "$running"
  section instances
  other_instances | lines
  section maps
  postconf -m 2>/dev/null | lines
  probe_values
  # A list without an item of ours should be as it would be with it.
  wanted=$(settings_of main.cf && add_tokens "$config")
  section wanted main.cf
  printf '%s\n' "$wanted" | sed '/^$/d' | lines
  section found main.cf
  # shellcheck disable=SC2046 # several names
  values_of '' $(printf '%s\n' "$wanted" | sed 's/=.*//') | lines
  all_services | while IFS=' ' read -r id line; do probe_service "$id" "$line"; done
  probe_left
  if command -v services_on_port >/dev/null 2>&1; then
    probe_port
    section own-domain
    lists_of_own_domain | lines
    [ -z "$mail_domain" ] || probe_way_out
  fi
  if command -v find_routes >/dev/null 2>&1; then
    find_routes
    section routes
    printf '%s\n' "$routes" | sed '/^$/d' | lines
    [ "$running" = no ] || probe_queue
  fi
}
