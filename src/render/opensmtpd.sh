# shellcheck shell=sh
# What home-program.sh needs for OpenSMTPD: the action that relays goes to our relay, with our certificate.

: "${config_hint:?}"

program_release() { smtpd -h 2>&1 | sed -n 's/.*OpenSMTPD \([0-9]*\.[0-9]*\).*/\1/p'; }

check_program() {
  file=/etc/smtpd.conf
  actions=$(sed '/^# relaycerts: begin$/,/^# relaycerts: end$/d; s/^#relaycerts# //' "$file" |
    grep -E '^[[:blank:]]*action[[:blank:]]+[^[:blank:]]+[[:blank:]]+relay') || :
  # One line, without a continuation.
  case $actions in
    *'
'* | *\\) actions= ;;
  esac
  printf '%s\n' "$actions" | grep -qE '^[[:blank:]]*action[[:blank:]]+"?relay"?[[:blank:]]' ||
    fail "$file does not have one action \"relay\" relay, in one line, and no other one that relays" "add the lines yourself: $config_hint"
}

apply_program() {
  messages=$(smtpd -n 2>&1) || {
    printf '%s\n' "$messages" >&2
    return 1
  }
}

check_applied() { :; }
