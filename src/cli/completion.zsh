#compdef relaycerts
# Completion of relaycerts for zsh: eval "$(relaycerts completion zsh)" in ~/.zshrc, after compinit; or this text as the
# file _relaycerts in a folder of $fpath. What fits is asked of the program.
_relaycerts() {
  local line
  local -a lines found
  lines=("${(@f)$(${(Q)words[1]/#\~\//$HOME/} completion zsh --words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    if [[ $line == :files ]]; then
      # After --settings=.
      compset -P '--*='
      _files
      return
    fi
    found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe -t words relaycerts found
}
if [[ ${funcstack[1]-} == _relaycerts ]]; then
  _relaycerts "$@"
else
  compdef _relaycerts relaycerts
fi
