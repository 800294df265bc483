# shellcheck shell=sh
# What home-program.sh needs for msmtp: our own account in the system's msmtprc becomes the default.

: "${folder:?}" "${chain:?}" "${user:?}"

program_release() { msmtp --version 2>/dev/null | sed -n 's/^msmtp version \([0-9]*\.[0-9]*\).*/\1/p'; }

check_program() {
  profile=usr.bin.msmtp
  if grep -q '^msmtp (enforce)' /sys/kernel/security/apparmor/profiles 2>/dev/null &&
    ! grep -qF "$folder/" "/etc/apparmor.d/local/$profile" 2>/dev/null; then
    fail "AppArmor keeps msmtp from reading $folder" \
      "echo '$folder/* r,' >>/etc/apparmor.d/local/$profile && apparmor_parser -r /etc/apparmor.d/$profile"
  fi
}

apply_program() { :; }

# Asks msmtp itself, as its user, without the file in that user's home folder.
check_applied() {
  found=$(as_user 'HOME=/nonexistent msmtp --pretend --account=relaycerts' 2>&1) || fail "msmtp does not accept its configuration" "$found"
  for line in 'tls = on' 'tls_starttls = on' 'tls_certcheck = on' "tls_key_file = $folder/$chain"; do
    printf '%s\n' "$found" | grep -qxF -e "$line" || fail "msmtp did not take the setting: $line" "msmtp --pretend shows what it has"
  done
}
