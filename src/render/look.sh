# shellcheck shell=sh
# What the role of `export ansible` asks a host first, with ansible's --check too: would its script change anything
# there? It runs instead of install_host, after the same values and functions, and calls none of those that write.
# sent_files has a line for each file of the bundle, its SHA-256 and its name.

: "${host:?}" "${folder:?}" "${saved:?}" "${key:?}" "${chain:?}" "${chain_mode:?}"

# The answer is an outcome.
export RELAYCERTS_DEPLOY=yes

has_bundle() {
  sent_files | while IFS=' ' read -r wanted file; do
    found=$(openssl dgst -sha256 "$folder/$file" 2>/dev/null | sed 's/.*= *//')
    [ "$wanted" = "$found" ] || exit 1
  done || return 1
  [ -z "$(find "$folder/$key" -prune ! -perm 600)$(find "$folder/$chain" -prune ! -perm "$chain_mode")" ]
}

# As install_host asks. Programs other than Postfix need a folder for the files that they should have.
has_configuration() {
  [ -d "$saved/before" ] && [ "$(cat "$saved/bundle" 2>/dev/null)" = "$(bundle_state)" ] || return 1
  if command -v make_new >/dev/null; then
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    cp -Rp "$saved/before" "$saved/after" "$made"
    saved=$made
    make_new install
  elif has_leftovers; then
    return 1
  fi
  configuration_is_right
}

look_host() {
  if command -v find_postfix >/dev/null; then
    find_postfix
  else
    check_tools
    find_user
  fi
  if has_bundle 2>/dev/null && has_configuration 2>/dev/null; then outcome unchanged; else outcome changed; fi
}
