# shellcheck shell=sh
# The part of install.sh for a host that signs mail: an OpenDKIM of its own, beside any other. Its files are copied from
# the bundle to $dkim_folder, since opendkim cannot enter $folder: only it may read them, and only root may change them,
# or opendkim refuses to use the keys. While something is wrong with it, Postfix answers that mail has to wait. It is in
# the script of every Postfix host, without files if the host does not sign, so that a signer that the settings no longer
# ask for goes.

: "${host:?}" "${folder:?}" "${bundle:?}" "${saved:?}" "${dkim_folder:?}" "${dkim_unit:?}" "${dkim_port?}" "${dkim_files?}" "${copy_hint:?}"

dkim_unit_file=/etc/systemd/system/$dkim_unit
dkim_conf=$dkim_folder/opendkim.conf
# What was there is in $saved/dkim until the end.
dkim_changed=no

# The processes of our OpenDKIM, however it was started.
dkim_processes() {
  for process in /proc/[0-9]*; do
    # It may have ended by now. A shell drops each NUL; tr, which would be started for every process, reads only ours.
    words=
    { IFS= read -r words <"$process/cmdline" || :; } 2>/dev/null
    case $words in
      *opendkim*"-x$dkim_conf"*) ;;
      *) continue ;;
    esac
    case $({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null) in
      *opendkim\ *"-x $dkim_conf "*) echo "${process#/proc/}" ;;
    esac
  done
}

has_systemd() { [ -d /run/systemd/system ]; }

# The keys in the table: domain and path.
dkim_keys() { sed 's/^\([^ ]*\) [^:]*:[^:]*:\(.*\)$/\1 \2/' "$1"; }

check_dkim() {
  [ -n "$dkim_files" ] || return 0
  [ -e /proc/self/cmdline ] ||
    fail "$host has no /proc, by which this script finds its OpenDKIM; nothing was changed" 'remove dkim from the settings'
  command -v opendkim >/dev/null 2>&1 ||
    fail "opendkim is not installed on $host, which needs it to sign mail; nothing was changed" "$(how_to_get opendkim)"
  id opendkim >/dev/null 2>&1 ||
    fail "$host has no user opendkim; nothing was changed" "remove its package and install it again: opendkim"
  for file in $dkim_files; do own_file "$file" 600; done
  check_key_table
  [ -n "$(dkim_processes)" ] || [ -z "$(listener "$dkim_port")" ] ||
    fail "another program listens on port $dkim_port of $host" \
      "set another dkim.socket in the settings; ss -ltnp shows the program" port-taken
  if [ -d "$dkim_folder" ]; then check_parents "$dkim_folder"; fi
}

# Every key stays in our folder: a key that may only renew can send this table (receive.sh).
check_key_table() {
  dkim_keys "$bundle/opendkim.KeyTable" | while IFS=' ' read -r domain path; do
    case $domain:${path#"$dkim_folder"/} in
      */*) exit 1 ;;
      *.key.pem) ;;
      *) exit 1 ;;
    esac
  done || fail "$bundle/opendkim.KeyTable names a file outside $dkim_folder" "copy the bundle again: $copy_hint"
}

# The file $2 has the content of $1, and mode $3.
is_copy() { cmp -s "$1" "$2" && [ -z "$(find "$2" -prune ! -perm "$3")" ]; }

# What is installed is what the installed bundle says, and runs.
is_right_dkim() {
  [ -n "$dkim_files" ] || return 0
  [ -f "$folder/opendkim.KeyTable" ] || return 1
  for file in opendkim.conf KeyTable SigningTable; do
    is_copy "$folder/opendkim.${file#opendkim.}" "$dkim_folder/$file" 640 || return 1
  done
  dkim_keys "$folder/opendkim.KeyTable" | while IFS=' ' read -r domain path; do
    is_copy "$folder/$domain.dkim.key.pem" "$path" 640 || exit 1
  done || return 1
  if has_systemd; then is_copy "$folder/opendkim.service" "$dkim_unit_file" 644 || return 1; fi
  [ -n "$(dkim_processes)" ]
}

# A signer that the settings no longer ask for.
left_dkim() { [ -z "$dkim_files" ] && [ -d "$dkim_folder" ]; }

# Copies file $1 to $2 all at once; nobody but root and opendkim can read it, not even for an instant.
place_dkim() {
  rm -f "$2.new"
  cat "$1" >"$2.new"
  chown 0:opendkim "$2.new"
  chmod 640 "$2.new"
  mv -f "$2.new" "$2"
}

prepare_dkim() {
  # If it is there already, a run was killed, and what is in place was never confirmed.
  if [ ! -d "$saved/dkim" ]; then
    ! is_right_dkim || return 0
    rm -rf "$saved/dkim.part"
    mkdir -p "$saved/dkim.part"
    [ ! -d "$dkim_folder" ] || cp -Rp "$dkim_folder" "$saved/dkim.part/files"
    [ ! -f "$dkim_unit_file" ] || cp -p "$dkim_unit_file" "$saved/dkim.part/unit"
    mv "$saved/dkim.part" "$saved/dkim"
  fi
  dkim_changed=yes
  ! is_right_dkim || return 0
  mkdir -p "$dkim_folder"
  chown 0:0 "${dkim_folder%/*}"
  chmod 755 "${dkim_folder%/*}"
  chown 0:opendkim "$dkim_folder"
  chmod 750 "$dkim_folder"
  again=yes
  ! is_copy "$folder/opendkim.conf" "$dkim_conf" 640 || again=no
  dkim_keys "$folder/opendkim.KeyTable" | while IFS=' ' read -r domain path; do
    place_dkim "$folder/$domain.dkim.key.pem" "$path"
  done
  for file in SigningTable KeyTable; do place_dkim "$folder/opendkim.$file" "$dkim_folder/$file"; done
  place_dkim "$folder/opendkim.conf" "$dkim_conf"
  opendkim -n -x "$dkim_conf" >/dev/null 2>&1 || fail "opendkim does not accept $dkim_conf" "opendkim -n -x $dkim_conf"
  if has_systemd && ! is_copy "$folder/opendkim.service" "$dkim_unit_file" 644; then
    cat "$folder/opendkim.service" >"$dkim_unit_file"
    chmod 644 "$dkim_unit_file"
    again=yes
  fi
  run_dkim "$again"
}

# Starts it, or makes it read its tables; with yes, and if it was not running, it is started from the beginning.
run_dkim() {
  if [ "$1" = no ] && [ -n "$(dkim_processes)" ]; then
    # shellcheck disable=SC2046 # several processes
    kill -USR1 $(dkim_processes)
    return
  fi
  if has_systemd; then
    systemctl daemon-reload
    systemctl enable "$dkim_unit" >/dev/null 2>&1
    systemctl restart "$dkim_unit" || fail "$dkim_unit does not start" "journalctl -u $dkim_unit"
  else
    end_dkim
    opendkim -x "$dkim_conf" </dev/null >/dev/null 2>&1 3<&- || fail "opendkim does not start" "opendkim -f -x $dkim_conf"
    warn "systemd does not run on $host, so opendkim was started here; have it started with the host: opendkim -x $dkim_conf"
  fi
  await_listener "$dkim_port" || fail "opendkim does not listen on port $dkim_port" "the mail log says why; or: opendkim -f -x $dkim_conf"
}

end_dkim() {
  for process in $(dkim_processes); do kill "$process" 2>/dev/null || :; done
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$(dkim_processes)" ] || return 0
    sleep 1
  done
}

put_back_dkim() {
  [ "$dkim_changed" = yes ] || return 0
  if [ ! -d "$saved/dkim/files" ]; then
    undo_dkim
    return
  fi
  rm -rf "$dkim_folder"
  cp -Rp "$saved/dkim/files" "$dkim_folder"
  [ ! -f "$saved/dkim/unit" ] || cp -p "$saved/dkim/unit" "$dkim_unit_file"
  rm -rf "$saved/dkim"
  (run_dkim yes) >/dev/null 2>&1
}

# Keys that are no longer in the table go; until now, mail that was being signed could still need them. A signer goes
# after the reload, when no service has it as a milter any more.
keep_dkim() {
  rm -rf "$saved/dkim"
  if left_dkim; then
    undo_dkim
    say "OpenDKIM of $host is gone: the settings no longer ask it to sign"
  fi
  for file in "$dkim_folder"/*.key.pem; do
    [ ! -f "$file" ] || grep -q ":$file\$" "$dkim_folder/KeyTable" || rm -f "$file"
  done
}

undo_dkim() {
  [ -d "$dkim_folder" ] || [ -f "$dkim_unit_file" ] || return 0
  if has_systemd && [ -f "$dkim_unit_file" ]; then
    systemctl disable --now "$dkim_unit" >/dev/null 2>&1 || :
    rm -f "$dkim_unit_file"
    systemctl daemon-reload
  fi
  end_dkim
  rm -rf "$dkim_folder" "$saved/dkim"
  rmdir "${dkim_folder%/*}" 2>/dev/null || :
}

probe_dkim() {
  section dkim "$dkim_folder"
  {
    ! left_dkim || echo left
    if [ -n "$dkim_files" ]; then
      is_right_dkim || echo stale
      if [ -z "$(dkim_processes)" ]; then
        echo down
      elif sees_ports && [ -z "$(listener "$dkim_port")" ]; then
        echo deaf
      fi
    fi
  } | lines
}
