# shellcheck shell=sh
# The start of the scripts for all hosts: messages, releases, and files that are replaced all at once and restored if a
# later step fails. is_running and resume, which takes yes if it ran, belong to the mail program. In $saved: before, the
# files without our settings; after, the files as our last run left them; new, files in preparation.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

: "${host:?}" "${folder:?}" "${edited:?}" "${root_hint:?}" "${sent=}"

saved=$folder/saved
config=
release=
changing=no
guarded=no
first_run=no
was_running=no
# The processes that end this script if no verdict comes, and that look at what it installed (arrival.sh).
watcher=
looker=
made=

say() { printf 'relaycerts: %s\n' "$1"; }

warn() { printf 'relaycerts: warning: %s\n' "$1" >&2; }

# True if the program's release is $1 (3.10) or later.
at_least() {
  [ "${release%.*}" -gt "${1%.*}" ] || { [ "${release%.*}" -eq "${1%.*}" ] && [ "${release#*.}" -ge "${1#*.}" ]; }
}

# Calls the function $1_PART of each part that is more than mail and its locks.
each_part() { for part in ${parts-}; do "$1_$part" || return; done; }

# The file $config/$1, or the target if it is a link.
behind() { readlink -f "$config/$1" 2>/dev/null || echo "$config/$1"; }

# Prints something if a program listens on the TCP port $1; nothing if that cannot be seen here.
listener() {
  if command -v ss >/dev/null 2>&1; then
    ss -H -ltn "sport = :$1" 2>/dev/null || :
  else
    netstat -an 2>/dev/null | awk -v port="$1" '
      $1 ~ /^tcp/ && $NF == "LISTEN" { place = $4; sub(/.*[.:]/, "", $4); if ($4 == port) print place }' || :
  fi
}

sees_ports() { command -v ss >/dev/null 2>&1 || command -v netstat >/dev/null 2>&1; }

# Waits until a program listens on the port $1; false if it does not.
await_listener() {
  sees_ports || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -z "$(listener "$1")" ] || return 0
    sleep 1
  done
  return 1
}

# $edited from the last to the first: each file is put in place after those that it names, and taken back before them.
backwards() {
  order=
  for file in $edited; do order="$file $order"; done
  echo "$order"
}

copy_file() {
  cp -p "$1" "$2.part"
  mv -f "$2.part" "$2"
}

# Moves the files of $saved/new into place, so that nobody reads half a file and owner and mode stay; a file that is
# missing there is removed. The old ones stay beside them until the end, so that even a full disk cannot prevent
# restoring them.
replace_files() {
  for file in $edited; do
    target=$(behind "$file")
    # What a run that was killed had made must not be moved into place.
    rm -f "$target.relaycerts" "$target.relaycerts-old"
    ! cmp -s "$saved/new/$file" "$target" || continue
    if [ -e "$saved/new/$file" ]; then
      if [ -e "$target" ]; then
        cp -p "$target" "$target.relaycerts"
        cat "$saved/new/$file" >"$target.relaycerts"
      else
        made="$made $target"
        cp -p "$saved/new/$file" "$target.relaycerts"
        # Otherwise it has the mode of the original.
        [ -e "$saved/before/$file" ] || chmod 644 "$target.relaycerts"
      fi
    fi
    [ ! -e "$target" ] || ln "$target" "$target.relaycerts-old" 2>/dev/null || copy_file "$target" "$target.relaycerts-old"
  done
  for file in $edited; do
    target=$(behind "$file")
    if [ -e "$target.relaycerts" ]; then
      mv -f "$target.relaycerts" "$target"
    elif [ ! -e "$saved/new/$file" ]; then
      rm -f "$target"
    fi
  done
  rm -rf "$saved/new"
}

put_files_back() {
  for file in $(backwards); do
    target=$(behind "$file")
    rm -f "$target.relaycerts" "$target.relaycerts-old.part"
    # Not replaced yet, and mv does not move a file to another name of itself.
    ! cmp -s "$target.relaycerts-old" "$target" || rm -f "$target.relaycerts-old"
    [ ! -e "$target.relaycerts-old" ] || mv -f "$target.relaycerts-old" "$target" ||
      outcome="it failed; $target could not be put back: mv $target.relaycerts-old $target"
  done
  # shellcheck disable=SC2086 # several files
  [ -z "$made" ] || rm -f $made
  rm -rf "$saved/new"
  [ "$first_run" = no ] || rm -rf "$saved"
}

check_root() { [ "$(id -u)" = 0 ] || fail "this script has to run as root on $host" "$root_hint"; }

# The folder of a bundle that was copied by hand, or of an installation to undo, is there or is not made.
make_folder() { :; }

# Nothing is read or changed before this. What receive.sh runs has its turn already.
begin_run() {
  check_root
  secure_folder
  [ "$sent" = yes ] || [ ! -d "$folder" ] || take_turn
}

note_running() { ! is_running || was_running=yes; }

end_watcher() {
  for process in $watcher $looker; do kill "$process" 2>/dev/null || :; done
  watcher=
  looker=
}

# Restores the configuration from before this run, on every exit but a successful one.
put_back() {
  status=$?
  trap - EXIT
  set +e
  # A second signal must not stop this halfway. Unlike an ignored signal, a trap is not inherited by the mail program.
  trap : HUP INT PIPE TERM
  end_watcher
  tell_if_full
  if [ "$guarded" = yes ]; then
    outcome="it failed; the configuration of $host is as it was before"
    each_part put_back
    put_bundle_back || outcome="it failed; not all files in $folder/previous could be put back to $folder"
    [ "$changing" = no ] || put_files_back
    resume "$was_running" >/dev/null 2>&1
    printf 'relaycerts: error: %s\n' "$outcome" >&2
    [ "$status" -ne 0 ] || status=1
  fi
  exit "$status"
}

# From here on, if the script ends early, it restores what it changed.
guard() {
  note_running
  trap put_back EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  # The connection is gone, so nobody reads the messages.
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
  guarded=yes
}

begin_change() {
  [ -d "$saved/before" ] || first_run=yes
  guard
  changing=yes
}

end_change() {
  each_part keep
  guarded=no
  trap - EXIT HUP INT PIPE TERM
  for file in $edited; do rm -f "$(behind "$file").relaycerts-old"; done
  outcome changed
}
