# shellcheck shell=sh
# What home-program.sh needs for nullmailer, which reads its remotes again for each run of the queue.

program_release() { dpkg-query -W -f '${Version}' nullmailer 2>/dev/null | sed -n 's/^\([0-9]*:\)\{0,1\}\([0-9]*\.[0-9]*\).*/\2/p'; }

check_program() {
  /usr/lib/nullmailer/smtp --help 2>&1 | grep -q -e --x509cafile ||
    fail "this nullmailer does not support client certificates" "upgrade nullmailer"
}

apply_program() { :; }

check_applied() { :; }
