# fish completion of alwrity-doctor: alwrity-doctor completion fish > ~/.config/fish/completions/alwrity-doctor.fish

function __alwrity_doctor
    set -l words (commandline -opc) (commandline -ct)
    # The words go through a pipe: one of them may be a token, and arguments can be read by everybody.
    set -l lines (printf '%s\0' $words | command alwrity-doctor completion fish --words 2>/dev/null)
    set -l current (commandline -ct)
    # What stands before the `=` of --option=value or of --format F=FILE is no part of a file's name.
    set -l before (string match -r '^.*=' -- $current)
    set -q before[1]; or set before ''
    switch "$lines[1]"
        case files
            printf '%s\n' $before(__fish_complete_path (string replace -- "$before" '' $current))
        case directories
            printf '%s\n' $before(__fish_complete_directories (string replace -- "$before" '' $current))
        case words
            printf '%s\n' $lines[2..]
    end
end

complete -c alwrity-doctor -e
complete -c alwrity-doctor -f -a '(__alwrity_doctor)'
