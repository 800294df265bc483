// The parts of the host's script that both roles share, as POSIX sh (dash, busybox ash). The whole script stands in one
// pair of braces, so that one whose pipe was cut is a syntax error and runs nothing; nothing reads standard input, which
// may be the script itself.

/** Everything but prepare_chain and what a role sets: the variables at the script's top, check_role, prepare_tables,
 * configuration_is_right, change_configuration, our_settings, check_active and undo_settings. */
export const commonFunctions = `
say() { printf 'relaycerts: %s\\n' "$1"; }

warn() { printf 'relaycerts: warning: %s\\n' "$1" >&2; }

fail() {
  printf 'relaycerts: error: %s\\n' "$1" >&2
  printf 'relaycerts: hint: %s\\n' "$2" >&2
  exit 1
}

# True where this Postfix is release $1.$2 or later.
at_least() {
  # The default is what runs; main.cf may hide it.
  version=$(postconf -dh mail_version)
  major=\${version%%.*}
  minor=\${version#*.}
  minor=\${minor%%[!0-9]*}
  [ "$major" -gt "$1" ] || { [ "$major" -eq "$1" ] && [ "$minor" -ge "$2" ]; }
}

# Debian's, from 3.9 on, names every file that it copies into the chroot on stdout; errors go to stderr or the log.
check_postfix() {
  postfix check </dev/null >/dev/null
}

check_tools() {
  [ "$(id -u)" = 0 ] || fail "this script has to run as root on $host" "$root_hint"
  command -v postconf >/dev/null 2>&1 || fail "Postfix is not installed on $host" "install it: apt-get install postfix"
  command -v openssl >/dev/null 2>&1 || fail "openssl is not installed on $host" "install it: apt-get install openssl"
  at_least "$oldest_major" "$oldest_minor" ||
    fail "Postfix $(postconf -dh mail_version) is too old: $oldest_major.$oldest_minor or later is needed" "upgrade Postfix"
  find_configuration
  check_postfix || fail "postfix check finds an error in $config as it is now; nothing was changed" "$check_hint"
}

# What is changed: the file itself, also where main.cf or master.cf is a link to it.
find_configuration() {
  config=$(postconf -h config_directory)
  target=$(readlink -f "$config/$edited" 2>/dev/null) || target=$config/$edited
}

# A file of the bundle: there, no link, root's alone, mode $2.
own_file() {
  if [ -L "$folder/$1" ] || [ ! -f "$folder/$1" ]; then
    fail "$folder/$1 is missing, or is not a regular file" "copy the bundle first: $copy_hint"
  fi
  chown 0:0 "$folder/$1"
  chmod "$2" "$folder/$1"
  [ -s "$folder/$1" ] || fail "$folder/$1 is empty" "copy the bundle again: $copy_hint"
}

check_bundle() {
  if [ -L "$folder" ] || [ ! -d "$folder" ]; then
    fail "the folder $folder is missing, or is a link" "copy the bundle first: $copy_hint"
  fi
  for other in "$folder"/*-ca.crt.pem; do
    if [ -e "$other" ] && [ "$other" != "$folder/$ca" ]; then
      fail "$folder holds the CA of another domain: $other" \\
        "give each domain a postfix.directory of its own and copy both bundles again; where that domain is gone: rm $other"
    fi
  done
  chown 0:0 "$folder"
  chmod 700 "$folder"
  prepare_chain
  own_file "$chain" 600
  own_file "$key" 600
  own_file "$certificate" 644
  own_file "$ca" 644
  first=$(sed -n '/-----BEGIN/{p;q;}' "$folder/$chain")
  case $first in
    *'PRIVATE KEY'*) ;;
    *) fail "$folder/$chain does not begin with the key" "copy the bundle again: $copy_hint" ;;
  esac
  for file in "$key" "$chain"; do
    public=$(openssl pkey -in "$folder/$file" -passin pass: -pubout 2>/dev/null </dev/null) ||
      fail "openssl cannot read the key in $folder/$file" "copy the bundle again: $copy_hint"
    [ "$file" != "$key" ] || separate=$public
  done
  [ "$public" = "$separate" ] ||
    fail "the keys in $folder/$key and $folder/$chain are not the same" "copy the whole bundle again: $copy_hint"
  for file in "$chain" "$certificate"; do
    named=$(openssl x509 -in "$folder/$file" -noout -pubkey 2>/dev/null </dev/null) ||
      fail "openssl cannot read the certificate in $folder/$file" "copy the bundle again: $copy_hint"
    [ "$public" = "$named" ] ||
      fail "the key in $folder/$chain does not belong to the certificate in $folder/$file" "copy the whole bundle again: $copy_hint"
  done
  openssl x509 -in "$folder/$chain" -noout -checkend 0 >/dev/null 2>&1 </dev/null ||
    fail "the certificate in $folder/$chain has expired" "make a new one where relaycerts runs, and copy the bundle again: $copy_hint"
  # With the system's store any public CA could vouch here.
  SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl verify -CAfile "$folder/$ca" -purpose "$purpose" \\
    -verify_hostname "$host" "$folder/$certificate" >/dev/null 2>&1 </dev/null ||
    fail "the certificate $folder/$certificate is not one of the CA $folder/$ca for $host and this purpose, or the clock is wrong" \\
      "look at date -u, then copy the whole bundle again: $copy_hint"
}

# What tells whether the bundle changed since the last run; nothing rests on it but a reload.
# shellcheck disable=SC2086 # file names of ours, without white space
bundle_state() { (cd "$folder" && cksum $bundle_files); }

copy_file() {
  cp -p "$1" "$2.relaycerts"
  mv -f "$2.relaycerts" "$2"
}

# saved/before: the configuration as it was before the first run; saved/after: as our last run left it; saved/now: as
# it was before this run; saved/settings: what our last run set; saved/edited: somebody else changed $edited since, so
# that undo goes setting by setting.
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

# postconf edits a copy (the function $1 gets its folder), which then takes the file's place at once: nobody ever
# reads half of it, and the owner and mode stay, which postconf itself would not keep.
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

# On any way out but the good one: the configuration of before this run.
put_back() {
  status=$?
  trap - EXIT
  # A second signal does not stop it halfway; a handler, unlike an ignored signal, is not handed on to Postfix.
  trap : HUP INT PIPE TERM
  if [ "$changing" = yes ]; then
    copy_file "$saved/now" "$target"
    rm -rf "$saved/new"
    [ "$first_run" = no ] || rm -rf "$saved"
    if [ "$was_running" = yes ]; then
      if postfix status >/dev/null 2>&1 </dev/null; then
        postfix reload >/dev/null 2>&1 </dev/null || :
      else
        postfix start >/dev/null 2>&1 </dev/null || :
      fi
    fi
    printf 'relaycerts: error: it failed; %s is as it was before\\n' "$config/$edited" >&2
    [ "$status" -ne 0 ] || status=1
  fi
  exit "$status"
}

begin_change() {
  was_running=no
  if postfix status >/dev/null 2>&1 </dev/null; then was_running=yes; fi
  trap put_back EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  # Nobody reads what it says any more: the connection is gone.
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
    postfix reload </dev/null >/dev/null 2>&1 || fail "postfix reload failed" "look at the mail log: it says why"
    sleep 1
    postfix status >/dev/null 2>&1 </dev/null || fail "Postfix stopped at the reload" "look at the mail log: it says why"
  else
    warn "Postfix is not running on $host; start it: postfix start"
  fi
}

# After this, a run that changes nothing leaves everything as it is.
remember() {
  [ -f "$saved/edited" ] || copy_file "$target" "$saved/after"
  our_settings >"$saved/settings"
  bundle_state >"$saved/bundle"
}

bundle_changed() {
  [ ! -f "$saved/bundle" ] || [ "$(cat "$saved/bundle")" != "$(bundle_state)" ]
}

install_all() {
  check_tools
  check_bundle
  check_role
  if configuration_is_right && [ -f "$saved/bundle" ]; then
    if ! bundle_changed; then
      say "nothing to change on $host: $active"
      return
    fi
    prepare_tables
    was_running=no
    if postfix status >/dev/null 2>&1 </dev/null; then was_running=yes; fi
    check_and_reload
    bundle_state >"$saved/bundle"
    say "Postfix on $host took up the new bundle: $active"
    return
  fi
  save_configuration
  begin_change
  prepare_tables
  edit_configuration change_configuration
  configuration_is_right || fail "postconf did not take every setting" "look at what it said above"
  check_and_reload
  check_active
  remember
  end_change
  say "$host is set up: $active"
}

# The way back; it leaves the certificates, and says so.
undo_all() {
  [ "$(id -u)" = 0 ] || fail "this script has to run as root on $host" "$root_hint"
  command -v postconf >/dev/null 2>&1 || fail "postconf is not installed on $host" "install it: apt-get install postfix"
  find_configuration
  if [ ! -f "$saved/before/$edited" ]; then
    say "nothing to undo on $host: no configuration was saved in $saved"
    return
  fi
  copy_file "$target" "$saved/now"
  first_run=no
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
`;

/** prepare_chain where the bundle brings key and chain. */
export const bundledChain = `
prepare_chain() { :; }
`;

/** prepare_chain where the key was made on the host. */
export const ownChain = `
# The key was made on this host and stays here, so the chain is put together here; nothing but a whole one replaces it.
prepare_chain() {
  [ -f "$folder/$key" ] || fail "$folder/$key is missing: $host makes its own key" "make it and its request first: $request_hint"
  own_file "$key" 600
  own_file "$certificate" 644
  public=$(openssl pkey -in "$folder/$key" -passin pass: -pubout 2>/dev/null </dev/null) ||
    fail "openssl cannot read the key in $folder/$key" "it must be a key in PEM form, without a password"
  named=$(openssl x509 -in "$folder/$certificate" -noout -pubkey 2>/dev/null </dev/null) ||
    fail "openssl cannot read the certificate in $folder/$certificate" "copy the bundle again: $copy_hint"
  [ "$public" = "$named" ] ||
    fail "the key $folder/$key does not belong to the certificate $folder/$certificate" "have a request of this key signed, and copy the bundle again: $request_hint"
  rm -f "$folder/$chain.new"
  cat "$folder/$key" "$folder/$certificate" >"$folder/$chain.new"
  if [ ! -L "$folder/$chain" ] && cmp -s "$folder/$chain.new" "$folder/$chain"; then
    rm -f "$folder/$chain.new"
  else
    mv -f "$folder/$chain.new" "$folder/$chain"
  fi
}
`;
