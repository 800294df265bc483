# shellcheck shell=sh
# The part of install.sh for a relay's port 25: postscreen in front of it, SPF and SRS. Restrictions, block lists and
# tables are settings and tokens of main.cf, which edit-configuration.sh sets. It is in the script of every relay, with
# empty values if the settings do not ask, so that what they no longer ask for goes.

: "${host:?}" "${folder:?}" "${saved:?}" "${config=}" "${log_hint:?}"
: "${postscreen?}" "${spf?}" "${srs_excluded?}" "${secret_lists?}" "${port25_files?}"

srs_file=/etc/default/postsrsd
srs_begin='# relaycerts: begin'
srs_end='# relaycerts: end'
# postsrsd's settings were edited in this run; the old ones are in $saved/postsrsd.old until the end.
srs_changed=no

check_port25() {
  for file in $secret_lists; do own_file "$file" 600; done
  if [ -n "$port25_files" ] && [ "$config" != /etc/postfix ]; then
    fail "Postfix on $host has its configuration in $config; port 25 is set up only in /etc/postfix; nothing was changed" \
      "remove relayPort25.spf and relayPort25.srs from the settings"
  fi
  ! all_tokens | grep -q '^smtpd_recipient_restrictions last relaycerts_[0-9]*_port25$' || check_restrictions
  [ "$spf" = off ] || check_spf
  [ -z "$srs_excluded" ] || check_srs
  [ "$postscreen" = no ] || check_postscreen
}

# With restrictions of its own, port 25 would not read those of main.cf.
check_restrictions() {
  found=$(overrides_of_port25 smtpd_recipient_restrictions | sed -n 1p)
  [ -z "$found" ] ||
    fail "master.cf on $host overrides smtpd_recipient_restrictions, so port 25 would ignore relayPort25: $found; nothing was changed" \
      'move its value to main.cf'
}

# The overrides of the parameter $1 in the services that accept mail from the Internet.
overrides_of_port25() {
  for id in smtp/inet 25/inet smtpd/pass; do postconf -P "$id/$1" 2>/dev/null || :; done
}

check_spf() {
  { [ -x /usr/bin/policyd-spf ] && id policyd-spf >/dev/null 2>&1; } ||
    fail "policyd-spf is not installed on $host, which needs it to check SPF; nothing was changed" \
      "$(how_to_get postfix-policyd-spf-python)"
}

check_srs() {
  { [ -x /usr/sbin/postsrsd ] && [ -f "$srs_file" ]; } ||
    fail "postsrsd 1 is not installed on $host, which needs it to rewrite senders; nothing was changed" \
      "$(how_to_get postsrsd)"
  for type in tcp regexp pipemap; do
    postconf -m | grep -qx "$type" || fail "this Postfix has no map type $type, which SRS needs" \
      "remove relayPort25.srs from the settings"
  done
  for name in mydestination relay_domains virtual_alias_domains virtual_mailbox_domains; do
    ! lists_domain "$name" "$host" || return 0
  done
  fail "$host accepts no mail for its own name, so bounces to rewritten senders would be refused; nothing was changed" \
    "add it to mydestination: postconf -e \"mydestination = \$(postconf -h mydestination), $host\""
}

check_postscreen() {
  [ -n "$(postconf -M smtp/inet 2>/dev/null)" ] ||
    fail "master.cf has no service smtp inet for postscreen to take over; nothing was changed" \
      "name it smtp there, or remove relayPort25.postscreen from the settings"
  cache=$(value_of postscreen_cache_map)
  [ -z "$cache" ] || postconf -m | grep -qx "${cache%%:*}" ||
    fail "this Postfix has no map type ${cache%%:*}, which postscreen_cache_map names; nothing was changed" \
      "set it to a type that is there, for example: postconf -e 'postscreen_cache_map = lmdb:\$data_directory/postscreen_cache'"
  value=$(value_of postscreen_dnsbl_threshold)
  [ "$value" = 1 ] || warn "postscreen_dnsbl_threshold = $value: each list of relayPort25.dnsbl counts 1"
}

# The daemon of service $2 in the configuration in folder $1.
daemon_of() { postconf -c "$1" -M "$2" 2>/dev/null | awk '{ print $8 }'; }

# The arguments of that service, on one line.
arguments_of() { postconf -c "$1" -M "$2" 2>/dev/null | tr -s '[:space:]' ' ' | cut -d ' ' -f 9-; }

left_port25() {
  { [ "$postscreen" = no ] && [ -f "$saved/postscreen" ]; } || { [ -z "$srs_excluded" ] && [ -n "$(has_srs_lines)" ]; }
}

postscreen_is_right() {
  [ "$postscreen" = yes ] || return 0
  [ "$(daemon_of "$config" smtp/inet)" = postscreen ] && [ -n "$(daemon_of "$config" smtpd/pass)" ] &&
    [ -n "$(daemon_of "$config" dnsblog/unix)" ] && [ -n "$(daemon_of "$config" tlsproxy/unix)" ]
}

# In the copy in folder $1, postscreen takes port 25, and hands good clients to an smtpd with the options that smtp had.
set_postscreen() {
  [ "$postscreen" = yes ] || return 0
  chroot=$(postconf -c "$1" -M smtp/inet | awk '{ print $5 }')
  if [ "$(daemon_of "$1" smtp/inet)" != postscreen ]; then
    postconf -c "$1" -M "smtpd/pass=smtpd pass - - $chroot - - smtpd $(arguments_of "$1" smtp/inet)"
    postconf -c "$1" -M "smtp/inet=smtp inet n - $chroot - 1 postscreen"
  fi
  [ -n "$(daemon_of "$1" smtpd/pass)" ] || postconf -c "$1" -M "smtpd/pass=smtpd pass - - $chroot - - smtpd"
  for name in dnsblog tlsproxy; do
    [ -n "$(daemon_of "$1" "$name/unix")" ] || postconf -c "$1" -M "$name/unix=$name unix - - $chroot - 0 $name"
  done
}

# In the copy in folder $1, edited since: the smtpd gets port 25 back, with the options that it has now.
undo_postscreen() {
  [ -f "$saved/postscreen" ] || return 0
  if [ "$(daemon_of "$1" smtp/inet)" = postscreen ] && [ "$(daemon_of "$saved/before" smtp/inet)" = smtpd ]; then
    line=$(postconf -c "$saved/before" -M smtp/inet | tr -s '[:space:]' ' ' | cut -d ' ' -f -8)
    postconf -c "$1" -M "smtp/inet=$line $(arguments_of "$1" smtpd/pass)"
  fi
  for id in smtpd/pass dnsblog/unix tlsproxy/unix; do
    [ -n "$(daemon_of "$saved/before" "$id")" ] || postconf -c "$1" -MX "$id"
  done
}

# Our lines for postsrsd, which reads its file as shell.
srs_lines() {
  printf '%s\n' "$srs_begin" "SRS_DOMAIN=$host" "SRS_EXCLUDE_DOMAINS=$srs_excluded" "$srs_end"
}

has_srs_lines() { sed -n "/^$srs_begin\$/,/^$srs_end\$/p" "$srs_file" 2>/dev/null; }

# postsrsd answers, rewrites to this host, and leaves our own senders alone.
srs_works() {
  case $(postmap -q someone@relaycerts.invalid tcp:127.0.0.1:10001 2>/dev/null) in
    SRS0*"@$host") ;;
    *) return 1 ;;
  esac
  ! postmap -q "someone@${srs_excluded%%,*}" tcp:127.0.0.1:10001 >/dev/null 2>&1
}

srs_is_right() { [ -z "$srs_excluded" ] || { [ "$(has_srs_lines)" = "$(srs_lines)" ] && srs_works; }; }

is_right_port25() { postscreen_is_right && srs_is_right; }

# The restart of an init script does not wait until the old process has ended, and then starts none.
restart_srs() {
  service postsrsd restart </dev/null >/dev/null 2>&1 3<&- || return 1
  sleep 1
  service postsrsd start </dev/null >/dev/null 2>&1 3<&-
}

# Writes stdin to postsrsd's file, in place, so that owner and mode stay.
write_srs() {
  cp -p "$srs_file" "$srs_file.relaycerts"
  cat >"$srs_file.relaycerts"
  mv -f "$srs_file.relaycerts" "$srs_file"
}

prepare_port25() {
  if [ -z "$srs_excluded" ]; then [ -n "$(has_srs_lines)" ] || return 0; else ! srs_is_right || return 0; fi
  mkdir -p "$saved"
  cp -p "$srs_file" "$saved/postsrsd.old"
  srs_changed=yes
  if [ -z "$srs_excluded" ]; then
    undo_port25
    return
  fi
  if [ -z "$(has_srs_lines)" ]; then cp -p "$srs_file" "$saved/postsrsd.before"; fi
  { sed "/^$srs_begin\$/,/^$srs_end\$/d" "$saved/postsrsd.old" | awk 1 && srs_lines; } | write_srs
  restart_srs || fail "postsrsd does not start" "$log_hint"
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    ! srs_works || {
      cp -p "$srs_file" "$saved/postsrsd.after"
      return 0
    }
    sleep 1
  done
  fail "postsrsd does not answer on 127.0.0.1, ports 10001 and 10002, or not for $host" \
    "see SRS_FORWARD_PORT, SRS_REVERSE_PORT and SRS_DOMAIN in $srs_file"
}

put_back_port25() {
  [ "$srs_changed" = yes ] || return 0
  write_srs <"$saved/postsrsd.old"
  restart_srs
  rm -f "$saved/postsrsd.old"
}

keep_port25() {
  rm -f "$saved/postsrsd.old"
  if [ "$postscreen" = yes ]; then : >"$saved/postscreen"; else rm -f "$saved/postscreen"; fi
}

# postsrsd's file as it was before: byte for byte if nobody has edited it since.
undo_port25() {
  [ -n "$(has_srs_lines)" ] || return 0
  mkdir -p "$saved"
  if [ ! -f "$saved/postsrsd.before" ] || ! cmp -s "$saved/postsrsd.after" "$srs_file"; then
    sed "/^$srs_begin\$/,/^$srs_end\$/d" "$srs_file" >"$saved/postsrsd.before"
  fi
  write_srs <"$saved/postsrsd.before"
  restart_srs || warn "postsrsd does not start: service postsrsd restart"
  rm -f "$saved/postsrsd.before" "$saved/postsrsd.after"
}

# What of it does not work, each by the id of its finding.
probe_port25() {
  section port25-parts
  {
    postscreen_is_right || echo postscreen-differs
    if [ -n "$srs_excluded" ]; then
      if [ "$(has_srs_lines)" != "$(srs_lines)" ]; then echo srs-differs; elif ! srs_works; then echo srs-down; fi
    fi
    if [ "$spf" != off ] && { [ ! -x /usr/bin/policyd-spf ] || ! id policyd-spf >/dev/null 2>&1; }; then echo policyd-spf-missing; fi
  } | lines
}
