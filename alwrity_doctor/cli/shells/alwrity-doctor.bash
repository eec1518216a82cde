# bash completion of alwrity-doctor: eval "$(alwrity-doctor completion bash)"

_alwrity_doctor() {
    local -a words
    local program kind line
    COMPREPLY=()
    program=${1/#\~\//"$HOME/"}
    # The words go through a pipe: one of them may be a token, and arguments can be read by everybody.
    while IFS= read -r line; do
        if [ -z "$kind" ]; then kind=$line; else words+=("$line"); fi
    done < <(printf '%s\0' "${COMP_WORDS[@]:0:COMP_CWORD+1}" | "$program" completion bash --words 2>/dev/null)
    # What is a file is left to readline, which quotes what it completes. bash 3.2 has no compopt: it always adds files.
    case $kind in
        words)
            COMPREPLY=("${words[@]}")
            compopt +o default 2>/dev/null
            ;;
        directories) compopt -o dirnames +o default 2>/dev/null ;;
        files) compopt -o default 2>/dev/null ;;
    esac
    return 0
}

complete -o default -F _alwrity_doctor alwrity-doctor
