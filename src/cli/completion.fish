# Completion of relaycerts for fish: relaycerts completion fish >~/.config/fish/completions/relaycerts.fish
# What fits is asked of the program.
function __relaycerts_words
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] completion fish --words -- $words[2..-1] "$current" 2>/dev/null)
    if test "$found[1]" = :files
        # After --settings= too.
        set -l flag (string match -r -- '^--[^=]*=' $current)
        for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $current))
            echo "$flag"$path
        end
    else
        printf '%s\n' $found
    end
end
complete -c relaycerts -f -a '(__relaycerts_words)'
