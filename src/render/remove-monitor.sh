# shellcheck shell=sh
# Removes the expiry warnings, by cron or by systemd: each file is removed only if it has our marker.

: "${host:?}" "${folder:?}" "${cron:?}" "${unit:?}"

marker="# relaycerts: the certificates of $host"
if grep -Fqsx "$marker" "$unit.timer"; then
  systemctl disable --now "${unit##*/}.timer" >/dev/null 2>&1 || :
fi
for file in "$cron" "$unit.timer" "$unit.service" "$folder/check-expiry"; do
  if grep -Fqsx "$marker" "$file"; then rm -f "$file"; fi
done
# What remains of a timer if systemd was not running.
[ -e "$unit.timer" ] || rm -f "${unit%/*}/timers.target.wants/${unit##*/}.timer"
systemctl daemon-reload >/dev/null 2>&1 || :
