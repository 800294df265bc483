# shellcheck shell=sh
# Installs the configuration of a mail host, or undoes it; the result is the same however often it runs. script.ts
# prints the values that are checked below, this file, check-bundle.sh, edit-configuration.sh, the functions of the host's
# role (smtp-client.sh or smtpd-server.sh) and a call of install_host or undo_host, all in one pair of braces: a script cut
# short runs nothing.
# Everything is checked before anything changes. If a later step fails, the old files go back. The bundle itself is
# copied beforehand, and stays on the host after undo.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

: "${host:?}" "${folder:?}" "${edited:?}" "${oldest:?}" "${active:?}"
: "${root_hint:?}" "${check_hint:?}"

# In $saved: before, the configuration without ours; after, the files as our last run left them; settings, what our runs
# set in main.cf; bundle, the bundle as Postfix last read it; loaded and overrides, see smtpd-server.sh; new, files in the
# making.
saved=$folder/saved
changing=no
first_run=no
was_running=no
log_hint='the mail log says why'

say() { printf 'relaycerts: %s\n' "$1"; }

warn() { printf 'relaycerts: warning: %s\n' "$1" >&2; }

fail() {
  printf 'relaycerts: error: %s\nrelaycerts: hint: %s\n' "$1" "$2" >&2
  exit 1
}

find_postfix() {
  [ "$(id -u)" = 0 ] || fail "this script has to run as root on $host" "$root_hint"
  command -v postconf >/dev/null 2>&1 || fail "Postfix is not installed on $host" "install it: apt-get install postfix"
  # -d asks the program: main.cf can set mail_version to anything.
  release=$(postconf -dh mail_version | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
  config=$(value_of config_directory)
  twice=$(postconf -n 2>&1 >/dev/null | sed -n 's/.*overriding earlier entry: \([^=]*\)=.*/\1/p' | sort -u | tr '\n' ' ')
  [ -z "$twice" ] || warn "$config/main.cf sets more than once, and the last one counts: $twice"
}

# The value of parameter $1, expanded. find_postfix has said what postconf would repeat each time.
value_of() { postconf -xh "$1" 2>/dev/null; }

# The file behind $config/$1, which may be a link.
behind() { readlink -f "$config/$1" 2>/dev/null || echo "$config/$1"; }

# True if this Postfix is release $1 (3.10) or later.
at_least() {
  [ "${release%.*}" -gt "${1%.*}" ] || { [ "${release%.*}" -eq "${1%.*}" ] && [ "${release#*.}" -ge "${1#*.}" ]; }
}

# True if this Postfix has parameter $1: some came to older releases too, in a later patch.
knows() { [ -n "$(postconf -d "$1" 2>/dev/null)" ]; }

# The settings that this Postfix knows, name=value, one per line: of main.cf, or of the service $1.
settings_of() {
  all_settings | while IFS=' ' read -r since place setting; do
    [ "$place" = "$1" ] || continue
    if at_least "$since" || knows "${setting%%=*}"; then printf '%s\n' "$setting"; fi
  done
}

# Errors go to stderr or to the log. On stdout, Debian's 3.9 and later lists each file that it copies into the chroot.
check_postfix() {
  messages=$(postfix check 2>&1 >/dev/null) && result=0 || result=$?
  printf '%s\n' "$messages" | sed '/^$/d; /overriding earlier entry/d' >&2
  return "$result"
}

check_tools() {
  find_postfix
  command -v openssl >/dev/null 2>&1 || fail "openssl is not installed on $host" "install it: apt-get install openssl"
  at_least "$oldest" || fail "Postfix $release is too old: $oldest or later is needed" "upgrade Postfix"
  check_postfix || fail "postfix check finds an error in $config as it is now; nothing was changed" "$check_hint"
}

is_running() { postfix status >/dev/null 2>&1; }

note_running() { ! is_running || was_running=yes; }

# Restores the configuration from before this run, on every exit but the good one.
put_back() {
  status=$?
  trap - EXIT
  set +e
  # A second signal must not stop this halfway. Unlike an ignored signal, a trap is not passed on to Postfix.
  trap : HUP INT PIPE TERM
  if [ "$changing" = yes ]; then
    outcome="it failed; the configuration of $host is as it was before"
    for file in $edited; do
      target=$(behind "$file")
      rm -f "$target.relaycerts"
      [ ! -e "$target.relaycerts-old" ] || mv -f "$target.relaycerts-old" "$target" ||
        outcome="it failed; $target could not be put back: mv $target.relaycerts-old $target"
    done
    rm -rf "$saved/new"
    [ "$first_run" = no ] || rm -rf "$saved"
    if [ "$was_running" = yes ]; then
      if is_running; then postfix reload; else postfix start; fi >/dev/null 2>&1
    fi
    printf 'relaycerts: error: %s\n' "$outcome" >&2
    [ "$status" -ne 0 ] || status=1
  fi
  exit "$status"
}

begin_change() {
  note_running
  trap put_back EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  # The connection is gone, so nobody reads the messages.
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
  changing=yes
}

end_change() {
  changing=no
  trap - EXIT HUP INT PIPE TERM
  for file in $edited; do rm -f "$(behind "$file").relaycerts-old"; done
}

check_and_reload() {
  check_postfix || fail "postfix check found an error in $config" "$check_hint"
  if [ "$was_running" = yes ]; then
    postfix reload >/dev/null 2>&1 || fail "postfix reload failed" "$log_hint"
    sleep 1
    is_running || fail "Postfix stopped at the reload" "$log_hint"
  else
    warn "Postfix is not running on $host; start it: postfix start"
  fi
  after_reload
}

install_host() {
  check_tools
  check_bundle
  check_role
  if configuration_is_right && [ -f "$saved/bundle" ]; then
    if [ "$(cat "$saved/bundle")" = "$(bundle_state)" ]; then
      say "nothing to change on $host: $active"
      return
    fi
    prepare_tables
    note_running
    check_and_reload
    bundle_state >"$saved/bundle"
    say "Postfix on $host picked up the new bundle: $active"
    return
  fi
  [ -d "$saved/before" ] || first_run=yes
  begin_change
  save_configuration
  prepare_tables
  change_configuration "$saved/new"
  replace_files
  # postconf accepts a misspelt name without an error.
  configuration_is_right || fail "postconf did not take every setting" "its messages are above"
  check_and_reload
  [ "$was_running" = no ] || check_active
  for file in $edited; do copy_file "$(behind "$file")" "$saved/after/$file"; done
  settings_of main.cf >"$saved/settings"
  bundle_state >"$saved/bundle"
  end_change
  say "$host is set up: $active"
}

undo_host() {
  find_postfix
  if [ ! -d "$saved/before" ]; then
    remove_monitor
    say "nothing to undo on $host: no configuration was saved in $saved"
    return
  fi
  begin_change
  kept=$(copy_without_ours)
  replace_files
  check_and_reload
  end_change
  for name in $kept; do warn "$name was changed since; it stays as it is"; done
  rm -rf "$saved"
  remove_monitor
  say "$host is as it was before; its key and certificates are still there: rm -r $folder"
}
