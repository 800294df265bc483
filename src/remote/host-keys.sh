# shellcheck shell=sh
# Prints the host keys of this host's sshd: those of its settings, or of the usual files.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
sshd=$(command -v sshd || echo /usr/sbin/sshd)
files=$("$sshd" -T 2>/dev/null | sed -n 's/^hostkey //p')
for file in ${files:-/etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_ecdsa_key /etc/ssh/ssh_host_rsa_key}; do
  cat "$file.pub" 2>/dev/null
done
