# shellcheck shell=sh
# What a check reads on a host with any role and mail program: it runs instead of install_host, after the same values
# and functions, and calls none of those that write. It judges nothing. It prints sections: a line "@name words", then
# lines that begin with a space; "@end" is last.

: "${host:?}" "${folder:?}" "${chain:?}" "${key:?}" "${certificate:?}" "${ca:?}" "${bundle_files:?}" "${request_hint?}"
: "${folder_owner:?}" "${folder_mode:?}" "${chain_owner:?}" "${chain_mode:?}" "${user=}"
: "${relay_names?}" "${mail_domain?}"

# The lines of a section, from stdin: at most 2000.
lines() { sed 's/^/ /; 2000q'; }

# The SHA-256 of stdin.
digest() { if command -v sha256sum >/dev/null 2>&1; then sha256sum | sed 's/ .*//'; else openssl dgst -sha256 | sed 's/.*= *//'; fi; }

# The file $1, which should have owner $2 and mode $3: both, as names and as numbers; its type and mode; its digest.
probe_file() {
  section file "$1" "$2" "$3"
  [ -e "$1" ] || [ -L "$1" ] || return 0
  {
    # stat(1) has other options on each system.
    # shellcheck disable=SC2012
    ls -ld "$1" | awk '{ print "names", $3 ":" $4 }'
    # shellcheck disable=SC2012
    ls -ldn "$1" | awk '{ print "mode", $1; print "owner", $3 ":" $4 }'
    [ ! -f "$1" ] || printf 'sha256 %s\n' "$(digest <"$1")"
  } | lines
}

# What only the host can see of its chain: that the key is first, is not encrypted, and matches the certificate.
probe_chain() {
  section chain "$folder/$chain"
  [ -f "$folder/$chain" ] || return 0
  {
    printf 'first %s\n' "$(sed -n '/-----BEGIN/{s/-----//g;s/BEGIN //;p;q;}' "$folder/$chain")"
    ! grep -q ENCRYPTED "$folder/$chain" || echo encrypted
    if ! command -v openssl >/dev/null 2>&1; then
      echo unread
      exit
    fi
    public=$(openssl pkey -in "$folder/$chain" -passin pass: -pubout 2>/dev/null </dev/null) || :
    certified=$(read_certificate -in "$folder/$chain" -noout -pubkey -checkend 0 2>/dev/null) || echo expired
    # Its last line is about the end.
    if [ -n "$public" ] && [ "$public" = "${certified%-----*}-----" ]; then echo pair; fi
    printf 'certificate %s\n' "$(read_certificate -in "$folder/$chain" -outform DER 2>/dev/null | digest)"
  } | lines
}

# The SHA-256 of each certificate in the CA file, at most ten.
probe_authorities() {
  section authorities "$folder/$ca"
  [ -f "$folder/$ca" ] || return 0
  at=0
  while [ "$at" -lt 10 ] && [ "$at" -lt "$(grep -c -e '-----BEGIN CERTIFICATE-----' "$folder/$ca")" ]; do
    at=$((at + 1))
    awk -v at="$at" '/-----BEGIN CERTIFICATE-----/ { count++ } count == at' "$folder/$ca" |
      read_certificate -outform DER 2>/dev/null | digest
  done | lines
}

probe_files() {
  section folder "$folder"
  [ -d "$folder" ] || return 0
  open_parents "$folder" | sort -u | lines
  probe_file "$folder" "$folder_owner" "$folder_mode"
  for file in $bundle_files; do
    case $file in
      "$key") probe_file "$folder/$file" 0:0 600 ;;
      "$chain") probe_file "$folder/$file" "$chain_owner" "$chain_mode" ;;
      dnsbl | dnsbl_replies | opendkim.* | *.dkim.key.pem) probe_file "$folder/$file" 0:0 600 ;;
      *) probe_file "$folder/$file" 0:0 644 ;;
    esac
  done
  probe_chain
  probe_authorities
  if [ -f "$folder/relay_clientcerts" ]; then
    section table "$folder/relay_clientcerts"
    awk '!/^#/ { print $1, $2 }' "$folder/relay_clientcerts" | lines
  fi
}

probe_host() {
  # If one part fails, the rest is still read.
  set +e
  section clock "$(date -u +%s)"
  # Programs other than Postfix have a user who reads the key.
  if command -v find_user >/dev/null 2>&1; then
    if id "$user" >/dev/null 2>&1; then find_user; fi
  fi
  probe_files
  for name in $relay_names; do probe_addresses "$name"; done
  if command -v find_postfix >/dev/null 2>&1; then probe_postfix; fi
  if command -v program_release >/dev/null 2>&1; then probe_program; fi
  each_part probe
  section end
}
