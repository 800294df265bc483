#!/bin/sh
# Runs a command, as root, in this checkout on another release of Debian, with another Postfix and OpenSSL: bullseye has
# Postfix 3.5, bookworm 3.7, trixie 3.10, sid 3.11.
#
#   scripts/in-release.sh trixie vitest run --project e2e test/e2e/log-lines.test.ts
#
# The release is fetched once, by debootstrap, into /var/tmp/relaycerts-RELEASE, and stays until you remove it. This
# machine's Node runs there. It starts no daemon, and every mount ends with the command.
set -eu

[ $# -ge 2 ] || {
  echo 'usage: scripts/in-release.sh RELEASE COMMAND...' >&2
  exit 2
}
release=$1
shift
root=/var/tmp/relaycerts-$release
checkout=$(cd "$(dirname "$0")/.." && pwd)
node=$(readlink -f "$(command -v node)")

if [ ! -d "$root" ]; then
  rm -rf "$root.part"
  mkdir -p "$root.part"
  DEBIAN_FRONTEND=noninteractive debootstrap --variant=minbase "$release" "$root.part" >&2
  printf '#!/bin/sh\nexit 101\n' >"$root.part/usr/sbin/policy-rc.d"
  chmod 755 "$root.part/usr/sbin/policy-rc.d"
  echo 'postfix postfix/main_mailer_type select No configuration' | chroot "$root.part" debconf-set-selections
  # A mirror that lags must not stop us; debootstrap does not check the date either.
  chroot "$root.part" apt-get -o Acquire::Check-Valid-Until=false update --quiet >&2
  # sid's Postfix wants /proc while it is installed.
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --propagation private sh -euc 'mount -t proc proc "$1/proc"; shift; exec "$@"' sh "$root.part" \
    env DEBIAN_FRONTEND=noninteractive chroot "$root.part" apt-get install --quiet --yes --no-install-recommends \
    postfix dnsmasq-base openssh-server openssh-client rsync sudo iproute2 openssl ca-certificates faketime procps \
    busybox gnupg jq swaks libnet-ssleay-perl tmux >&2
  mv "$root.part" "$root"
fi

export root checkout node
# shellcheck disable=SC2016 # the inner shell expands it
exec unshare --mount --propagation private sh -euc '
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mkdir -p "$root$checkout"
  mount --bind "$checkout" "$root$checkout"
  : >>"$root/usr/local/bin/node"
  mount --bind "$node" "$root/usr/local/bin/node"
  PATH=$checkout/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export PATH
  exec chroot "$root" sh -c "cd \"\$checkout\" && exec \"\$@\"" sh "$@"
' sh "$@"
