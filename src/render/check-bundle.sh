# shellcheck shell=sh
# The functions of install.sh that check a bundle before anything changes: files, owners, modes, pairs, the chain to the
# CA. They correct owners and modes, and build the chain file for a key that was made on the host.

: "${host:?}" "${folder:?}" "${bundle:?}" "${chain:?}" "${key:?}" "${certificate:?}" "${ca:?}" "${bundle_files:?}" "${purpose:?}"
: "${copy_hint:?}" "${pair_hint:?}" "${request_hint?}"

# The owner of the folder and of the chain, which has the key, for chown and chmod; home-program.sh sets others.
folder_owner=0:0
folder_mode=700
chain_owner=0:0
chain_mode=600

# The bundle's file $1 exists, is not a link, and has mode $2 and owner $3, by default root. The owner is set first, so
# that a mode that opens the file opens it to the right group.
own_file() {
  if [ -L "$bundle/$1" ] || [ ! -f "$bundle/$1" ]; then
    fail "$bundle/$1 is missing, or is not a regular file" "copy the bundle first: $copy_hint"
  fi
  chown "${3:-0:0}" "$bundle/$1"
  chmod "$2" "$bundle/$1"
  [ -s "$bundle/$1" ] || fail "$bundle/$1 is empty" "copy the bundle again: $copy_hint"
}

# openssl x509 without the system's store: loading that takes most of its time.
read_certificate() { SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl x509 "$@"; }

# The key in file $1 matches the certificate in file $2.
check_pair() {
  public=$(openssl pkey -in "$bundle/$1" -passin pass: -pubout 2>/dev/null) ||
    fail "openssl cannot read the key in $bundle/$1" "$pair_hint"
  certified=$(read_certificate -in "$bundle/$2" -noout -pubkey 2>/dev/null) ||
    fail "openssl cannot read the certificate in $bundle/$2" "copy the bundle again: $copy_hint"
  [ "$public" = "$certified" ] ||
    fail "the key in $bundle/$1 does not belong to the certificate in $bundle/$2" "$pair_hint"
}

# For a key that was made on this host and never left it: the chain is built here, and replaced only by a complete one.
build_chain() {
  [ -f "$bundle/$key" ] ||
    fail "$bundle/$key is missing: $host makes its own key" "make it and its request first: $request_hint"
  own_file "$key" 600
  own_file "$certificate" 644
  check_pair "$key" "$certificate"
  rm -f "$bundle/$chain.new"
  cat "$bundle/$key" "$bundle/$certificate" >"$bundle/$chain.new"
  chown "$chain_owner" "$bundle/$chain.new"
  chmod "$chain_mode" "$bundle/$chain.new"
  if [ ! -L "$bundle/$chain" ] && cmp -s "$bundle/$chain.new" "$bundle/$chain"; then
    rm -f "$bundle/$chain.new"
  else
    mv -f "$bundle/$chain.new" "$bundle/$chain"
  fi
}

check_bundle() {
  [ -d "$folder" ] || fail "the folder $folder is missing" "copy the bundle first: $copy_hint"
  for other in "$folder"/*-ca.crt.pem; do
    if [ -e "$other" ] && [ "$other" != "$folder/$ca" ]; then
      fail "$folder holds the CA of another domain: $other" \
        "give each domain its own postfix.directory and copy both bundles again; if that domain is gone: rm $other"
    fi
  done
  chown "$folder_owner" "$folder" "$bundle"
  chmod "$folder_mode" "$folder" "$bundle"
  [ -z "$request_hint" ] || build_chain
  own_file "$chain" "$chain_mode" "$chain_owner"
  own_file "$key" 600
  own_file "$certificate" 644
  own_file "$ca" 644
  # Postfix wants the key first; openssl accepts any order.
  sed -n '/-----BEGIN/{p;q;}' "$bundle/$chain" | grep -q 'PRIVATE KEY' ||
    fail "$bundle/$chain does not begin with the key" "copy the bundle again: $copy_hint"
  check_pair "$chain" "$chain"
  in_chain=$certified
  check_pair "$key" "$certificate"
  [ "$public" = "$in_chain" ] || fail "the key in $bundle/$key does not belong to the certificate in $bundle/$chain" "$pair_hint"
  read_certificate -in "$bundle/$chain" -noout -checkend 0 >/dev/null 2>&1 ||
    fail "the certificate in $bundle/$chain has expired" "renew it where relaycerts runs, then copy the bundle: $copy_hint" expired
  # Without the system's store, which would let any public CA pass.
  for one in $purpose; do
    SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl verify -CAfile "$bundle/$ca" -purpose "$one" \
      -verify_hostname "$host" "$bundle/$certificate" >/dev/null 2>&1 ||
      fail "$bundle/$ca did not issue $bundle/$certificate for $host and this purpose, or the clock is wrong" \
        "check date -u, then copy the whole bundle again: $copy_hint"
  done
}

# Changes if the bundle has changed since the last run. Only a reload depends on it. A file that was different
# meanwhile, and may have been read then, has another inode or time.
# shellcheck disable=SC2086,SC2012 # several names, none with white space
bundle_state() { (cd "$bundle" && cksum $bundle_files && ls -lin $bundle_files | awk '{ print $1, $7, $8, $9 }'); }
