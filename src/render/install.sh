# shellcheck shell=sh
# Installs the configuration of a Postfix host, or undoes it; the result is the same however often it runs. script.ts
# prints the values that are checked below, frame.sh, this file, check-bundle.sh, edit-configuration.sh, the functions
# of the host's role (smtp-client.sh or smtpd-server.sh) and a call of install_host or undo_host, all in one pair of
# braces: a script cut short runs nothing. Everything is checked before anything changes. If a later step fails, the old
# files are restored. The bundle itself is copied beforehand, and stays on the host after undo.

: "${host:?}" "${folder:?}" "${edited:?}" "${oldest:?}" "${active:?}" "${saved:?}" "${was_running:?}"
: "${root_hint:?}" "${check_hint:?}"

# In $saved also: config, the folder that our runs set up; settings and tokens, those they made in main.cf; bundle, the
# bundle as Postfix last read it; loaded and overrides, see smtpd-server.sh.

log_hint='the mail log says why'

find_postfix() {
  check_root
  command -v postconf >/dev/null 2>&1 || fail "Postfix is not installed on $host" "$(how_to_get postfix)" postfix-missing
  # -d asks the program, because main.cf can set mail_version to anything.
  release=$(postconf -dh mail_version | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
  messages=$(postconf -n 2>&1 >/dev/null) ||
    fail "Postfix cannot read its configuration: $(printf '%s\n' "$messages" | sed -n 's/^postconf: fatal: //p')" \
      "$check_hint" postfix-check
  config=$(value_of config_directory)
  # Otherwise postfix(1) acts on all instances of the host, and fails if another one is stopped or has an error.
  MAIL_CONFIG=$config
  export MAIL_CONFIG
  former=$(cat "$saved/config" 2>/dev/null) || former=$config
  [ "$former" = "$config" ] ||
    fail "relaycerts set up $former on $host before, and this would be $config; nothing was changed" \
      "run the script there with that folder in its environment: MAIL_CONFIG=$former"
  # What our last run edited, this one edits too.
  for file in "$saved"/after/*; do
    case " $edited " in
      *" ${file##*/} "*) ;;
      *) [ ! -f "$file" ] || edited="$edited ${file##*/}" ;;
    esac
  done
  note_settings
  note_services
  twice=$(printf '%s\n' "$messages" | sed -n 's/.*overriding earlier entry: \([^=]*\)=.*/\1/p' | sort -u | tr '\n' ' ')
  [ -z "$twice" ] || warn "$config/main.cf sets these more than once, and the last one counts: $twice"
}

# The value of parameter $1, expanded. find_postfix has already printed the warnings that postconf repeats each time.
value_of() { postconf -xh "$1" 2>/dev/null; }

# The folders of the other instances of Postfix that start with this one.
other_instances() {
  for other in $(value_of multi_instance_directories | tr ',' ' '); do
    [ "$(postconf -c "$other" -xh multi_instance_enable 2>/dev/null)" = no ] || echo "$other"
  done
}

# The tables in the parameter $1, one per line; a comma or space within braces does not separate.
tables_of() { value_of "$1" | tables_in; }

# The same of a list on stdin.
tables_in() {
  awk '{
    for (i = 1; i <= length($0); i++) {
      c = substr($0, i, 1)
      depth += (c == "{") - (c == "}")
      printf "%s", (depth == 0 && c ~ /[, \t]/) ? "\n" : c
    }
    print ""
  }' | sed '/^$/d'
}

# Looks a key up as Postfix does: $1 is the parameter, $2 the key.
lookup() { tables_of "$1" | lookup_in "$2"; }

# The same in the tables on stdin.
lookup_in() {
  while IFS= read -r table; do
    if found=$(postmap -q "$1" "$table" 2>/dev/null </dev/null); then
      printf '%s\n' "$found"
      break
    fi
  done
}

# The parameters $2 and on as postconf has them with option $1 (-d, -x, or ""): name=value, one per line, those that it
# knows. It is one question, because each is a process.
values_of() {
  option=$1
  shift
  # shellcheck disable=SC2086 # an option or none
  [ $# -eq 0 ] || postconf $option "$@" 2>/dev/null | sed 's/^\([^ ]*\) = \{0,1\}/\1=/'
}

# Keeps the settings that this Postfix knows, each with its place. Patches added some to older releases.
note_settings() {
  newer=$(all_settings | while IFS=' ' read -r since _ setting; do at_least "$since" || echo "${setting%%=*}"; done)
  # shellcheck disable=SC2086 # several names
  newer=" $(values_of -d $newer | sed 's/=.*//' | tr '\n' ' ')"
  known_settings=$(
    all_settings | while IFS=' ' read -r since place setting; do
      if at_least "$since" || is_newer "${setting%%=*}"; then printf '%s %s\n' "$place" "$setting"; fi
    done
  )
}

# True if $1 is in $newer: newer than this Postfix, which has it all the same.
is_newer() {
  case $newer in
    *" $1 "*) ;;
    *) return 1 ;;
  esac
}

# Those of main.cf, or of the service $1: name=value, one per line.
settings_of() {
  printf '%s\n' "$known_settings" | while IFS=' ' read -r place setting; do
    if [ "$place" = "$1" ]; then printf '%s\n' "$setting"; fi
  done
}

# Errors go to stderr or to the log, and the same warning comes from each postconf that it starts. On stdout, Debian's 3.9
# and later lists each file it copies into the chroot.
check_postfix() {
  messages=$(postfix check 2>&1 >/dev/null) && result=0 || result=$?
  printf '%s\n' "$messages" | sed '/^$/d; /overriding earlier entry/d' | awk '!seen[$0]++' >&2
  return "$result"
}

check_tools() {
  find_postfix
  command -v openssl >/dev/null 2>&1 || fail "openssl is not installed on $host" "$(how_to_get openssl)"
  at_least "$oldest" || fail "Postfix $release is too old: $oldest or later is needed" "upgrade Postfix" postfix-old
  check_postfix || fail "postfix check finds an error in $config as it is now; nothing was changed" "$check_hint" postfix-check
  others=$(other_instances | tr '\n' ' ')
  [ -z "$others" ] || warn "only $config is set up; the other Postfix instances of $host stay as they are: ${others% }"
}

is_running() { postfix status >/dev/null 2>&1; }

resume() {
  if [ "$1" = no ]; then
    return
  elif is_running; then
    postfix reload
  else
    postfix start
  fi
}

check_and_reload() {
  check_postfix || fail "postfix check found an error in $config" "$check_hint"
  if [ "$was_running" = yes ]; then
    postfix reload >/dev/null 2>&1 || fail "postfix reload failed" "$log_hint" reload-failed
    sleep 1
    is_running || fail "Postfix stopped at the reload" "$log_hint" reload-failed
  else
    warn "Postfix is not running on $host; start it: postfix start"
  fi
  after_reload
}

# The services of ours that are there: the transport, and those with a table of pins, with what only they use. A host that
# was in the other role before has that role's.
#
# They log under a name of ours and read our table: another domain may have its own on this host. All overrides come first, as
# "set ID/NAME = VALUE", then all services.
our_services() {
  {
    postconf -P 2>/dev/null | sed 's/^/set /'
    postconf -M 2>/dev/null
  } | awk -v transport="$(transport_chain)" -v table=":$folder/relay_clientcerts" '
    $1 == "set" {
      id = name = $2
      sub(/\/[^\/]*$/, "", id)
      sub(/.*\//, "", name)
      value = $0
      sub(/^set [^ ]* = ?/, "", value)
      set[id, name] = value
      next
    }
    {
      id = $1 "/" $2
      all[++count] = id
      log_name = set[id, "syslog_name"]
      wanted = table substr(log_name, length("postfix/relaycerts") + 1)
      end = substr(set[id, "relay_clientcerts"], length(set[id, "relay_clientcerts"]) - length(wanted) + 1)
      if ($2 == "inet" && log_name ~ /^postfix\/relaycerts(_in)?$/ && end == wanted) {
        print id
        used = $1
        sub(/.*:/, "", used)
        begins[++ports] = "relaycerts-" used "-"
      }
      chain = set[id, "smtp_tls_chain_files"]
      if (id == "relaycerts/unix" && substr(chain, 1, length(transport)) == transport) print id
    }
    END { for (i = 1; i <= ports; i++) for (j = 1; j <= count; j++) if (index(all[j], begins[i]) == 1) print all[j] }'
}

# Keeps stdin, a script that takes something out again that a part installed: for undo, and for a later run whose
# settings do not name it.
keep_undo() {
  mkdir -p "$saved/parts"
  cat >"$saved/parts/$1"
}

# The names of those scripts that are not in $1.
parts_besides() {
  for file in "$saved"/parts/*; do
    [ -f "$file" ] || continue
    case " $1 " in
      *" ${file##*/} "*) ;;
      *) echo "${file##*/}" ;;
    esac
  done
}

remove_parts_besides() {
  for name in $(parts_besides "$1"); do
    sh "$saved/parts/$name" || warn "not all of $name could be removed"
    rm -f "$saved/parts/$name"
  done
}

install_host() {
  check_tools
  complete_bundle
  check_bundle
  check_role
  each_part check
  if ! has_leftovers && configuration_is_right && [ -f "$saved/bundle" ]; then
    if [ "$(cat "$saved/bundle")" = "$(bundle_state)" ]; then
      say "nothing to change on $host: $active"
      outcome unchanged
      return
    fi
    begin_bundle
    prepare_tables
    each_part prepare
    check_and_reload
    await_verdict
    bundle_state >"$saved/bundle"
    end_change
    say "Postfix on $host picked up the new bundle: $active"
    return
  fi
  begin_change
  save_configuration
  switch_bundle
  prepare_tables
  each_part prepare
  change_configuration "$saved/new"
  replace_files
  # postconf accepts a misspelt name without an error.
  configuration_is_right || fail "postconf did not take every setting" "its messages are above"
  check_and_reload
  [ "$was_running" = no ] || check_active
  await_verdict
  for file in $edited; do
    if [ -e "$(behind "$file")" ]; then copy_file "$(behind "$file")" "$saved/after/$file"; else rm -f "$saved/after/$file"; fi
  done
  settings_of main.cf >"$saved/settings"
  all_tokens >"$saved/tokens"
  bundle_state >"$saved/bundle"
  end_change
  remove_parts_besides "${kept_parts-}"
  say "$host is set up: $active"
}

undo_host() {
  find_postfix
  if [ ! -d "$saved/before" ]; then
    remove_monitor
    each_part undo
    remove_parts_besides ''
    say "nothing to undo on $host: no configuration was saved in $saved"
    outcome unchanged
    return
  fi
  begin_change
  kept=$(copy_without_ours)
  edited=$(backwards)
  replace_files
  check_and_reload
  end_change
  for name in $kept; do warn "$name was changed after the installation, so it stays as it is"; done
  each_part undo
  remove_parts_besides ''
  rm -rf "$saved"
  remove_monitor
  say "$host is as it was before; its key and certificates are still there: rm -r $folder"
}
