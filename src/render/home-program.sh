# shellcheck shell=sh
# Installs the configuration of a home host whose mail program is not Postfix, or undoes it, as install.sh does for
# Postfix. program-script.ts prints the values, the texts, frame.sh, check-bundle.sh, this file and the functions of the
# program: program_release; check_program, which fails if its files cannot be edited, and undone, exactly;
# apply_program, which makes it check its files; check_applied, which fails if the settings are not in effect.

: "${host:?}" "${folder:?}" "${edited:?}" "${oldest?}" "${active:?}" "${saved:?}" "${chain:?}" "${bundle:?}"
: "${title:?}" "${package?}" "${command?}" "${service?}" "${action?}" "${user:?}" "${access:?}" "${was_running:?}"
: "${root_hint:?}" "${user_hint:?}"

: "${folder_owner:?}" "${folder_mode:?}" "${chain_owner:?}" "${chain_mode:?}"

# Values that only some of the programs use.
: "${check_hint:?}" "${config_hint:?}" "${routes:?}" "${force_routes:?}" "${force_hint:?}"

begin='# relaycerts: begin'
end='# relaycerts: end'

is_installed() { [ -z "$command" ] || command -v "$command" >/dev/null 2>&1; }

check_tools() {
  check_root
  command -v openssl >/dev/null 2>&1 || fail "openssl is not installed on $host" "$(how_to_get openssl)"
  is_installed || fail "$title is not installed on $host" "$(how_to_get "$package")" postfix-missing
  release=$(program_release)
  [ -z "$oldest" ] || [ -z "$release" ] || at_least "$oldest" ||
    fail "$title $release is too old: $oldest or later is needed" "upgrade $title" postfix-old
}

# The program reads the key as its user; nobody else can.
find_user() {
  group=$(id -g "$user" 2>/dev/null) || fail "$host has no user $user, which $title needs to read the key" "$user_hint"
  [ "$user" != root ] || return 0
  folder_owner=0:$group
  folder_mode=710
  case $access in
    group)
      chain_owner=0:$group
      chain_mode=640
      ;;
    *) chain_owner=$user:0 ;;
  esac
}

# Runs a command as the program's user.
as_user() { su -s /bin/sh "$user" -c "$1" </dev/null; }

check_user() {
  as_user "test -r $bundle/$chain" ||
    fail "$user cannot read $bundle/$chain, although its mode allows it" "let $user pass the folders above it: namei -l $folder"
}

# The new text of file $1 on stdout, from the old one on stdin, which has no lines of ours.
with_ours() {
  case $(place_of "$1") in
    alone) text_of "$1" ;;
    first)
      marked "$1"
      sed -e "$(sed_of "$1")"
      ;;
    last)
      # A last line without a newline gets one.
      sed -e "$(sed_of "$1")" | awk 1
      marked "$1"
      ;;
  esac
}

marked() {
  echo "$begin"
  text_of "$1"
  echo "$end"
}

# File $1 from stdin without our lines; it reverses every change of text_of and sed_of.
without_ours() {
  case $(place_of "$1") in
    alone)
      text_of "$1" >"$saved/new/lines"
      grep -vxF -f "$saved/new/lines" || :
      ;;
    *) sed -e "/^$begin\$/,/^$end\$/d" -e 's/^#relaycerts# //' -e 's/-before-relaycerts//g' ;;
  esac
}

# Copies each file without our lines to $saved/without: the original if nobody has edited it since, otherwise what
# remains, also without what the numbered steps wrote. A file that would be empty, and did not exist before, is left
# out.
copy_without_ours() {
  rm -rf "$saved/new" "$saved/without"
  mkdir -p "$saved/new" "$saved/without"
  for file in $edited; do
    target=$(behind "$file")
    mkdir -p "$(dirname "$saved/without/$file")"
    if [ ! -e "$target" ]; then
      : # It was removed since: the original is what there was before.
    elif [ -d "$saved/before" ] || grep -qxF -e "$begin" "$target"; then
      if ! cmp -s "$saved/after/$file" "$target"; then
        without_ours "$file" <"$target" >"$saved/without/$file"
        [ -s "$saved/without/$file" ] || rm -f "$saved/without/$file"
      fi
    else
      cp -p "$target" "$saved/without/$file"
    fi
    if [ ! -e "$saved/without/$file" ] && [ -e "$saved/before/$file" ]; then
      cp -p "$saved/before/$file" "$saved/without/$file"
    fi
  done
}

# Makes $saved/new, the future files: with our lines, or with "undo" without them.
make_new() {
  copy_without_ours
  rm -rf "$saved/new"
  mkdir "$saved/new"
  for file in $edited; do
    mkdir -p "$(dirname "$saved/new/$file")"
    old=$saved/without/$file
    [ ! -e "$old" ] || cp -p "$old" "$saved/new/$file"
    [ "$1" != undo ] || continue
    [ -e "$old" ] || old=/dev/null
    with_ours "$file" <"$old" >"$saved/new/$file"
  done
}

configuration_is_right() {
  for file in $edited; do cmp -s "$saved/new/$file" "$(behind "$file")" || return 1; done
}

# Debian's sysvinit script for OpenSMTPD exits with 0 even if it reports that it is not running.
is_running() {
  [ -n "$service" ] && state=$(service "$service" status 2>&1) || return 1
  case $state in
    *"$service is not running"*) return 1 ;;
  esac
}

# Stops it, waits until it has stopped, which not every sysvinit "restart" does, and starts it.
restart() {
  service "$service" stop || return 1
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    is_running || break
    sleep 1
  done
  service "$service" start
  sleep 1
  is_running || service "$service" start
}

# Makes the program use the files as they are now; $1 tells whether it ran.
resume() {
  ! is_installed || apply_program || return 1
  if [ "$1" = no ]; then
    return
  elif [ "$action" = restart ]; then
    restart >/dev/null 2>&1
  else
    service "$service" "$action" >/dev/null 2>&1
  fi
}

resume_or_fail() {
  resume "$was_running" || fail "$title does not accept its configuration" "its messages are above, or in the log" reload-failed
  if [ "$was_running" = yes ]; then
    sleep 1
    is_running || fail "$title stopped" "the log says why" reload-failed
  elif [ -n "$service" ]; then
    warn "$title is not running on $host; start it: service $service start"
  fi
}

install_host() {
  check_tools
  find_user
  complete_bundle
  check_bundle
  check_user
  check_program
  for file in $edited; do
    [ -d "/${file%/*}" ] || fail "the folder /${file%/*} is missing" "install $title, or: mkdir -p /${file%/*}"
  done
  mkdir -p "$saved"
  chown 0:0 "$saved"
  chmod 700 "$saved"
  make_new install
  if configuration_is_right && [ -d "$saved/before" ]; then
    rm -rf "$saved/new" "$saved/without"
    if [ "$(cat "$saved/bundle" 2>/dev/null)" = "$(bundle_state)" ]; then
      say "nothing to change on $host: $active"
      outcome unchanged
      return
    fi
    begin_bundle
    resume_or_fail
    await_verdict
    bundle_state >"$saved/bundle"
    end_change
    say "$title on $host picked up the new bundle: $active"
    return
  fi
  begin_change
  rm -rf "$saved/before"
  mv "$saved/without" "$saved/before"
  switch_bundle
  replace_files
  resume_or_fail
  check_applied
  await_verdict
  rm -rf "$saved/after"
  for file in $edited; do
    mkdir -p "$(dirname "$saved/after/$file")"
    copy_file "$(behind "$file")" "$saved/after/$file"
  done
  bundle_state >"$saved/bundle"
  end_change
  say "$host is set up: $active"
}

undo_host() {
  if [ ! -d "$saved/before" ]; then
    remove_monitor
    say "nothing to undo on $host: no configuration was saved in $saved"
    outcome unchanged
    return
  fi
  begin_change
  make_new undo
  edited=$(backwards)
  replace_files
  resume_or_fail
  end_change
  rm -rf "$saved"
  # The key belongs to root again.
  chown 0:0 "$folder"
  chmod 700 "$folder"
  if [ -f "$folder/$chain" ]; then chown 0:0 "$folder/$chain" && chmod 600 "$folder/$chain"; fi
  remove_monitor
  say "$host is as it was before; its key and certificates are still there: rm -r $folder"
}
