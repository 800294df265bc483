# shellcheck shell=sh
# Installs the configuration of a mail host, or undoes it; the result is the same however often it runs. script.ts
# prints the values that are checked below, this file, the functions of the host's role (smtp-client.sh or
# smtpd-server.sh) and a call of install_host or undo_host, all in one pair of braces: a script cut short runs nothing.
# Everything is checked before anything changes. If a later step fails, the saved file goes back. The bundle itself is
# copied beforehand, and stays on the host after undo.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

: "${host:?}" "${folder:?}" "${edited:?}" "${cron:?}" "${oldest:?}" "${active:?}"
: "${chain:?}" "${key:?}" "${certificate:?}" "${ca:?}" "${bundle_files:?}" "${purpose:?}"
: "${copy_hint:?}" "${pair_hint:?}" "${request_hint?}" "${root_hint:?}" "${check_hint:?}"

saved=$folder/saved
changing=no
first_run=no
was_running=no

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
  config=$(postconf -h config_directory)
  # If main.cf or master.cf is a link, the file behind it is edited.
  target=$(readlink -f "$config/$edited" 2>/dev/null) || target=$config/$edited
}

# True if this Postfix is release $1 (3.10) or later.
at_least() {
  [ "${release%.*}" -gt "${1%.*}" ] || { [ "${release%.*}" -eq "${1%.*}" ] && [ "${release#*.}" -ge "${1#*.}" ]; }
}

# The settings that this Postfix knows, name=value, one per line.
settings() {
  all_settings | while IFS=' ' read -r since setting; do
    if at_least "$since"; then printf '%s\n' "$setting"; fi
  done
}

# Errors go to stderr or to the log. On stdout, Debian's 3.9 and later lists each file that it copies into the chroot.
check_postfix() { postfix check >/dev/null; }

check_tools() {
  find_postfix
  command -v openssl >/dev/null 2>&1 || fail "openssl is not installed on $host" "install it: apt-get install openssl"
  at_least "$oldest" || fail "Postfix $release is too old: $oldest or later is needed" "upgrade Postfix"
  check_postfix || fail "postfix check finds an error in $config as it is now; nothing was changed" "$check_hint"
}

# The bundle's file $1 is there, is not a link, belongs to root and has mode $2.
own_file() {
  if [ -L "$folder/$1" ] || [ ! -f "$folder/$1" ]; then
    fail "$folder/$1 is missing, or is not a regular file" "copy the bundle first: $copy_hint"
  fi
  chown 0:0 "$folder/$1"
  chmod "$2" "$folder/$1"
  [ -s "$folder/$1" ] || fail "$folder/$1 is empty" "copy the bundle again: $copy_hint"
}

# The key in file $1 belongs to the certificate in file $2.
check_pair() {
  public=$(openssl pkey -in "$folder/$1" -passin pass: -pubout 2>/dev/null) ||
    fail "openssl cannot read the key in $folder/$1" "$pair_hint"
  certified=$(openssl x509 -in "$folder/$2" -noout -pubkey 2>/dev/null) ||
    fail "openssl cannot read the certificate in $folder/$2" "copy the bundle again: $copy_hint"
  [ "$public" = "$certified" ] ||
    fail "the key in $folder/$1 does not belong to the certificate in $folder/$2" "$pair_hint"
}

# For a key that was made on this host and never left it: the chain is built here, and replaced only by a whole one.
build_chain() {
  [ -f "$folder/$key" ] ||
    fail "$folder/$key is missing: $host makes its own key" "make it and its request first: $request_hint"
  own_file "$key" 600
  own_file "$certificate" 644
  check_pair "$key" "$certificate"
  rm -f "$folder/$chain.new"
  cat "$folder/$key" "$folder/$certificate" >"$folder/$chain.new"
  if [ ! -L "$folder/$chain" ] && cmp -s "$folder/$chain.new" "$folder/$chain"; then
    rm -f "$folder/$chain.new"
  else
    mv -f "$folder/$chain.new" "$folder/$chain"
  fi
}

check_bundle() {
  if [ -L "$folder" ] || [ ! -d "$folder" ]; then
    fail "the folder $folder is missing, or is a link" "copy the bundle first: $copy_hint"
  fi
  for other in "$folder"/*-ca.crt.pem; do
    if [ -e "$other" ] && [ "$other" != "$folder/$ca" ]; then
      fail "$folder holds the CA of another domain: $other" \
        "give each domain its own postfix.directory and copy both bundles again; if that domain is gone: rm $other"
    fi
  done
  chown 0:0 "$folder"
  chmod 700 "$folder"
  [ -z "$request_hint" ] || build_chain
  own_file "$chain" 600
  own_file "$key" 600
  own_file "$certificate" 644
  own_file "$ca" 644
  # Postfix wants the key first; openssl does not mind the order.
  sed -n '/-----BEGIN/{p;q;}' "$folder/$chain" | grep -q 'PRIVATE KEY' ||
    fail "$folder/$chain does not begin with the key" "copy the bundle again: $copy_hint"
  check_pair "$chain" "$chain"
  check_pair "$key" "$certificate"
  check_pair "$key" "$chain"
  openssl x509 -in "$folder/$chain" -noout -checkend 0 >/dev/null 2>&1 ||
    fail "the certificate in $folder/$chain has expired" "renew it where relaycerts runs, then copy the bundle: $copy_hint"
  # Without the system's store, in which any public CA would do.
  SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl verify -CAfile "$folder/$ca" -purpose "$purpose" \
    -verify_hostname "$host" "$folder/$certificate" >/dev/null 2>&1 ||
    fail "$folder/$ca did not issue $folder/$certificate for $host and this purpose, or the clock is wrong" \
      "check date -u, then copy the whole bundle again: $copy_hint"
}

# Shows whether the bundle changed since the last run. Only a reload depends on it.
# shellcheck disable=SC2086 # several names, none with white space
bundle_state() { (cd "$folder" && cksum $bundle_files); }

copy_file() {
  cp -p "$1" "$2.relaycerts"
  mv -f "$2.relaycerts" "$2"
}

# In $saved: before, the configuration before the first run; after, $edited as our last run left it; now, $edited before
# this run; settings, what our last run set; edited, there if somebody else changed $edited, so that undo goes setting by
# setting; bundle, the bundle as Postfix last read it.
save_configuration() {
  mkdir -p "$saved"
  chown 0:0 "$saved"
  chmod 700 "$saved"
  if [ ! -d "$saved/before" ]; then
    rm -rf "$saved/before.part"
    mkdir "$saved/before.part"
    cp -p "$config/main.cf" "$config/master.cf" "$saved/before.part/"
    mv "$saved/before.part" "$saved/before"
    first_run=yes
  elif [ ! -f "$saved/after" ] || ! cmp -s "$saved/after" "$target"; then
    : >"$saved/edited"
  fi
  copy_file "$target" "$saved/now"
}

# Calls $1 with a folder that holds a copy of the configuration, then moves the result into place. So nobody reads half a
# file, and owner and mode stay, which postconf would not keep.
edit_configuration() {
  rm -rf "$saved/new"
  mkdir "$saved/new"
  cp -p "$config/main.cf" "$config/master.cf" "$saved/new/"
  "$1" "$saved/new"
  cp -p "$target" "$target.relaycerts"
  cat "$saved/new/$edited" >"$target.relaycerts"
  mv -f "$target.relaycerts" "$target"
  rm -rf "$saved/new"
}

is_running() { postfix status >/dev/null 2>&1; }

note_running() { ! is_running || was_running=yes; }

# Restores the configuration from before this run, on every exit but the good one.
put_back() {
  status=$?
  trap - EXIT
  # A second signal must not stop this halfway. Unlike an ignored signal, a trap is not passed on to Postfix.
  trap : HUP INT PIPE TERM
  if [ "$changing" = yes ]; then
    copy_file "$saved/now" "$target"
    rm -rf "$saved/new"
    [ "$first_run" = no ] || rm -rf "$saved"
    if [ "$was_running" = yes ]; then
      if is_running; then postfix reload; else postfix start; fi >/dev/null 2>&1 || :
    fi
    printf 'relaycerts: error: it failed; %s is as it was before\n' "$config/$edited" >&2
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
  rm -f "$saved/now"
}

check_and_reload() {
  check_postfix || fail "postfix check found an error in $config" "$check_hint"
  if [ "$was_running" = yes ]; then
    postfix reload >/dev/null 2>&1 || fail "postfix reload failed" "the mail log says why"
    sleep 1
    is_running || fail "Postfix stopped at the reload" "the mail log says why"
  else
    warn "Postfix is not running on $host; start it: postfix start"
  fi
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
  save_configuration
  begin_change
  prepare_tables
  edit_configuration change_configuration
  # postconf accepts a misspelt name without an error.
  configuration_is_right || fail "postconf did not take every setting" "its messages are above"
  check_and_reload
  [ "$was_running" = no ] || check_active
  [ -f "$saved/edited" ] || copy_file "$target" "$saved/after"
  settings >"$saved/settings"
  bundle_state >"$saved/bundle"
  end_change
  say "$host is set up: $active"
}

undo_host() {
  find_postfix
  if [ ! -f "$saved/before/$edited" ]; then
    say "nothing to undo on $host: no configuration was saved in $saved"
    return
  fi
  copy_file "$target" "$saved/now"
  begin_change
  if [ ! -f "$saved/edited" ] && [ -f "$saved/after" ] && cmp -s "$saved/after" "$target"; then
    copy_file "$saved/before/$edited" "$target"
  else
    edit_configuration undo_settings
  fi
  check_and_reload
  end_change
  rm -rf "$saved"
  if [ -f "$cron" ] && grep -qx "# relaycerts: the certificates of $host" "$cron"; then rm -f "$cron"; fi
  say "$host is as it was before; its key and certificates are still there: rm -r $folder"
}
