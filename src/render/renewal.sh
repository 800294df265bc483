# shellcheck shell=sh
# Renews what is due, installs it and checks it, on the machine that relaycerts runs on. It prints nothing if all is
# well, so that cron sends a mail only otherwise; with the word `mail` it sends the mail itself, for systemd, whose
# journal gets it if no mail can be sent. Only one runs at a time.

: "${domain:?}" "${folder:?}"

umask 077
LC_ALL=C
PATH=$HOME/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

exec 9>"$folder/renewal.lock"
flock -n 9 || exit 0

# If a person is needed (a card, the password of a key), this fails a month before anything expires. What could be
# renewed is installed even if something else could not. status says what to do, and knows what check cannot see, such
# as a container with an older certificate.
work() {
  relaycerts_here --wait 600 renew --due
  renewed=$?
  relaycerts_here --wait 600 deploy --yes && relaycerts_here check
  installed=$?
  relaycerts_here status --due && [ "$renewed$installed" = 00 ]
}

if said=$(work 2>&1); then
  exit 0
fi
if [ "${1-}" = mail ]; then
  printf 'Subject: relaycerts: the certificates of %s need attention\n\n%s\n' "$domain" "$said" |
    "$(command -v sendmail || echo /usr/sbin/sendmail)" "$(id -un)" ||
    printf '%s\n' "$said"
else
  printf '%s\n' "$said"
fi
exit 1
