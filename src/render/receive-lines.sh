# shellcheck shell=sh
# What the role of `export ansible` runs on a host, as root, if anything differs there. Stdin has the bundle and the script
# that installs it as text: a line "file NAME", then the file's lines, each after a space; "end" is last. Nobody looks at
# the host before the script ends, so the answer to its question is at once to keep what it installed.

: "${folder:?}" "${arrived:?}"

# If nobody read the rest, that would be Ansible's only error.
finish() {
  clean_up
  cat >/dev/null
}

# The last line of a file has a line end only if that of the file had.
unpack() {
  awk -v folder="$arrived" '
    /^ / { printf "%s%s", gap, substr($0, 2) >path; gap = "\n"; next }
    path { close(path) }
    /^file [A-Za-z0-9_.-]+$/ { path = folder "/" $2; gap = ""; next }
    /^end$/ { ended = 1 }
    { exit }
    END { exit !ended }'
}

trap finish EXIT
[ "$(id -u)" = 0 ] || fail 'this has to run as root' 'set sshUser to root, or let ansible become root there'
begin_arrival
unpack || fail 'what arrived is not whole' 'run ansible-playbook again'
echo keep | sh "$arrived/install.sh" "$arrived" 3<&0 </dev/null 9<&-
