# shellcheck shell=sh
# The functions of edit-configuration.sh for items of lists in main.cf: ours come first, the others stay as they are, and
# only ours go again, also if somebody edited the list in between.

: "${saved:?}"

# Ours: the parameter, a blank, and the item, which may have blanks in it. One that is only for a list with other items
# is missing if there are none.
items() {
  settings_of main.cf+ | sed 's/=/ /'
  settings_of 'main.cf?' | while IFS= read -r setting; do
    list=$(value_of "${setting%%=*}")
    others=$(drop_item "$list" "${setting#*=}") || others=$list
    [ -z "$others" ] || printf '%s\n' "$setting" | sed 's/=/ /'
  done
}

# Prints the list $1 without the item $2; fails if it does not have it.
drop_item() {
  LIST=$1 ITEM=$2 awk 'BEGIN {
    list = ENVIRON["LIST"]
    item = ENVIRON["ITEM"]
    for (at = 1; at <= length(list); at++) {
      end = at + length(item)
      if (substr(list, at, length(item)) != item) continue
      if (at > 1 && substr(list, at - 1, 1) !~ /[, \t]/) continue
      if (end <= length(list) && substr(list, end, 1) !~ /[, \t]/) continue
      rest = substr(list, end)
      sub(/^[, \t]+/, "", rest)
      list = substr(list, 1, at - 1)
      if (rest == "") sub(/[, \t]+$/, "", list)
      print list rest
      exit 0
    }
    exit 1
  }'
}

# The parameter $2 in the configuration in folder $1, not expanded; nothing if it is not set and empty by default.
list_in() {
  if [ -n "$(postconf -c "$1" -xh "$2" 2>/dev/null)" ] || [ -n "$(postconf -c "$1" -n "$2" 2>/dev/null)" ]; then
    postconf -c "$1" -h "$2" 2>/dev/null
  fi
}

items_are_there() {
  [ "$(cat "$saved/items" 2>/dev/null)" = "$(items)" ] || return 1
  items | while IFS=' ' read -r name item; do
    drop_item "$(postconf -h "$name" 2>/dev/null)" "$item" >/dev/null || exit 1
  done
}

# Adds our items to the configuration in folder $1.
add_items() {
  items | while IFS=' ' read -r name item; do
    list=$(list_in "$1" "$name")
    if ! drop_item "$list" "$item" >/dev/null; then
      edit_main "$1" -e "$name=$item${list:+, $list}" </dev/null
    fi
  done
}

# The items that our runs added; if their record is gone, those of this run.
items_of_runs() {
  if [ -f "$saved/items" ]; then sort -u "$saved/items"; else items; fi
}

# Removes our items from the configuration in folder $1, but for those that were there before ours.
undo_items() {
  items_of_runs | while IFS=' ' read -r name item; do
    ! drop_item "$(list_in "$saved/before" "$name")" "$item" >/dev/null || continue
    list=$(drop_item "$(list_in "$1" "$name")" "$item") || continue
    if [ -n "$(postconf -c "$saved/before" -n "$name" 2>/dev/null)" ] || [ "$list" != "$(list_in "$saved/before" "$name")" ]; then
      edit_main "$1" -e "$name=$list" </dev/null
    else
      edit_main "$1" -X "$name" </dev/null
    fi
  done
}
