# shellcheck shell=sh
# The functions of the scripts that install a bundle sent by `deploy`: receive.sh unpacks it in a folder beside the
# installed files and passes that folder to the script as its first argument. All files are checked there, then moved
# into place together; the old ones are kept in $previous and come back if a later step fails. A bundle that was copied
# by hand is already in place.

: "${host:?}" "${folder:?}" "${saved:?}" "${bundle_files:?}" "${chain:?}" "${guarded:?}" "${watcher?}" "${looker?}"

bundle=${1:-$folder}
arrived=$bundle
previous=$folder/previous
sent=no
switched=no
# Yes in a script that is sent to a home: it has look_script, which looks at the relays.
looks=no
[ "$bundle" = "$folder" ] || sent=yes

# Files that were not sent stay as they are. Once all are in place, the installed folder counts.
complete_bundle() {
  [ "$sent" = yes ] || return 0
  for file in $bundle_files; do
    if [ ! -e "$bundle/$file" ] && [ -f "$folder/$file" ] && [ ! -L "$folder/$file" ]; then
      cp -p "$folder/$file" "$bundle/$file"
    fi
  done
  ! is_in_place || bundle=$folder
}

# A link is replaced, even if it leads to the same text.
is_in_place() {
  for file in $bundle_files; do
    [ ! -L "$folder/$file" ] && cmp -s "$bundle/$file" "$folder/$file" || return 1
  done
}

# A bundle that was copied by hand has replaced the old one, so nothing could be restored.
begin_bundle() {
  if [ "$sent" = no ]; then
    note_running
  else
    guard
    switch_bundle
  fi
}

# The chain comes last: it contains key and certificate, so that the two match at every moment, and a process that
# starts with them finds the matching CA and table.
switch_bundle() {
  [ "$bundle" != "$folder" ] || return 0
  rm -rf "$previous"
  mkdir "$previous"
  for file in $bundle_files; do
    [ ! -e "$folder/$file" ] || ln "$folder/$file" "$previous/$file" 2>/dev/null || cp -p "$folder/$file" "$previous/$file"
  done
  switched=yes
  for file in $bundle_files; do
    [ "$file" = "$chain" ] || mv -f "$bundle/$file" "$folder/$file"
  done
  mv -f "$bundle/$chain" "$folder/$chain"
  bundle=$folder
}

put_bundle_back() {
  [ "$switched" = yes ] || return 0
  switched=no
  for file in $bundle_files; do
    if [ -e "$previous/$file" ]; then
      cmp -s "$previous/$file" "$folder/$file" || mv -f "$previous/$file" "$folder/$file" || return 1
    else
      rm -f "$folder/$file"
    fi
  done
  rm -rf "$previous"
  prepare_tables || :
}

# The sender of the bundle looks at the host as it is now, from outside and by what it prints itself, and says on
# descriptor 3 whether to keep it. A connection that is gone, or silent for five minutes, means no.
await_verdict() {
  [ "$sent" = yes ] || return 0
  (
    trap 'kill "$sleeper" 2>/dev/null; exit 0' TERM
    sleep 300 &
    sleeper=$!
    wait "$sleeper" && kill -TERM "$$"
  ) >/dev/null 2>&1 </dev/null 3<&- &
  watcher=$!
  trap 'fail "another run began on $host, or deploy gave no verdict for five minutes" "deploy again when no other run is left"' TERM
  # For the next run, if this one waits in vain (receive.sh).
  echo "$$" 2>/dev/null >"$saved/waiting" || :
  [ "$looks" = no ] || look_out
  say "waiting for the verdict on $host"
  verdict=
  read -r verdict <&3 || :
  trap 'exit 143' TERM
  rm -f "$saved/waiting"
  end_watcher
  [ "$verdict" = keep ] || fail "deploy did not confirm this installation on $host" "deploy says why"
  keep_script
}

# Runs what look_script prints, for less time than a verdict may take. A signal ends a wait at once, but not a command.
look_out() {
  look_script | timeout 240 sh 2>/dev/null 3<&- &
  looker=$!
  wait "$looker" || :
  looker=
}

# For a key that may only renew (receive.sh): it runs the script that was installed last.
keep_script() {
  for file in install.sh receive.sh; do
    [ ! -f "$arrived/$file" ] || mv -f "$arrived/$file" "$saved/$file"
  done
}
