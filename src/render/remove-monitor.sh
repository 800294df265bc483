# shellcheck shell=sh
# Takes back what warns of expiry, by cron or by systemd: each file goes only if it has our marker.

: "${host:?}" "${folder:?}" "${cron:?}" "${unit:?}"

marker="# relaycerts: the certificates of $host"
if grep -Fqsx "$marker" "$unit.timer"; then
  systemctl disable --now "${unit##*/}.timer" >/dev/null 2>&1 || :
fi
for file in "$cron" "$unit.timer" "$unit.service" "$folder/check-expiry"; do
  if grep -Fqsx "$marker" "$file"; then rm -f "$file"; fi
done
# What is left of a timer if systemd did not run.
[ -e "$unit.timer" ] || rm -f "${unit%/*}/timers.target.wants/${unit##*/}.timer"
systemctl daemon-reload >/dev/null 2>&1 || :
