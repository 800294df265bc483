# shellcheck shell=sh
# Names each certificate file of a mail host that has a certificate about to expire within $days, or that cannot be
# read; silent otherwise. It prints, for cron; with the word `mail` it mails that to root, for systemd. It needs only
# openssl.

: "${host:?}" "${domain:?}" "${days:?}" "${certificate:?}" "${ca:?}"

# Each certificate of file $1, because openssl x509 reads only the first: during a CA rekey, the CA file has two. A file
# without a certificate fails too.
is_good() (
  good=1
  while read -r line; do
    {
      echo "$line"
      while read -r line; do
        echo "$line"
        case $line in *END*) break ;; esac
      done
    } | SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl x509 -noout -checkend "$((days * 86400))" >/dev/null || exit 1
    good=0
  done <"$1"
  exit "$good"
)

check() {
  is_good "$2" || echo "relaycerts: the $1 expires within $days days, or cannot be read: $2"
}

check_all() {
  check "certificate of $host" "$certificate"
  check "CA of $domain" "$ca"
}

if [ "${1-}" = mail ]; then
  warnings=$(check_all 2>&1)
  [ -z "$warnings" ] ||
    printf 'Subject: relaycerts: certificates of %s expire\n\n%s\n' "$host" "$warnings" | /usr/sbin/sendmail root
else
  check_all
fi
