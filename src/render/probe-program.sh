# shellcheck shell=sh
# The part of probe.sh about a home host with another mail program than Postfix: the program, our lines in its files, and
# what it says that it has taken of them.

: "${host:?}" "${edited:?}" "${title:?}" "${oldest?}" "${service?}" "${begin:?}" "${end:?}"

# What is left of it here is only reported; nothing is put back.
fail() {
  printf '%s\n' "$1"
  exit 1
}

# The one who looks is root, and no program that changes users is run.
as_user() { sh -c "$1" </dev/null; }

# How file $1 is: right; missing; "lines", ours are missing or changed; or "others", lines of somebody else count besides.
state_of() {
  file=/$1
  if [ ! -f "$file" ]; then
    echo missing
  elif [ "$(place_of "$1")" = alone ]; then
    if text_of "$1" | cmp -s - "$file"; then echo right; else echo lines; fi
  elif [ "$(sed -n -e "/^$begin\$/,/^$end\$/p" "$file")" != "$(marked "$1")" ]; then
    echo lines
  else
    rest=$(sed -e "/^$begin\$/,/^$end\$/d" "$file")
    if [ "$(printf '%s\n' "$rest" | sed -e "$(sed_of "$1")")" = "$rest" ]; then echo right; else echo others; fi
  fi
}

probe_program() {
  if ! is_installed; then
    section program missing
    return
  fi
  release=$(program_release)
  section program "${release:-unknown}"
  if [ -n "$oldest" ] && [ -n "$release" ] && ! at_least "$oldest"; then section program-old "$oldest"; fi
  if [ -n "$service" ] && ! is_running; then section program-stopped "$service"; fi
  for name in $edited; do section edit "/$name" "$(state_of "$name")"; done
  section not-applied
  (check_applied) 2>/dev/null | lines
}
