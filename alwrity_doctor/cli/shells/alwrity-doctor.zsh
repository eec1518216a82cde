#compdef alwrity-doctor
# zsh completion of alwrity-doctor: eval "$(alwrity-doctor completion zsh)"

_alwrity_doctor() {
    local -a lines described
    local kind line
    # The words go through a pipe: one of them may be a token, and arguments can be read by everybody.
    lines=("${(@f)$(printf '%s\0' "${(@)words[1,CURRENT]}" | "${words[1]/#\~/$HOME}" completion zsh --words 2>/dev/null)}")
    kind=$lines[1]
    case $kind in
        files)
            compset -P '*='
            _files
            ;;
        directories)
            compset -P '*='
            _files -/
            ;;
        words)
            for line in "${(@)lines[2,-1]}"; do
                [[ -n $line ]] && described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
            done
            _describe -t words 'alwrity-doctor' described
            ;;
    esac
}

if [[ $funcstack[1] == _alwrity-doctor ]]; then
    # A file _alwrity-doctor in $fpath: zsh has made a function of all this.
    _alwrity_doctor "$@"
else
    # Evaluated in a ~/.zshrc, which may not have set the completion up yet.
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
    compdef _alwrity_doctor alwrity-doctor
fi
