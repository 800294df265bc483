# shellcheck shell=sh
# What both ends of the ssh tunnel have in common, for install.sh: files of ours, most of them outside $folder, are
# replaced all at once, and the old ones come back if a later step fails. end_files, of tunnel-home.sh or
# tunnel-relay.sh, prints them as lines: the path, then a line of the file. None of them is secret.

: "${host:?}" "${folder:?}" "${saved:?}"

# Files were replaced in this run; each has a folder in $saved/tunnel until the end: path, and old if it was there.
tunnel_changed=no

tunnel_paths() { end_files | cut -d ' ' -f 1 | sort -u; }

tunnel_text() { end_files | sed -n "s,^$1 ,,p"; }

is_right_file() { tunnel_text "$1" | cmp -s - "$1" && [ -z "$(find "$1" -prune ! -perm 644)" ]; }

tunnel_files_are_right() { tunnel_paths | while IFS= read -r path; do is_right_file "$path" || exit 1; done; }

# What has these names outside our folder is ours, or not there.
check_tunnel_files() {
  for path in $(tunnel_paths); do
    case $path in "$folder"/*) continue ;; esac
    { [ ! -e "$path" ] && [ ! -L "$path" ]; } || grep -q '^# \(Made by \)\{0,1\}relaycerts' "$path" 2>/dev/null ||
      fail "$path on $host is not ours; nothing was changed" "rename it, or set another tunnel.user in the settings"
  done
}

place_tunnel_files() {
  tunnel_changed=yes
  rm -rf "$saved/tunnel"
  mkdir -p "$saved/tunnel"
  number=0
  for path in $(tunnel_paths); do
    number=$((number + 1))
    mkdir "$saved/tunnel/$number"
    [ ! -f "$path" ] || cp -p "$path" "$saved/tunnel/$number/old"
    echo "$path" >"$saved/tunnel/$number/path"
    [ -d "${path%/*}" ] || mkdir -m 755 "${path%/*}"
    rm -f "$path.new"
    tunnel_text "$path" >"$path.new"
    chmod 644 "$path.new"
    mv -f "$path.new" "$path"
  done
}

# False if no file was replaced.
put_back_tunnel_files() {
  [ "$tunnel_changed" = yes ] || return 1
  for one in "$saved/tunnel"/*; do
    [ -f "$one/path" ] || continue
    read -r path <"$one/path"
    rm -f "$path" "$path.new"
    [ ! -f "$one/old" ] || cp -p "$one/old" "$path"
  done
  rm -rf "$saved/tunnel"
}

# The process IDs of the user $1, who runs nothing but what sshd started.
processes_of() { find /proc -maxdepth 1 -name '[0-9]*' -user "$1" 2>/dev/null | sed 's,.*/,,'; }
