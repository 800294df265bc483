# shellcheck shell=sh
# The functions of install.sh that edit main.cf and master.cf: on a copy, only with postconf. The values come from
# all_settings, all_tokens and all_services at the start of the script; everything else in both files stays as it is.

: "${edited:?}" "${saved:?}" "${config=}"

# True if main.cf and master.cf have the wanted settings, and no other service is ours.
configuration_is_right() {
  tables_are_there || return 1
  each_part is_right || return 1
  # shellcheck disable=SC2046 # several names
  [ "$(values_of '' $(settings_of main.cf | sed 's/=.*//') | sort)" = "$(settings_of main.cf | sort)" ] || return 1
  wanted=$(all_services | while IFS=' ' read -r id line; do
    line="$line $(settings_of "$id" | sed 's/^/-o /' | tr '\n' ' ')"
    printf '%s\n' "${line% }"
  done | sort)
  # shellcheck disable=SC2046 # several names
  [ "$(postconf -M $(all_services | cut -d ' ' -f 1) 2>/dev/null | tr -s '[:blank:]' ' ' | sort)" = "$wanted" ] || return 1
  [ -z "$(add_tokens "$config")" ] || return 1
  all_files | cut -d ' ' -f 1 | sort -u | while IFS= read -r file; do
    text_of "$file" | cmp -s - "$(behind "$file")" || exit 1
  done || return 1
  [ "$(our_services | sort)" = "$(all_services | cut -d ' ' -f 1 | sort)" ]
}

# An earlier run set something that the settings no longer ask for.
has_leftovers() {
  { cat "$saved/settings" 2>/dev/null || :; } | sed 's/=.*//' | while IFS= read -r name; do
    settings_of main.cf | grep -q "^$name=" || exit 1
  done || return 0
  { cat "$saved/tokens" 2>/dev/null || :; } | while IFS= read -r token; do
    all_tokens | grep -qxF -e "$token" || exit 1
  done || return 0
  [ -z "$(parts_besides "${kept_parts-}")" ] || return 0
  for part in ${parts-}; do ! "left_$part" || return 0; done
  return 1
}

# The text of our own file $1 beside main.cf.
text_of() { all_files | sed -n "s,^$1 ,,p"; }

# postconf would append to a last line that has no newline.
end_last_line() { [ -z "$(tail -c 1 "$1")" ] || echo >>"$1"; }

# Edits main.cf with postconf, without the warnings that find_postfix has printed already.
edit_main() {
  messages=$(postconf -c "$@" 2>&1) && result=0 || result=$?
  printf '%s\n' "$messages" | sed '/^$/d; /multiple entries for/d' >&2
  return "$result"
}

# Edits lists of main.cf, which stdin has as postconf prints them, after the orders "add NAME first|last TOKEN" and "drop
# NAME TOKEN". Prints NAME=LIST for each list that changes. A comma or space within braces does not separate. The last
# place in a list of restrictions is before a final permit or reject, which ends it.
edit_lists() {
  awk '
    function keep(item, gap) { if (item != "") { items[++size] = item; gaps[size] = gap } }
    function cut(list, i, c, depth, item, gap) {
      size = depth = 0
      item = gap = ""
      for (i = 1; i <= length(list); i++) {
        c = substr(list, i, 1)
        if (depth == 0 && c ~ /[, \t]/) {
          if (item != "") { keep(item, gap); item = gap = "" }
          gap = gap c
        } else {
          depth += (c == "{") - (c == "}")
          item = item c
        }
      }
      keep(item, gap)
    }
    function add(token, place, i, at) {
      for (i = 1; i <= size; i++) if (items[i] == token) return
      at = place == "first" ? 1 : size + 1
      if (place == "last" && name ~ /_restrictions$/ && items[size] ~ /^(permit|reject|defer)$/) at = size
      for (i = ++size; i > at; i--) { items[i] = items[i - 1]; gaps[i] = gaps[i - 1] }
      items[at] = token
      gaps[at] = ", "
      if (at == 1) gaps[2] = ", "
    }
    function drop(token, i, kept) {
      for (i = 1; i <= size; i++) if (items[i] != token) { items[++kept] = items[i]; gaps[kept] = gaps[i] }
      size = kept + 0
    }
    $1 == "add" || $1 == "drop" { orders[++count] = $0; next }
    {
      name = $1
      old = $0
      sub(/^[^=]*= ?/, "", old)
      cut(old)
      for (i = 1; i <= count; i++) {
        split(orders[i], order, " ")
        if (order[2] != name) continue
        if (order[1] == "add") add(order[4], order[3])
        else drop(order[3])
      }
      list = size ? items[1] : ""
      for (i = 2; i <= size; i++) list = list gaps[i] items[i]
      if (list != old) print name "=" list
    }'
}

# Prints the lists of main.cf in folder $1 that lack a token of ours, with it: NAME=LIST, one per line.
add_tokens() {
  names=$(all_tokens | cut -d ' ' -f 1 | sort -u)
  # shellcheck disable=SC2086 # several names
  [ -z "$names" ] || { all_tokens | sed 's/^/add /' && postconf -c "$1" $names 2>/dev/null; } | edit_lists
}

# The tokens that our runs added; if their record is gone, those of this run.
tokens_of_runs() {
  if [ -f "$saved/tokens" ]; then
    sort -u "$saved/tokens"
  elif [ -n "$(our_services)" ]; then
    all_tokens
  fi
}

# Prints the lists of main.cf in folder $1 without the tokens that our runs added: NAME=LIST, one per line. A token that
# the list had before us stays.
remove_tokens() {
  drops=$(tokens_of_runs | while IFS=' ' read -r name _ token; do
    had=$({ echo "drop $name $token" && postconf -c "$saved/before" "$name" 2>/dev/null; } | edit_lists)
    [ -n "$had" ] || echo "drop $name $token"
  done)
  names=$(printf '%s\n' "$drops" | cut -d ' ' -f 2 | sort -u)
  # shellcheck disable=SC2086 # several names
  [ -z "$drops" ] || { printf '%s\n' "$drops" && postconf -c "$1" $names 2>/dev/null; } | edit_lists
}

# Edits the copy of the configuration in folder $1.
change_configuration() (
  end_last_line "$1/main.cf"
  end_last_line "$1/master.cf"
  set -f
  all_services | while IFS=' ' read -r id line; do
    postconf -c "$1" -M "$id=$line" </dev/null
    # shellcheck disable=SC2046 # no value of a service has white space
    [ -z "$(settings_of "$id")" ] || postconf -c "$1" -P $(settings_of "$id" | sed "s,^,$id/,") </dev/null
  done
  set_postscreen "$1"
  for file in $(all_files | cut -d ' ' -f 1 | sort -u); do
    text_of "$file" >"$1/$file"
    chmod 644 "$1/$file"
  done
  IFS='
'
  # shellcheck disable=SC2046 # one setting per line
  set -- "$1" $(settings_of main.cf) $(add_tokens "$1")
  copy=$1
  shift
  [ $# -eq 0 ] || edit_main "$copy" -e "$@"
)

# The settings that our runs made in main.cf; if their record is gone, those of this run.
settings_of_runs() {
  if [ -f "$saved/settings" ]; then
    cat "$saved/settings"
  elif [ -n "$(our_services)" ]; then
    settings_of main.cf
  fi
}

# Removes our settings from the copy in folder $1: a setting or service that ours replaced comes back. A setting whose
# value is not ours was changed since; it stays, and its name is printed.
undo_settings() (
  set -f
  before=$saved/before
  values=$(postconf -c "$before" -n 2>/dev/null) || :
  gone=
  set -- "$1"
  for name in $(settings_of_runs | sed 's/=.*//' | sort -u); do
    if ! settings_of_runs | grep -qxF -e "$name=$(postconf -c "$1" -h "$name" 2>/dev/null)"; then
      echo "$name"
    elif old=$(printf '%s\n' "$values" | grep "^$name ="); then
      set -- "$@" "$old"
    else
      gone="$gone $name"
    fi
  done
  IFS='
'
  for list in $(remove_tokens "$1"); do
    name=${list%%=*}
    # As the default has it: the list was not in main.cf before us.
    if [ "$list" = "$name=$(postconf -c "$before" -h "$name" 2>/dev/null)" ] &&
      ! printf '%s\n' "$values" | grep -q "^$name ="; then
      gone="$gone $name"
    else
      set -- "$@" "$list"
    fi
  done
  unset IFS
  for id in $(our_services); do
    end_last_line "$1/master.cf"
    postconf -c "$1" -MX "$id"
    old=$(postconf -c "$before" -M "$id" 2>/dev/null | tr -s '[:space:]' ' ') || :
    [ -z "$old" ] || postconf -c "$1" -M "$id=$old"
  done
  undo_postscreen "$1"
  copy=$1
  shift
  if [ -n "$gone" ] || [ $# -gt 0 ]; then end_last_line "$copy/main.cf"; fi
  # Last, and all at once: readers of main.cf wait until its last edit is two seconds old.
  # shellcheck disable=SC2086 # several names
  [ -z "$gone" ] || edit_main "$copy" -X $gone
  [ $# -eq 0 ] || edit_main "$copy" -e "$@"
  touch -t 200001010000 "$copy/main.cf"
)

# True if the files are as our last run left them.
is_as_we_left_it() {
  for file in $edited; do
    cmp -s "$saved/after/$file" "$(behind "$file")" || return 1
  done
}

# Copies the configuration to $saved/new and removes our settings from it: byte by byte if nobody has edited the files
# since, otherwise setting by setting. Undo then restores the edited version, and the names of settings that are no
# longer ours are printed.
copy_without_ours() {
  rm -rf "$saved/new"
  mkdir "$saved/new"
  cp -p "$config/main.cf" "$config/master.cf" "$saved/new/"
  if is_as_we_left_it; then
    for file in $edited; do
      [ ! -e "$saved/before/$file" ] || cp -p "$saved/before/$file" "$saved/new/$file"
    done
  else
    undo_settings "$saved/new"
  fi
}

# The new files without our settings are saved first, so that undo is right even if this run is interrupted.
save_configuration() {
  mkdir -p "$saved"
  chown 0:0 "$saved"
  chmod 700 "$saved"
  # Earlier releases kept a run's result in a separate file.
  [ -d "$saved/after" ] || rm -f "$saved/after"
  mkdir -p "$saved/after"
  copy_without_ours >/dev/null
  mkdir -p "$saved/before"
  for file in main.cf master.cf; do copy_file "$saved/new/$file" "$saved/before/$file"; done
  echo "$config" >"$saved/config"
  settings_of main.cf >>"$saved/settings"
  all_tokens >>"$saved/tokens"
}
