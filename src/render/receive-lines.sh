# shellcheck shell=sh
# What the role of `export ansible` runs on a host, as root, if anything differs there. Stdin has the bundle and the script
# that installs it as text: a line "file NAME", then the file's lines, each after a space; "end" is last. Nobody looks at
# the host before the script ends, so the answer to its question is at once to keep what it installed.

set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

: "${folder:?}"

arrived=$folder/next

clean_up() {
  [ $? -eq 0 ] || tell_if_full
  # Ansible's error would otherwise be that nobody reads.
  cat >/dev/null
  # Another run may be at work there.
  [ "$is_ours" = yes ] || return
  rm -rf "$arrived"
  # Only if it is empty: nothing was installed here.
  rmdir "$folder" 2>/dev/null || :
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

is_ours=no
trap clean_up EXIT
[ "$(id -u)" = 0 ] || fail 'this has to run as root' 'set sshUser to root, or let ansible become root there'
check_folder
take_turn
is_ours=yes
rm -rf "$arrived"
mkdir "$arrived"
unpack || fail 'what arrived is not whole' 'run ansible-playbook again'
echo keep | sh "$arrived/install.sh" "$arrived" 3<&0 </dev/null 9<&-
