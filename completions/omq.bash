# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# bash completion for the programs of omq. Each program lists its own options:
# "omq-x --complete" prints one a line and, after a tab, what the option takes.

# Whether there is an operand already, among the words before the one being
# completed; the word behind one of these options is none.
_omq_has_model()
{
    local word takes_next=no

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $takes_next == yes ]]; then
            [[ $word == = ]] || takes_next=no # --option=VALUE is three words
        elif [[ " $* " == *" $word "* ]]; then
            takes_next=yes
        elif [[ $word == -?* ]]; then
            continue
        else
            return 0
        fi
    done
    return 1
}

_omq()
{
    local tool=$1 cur=$2 prev=$3 name takes options=() valued=()

    COMPREPLY=()
    [[ $prev != = ]] || prev=${COMP_WORDS[COMP_CWORD - 2]} # --option=VALUE is three words
    [[ $cur != = ]] || cur=
    while IFS=$'\t' read -r name takes; do
        options+=("$name")
        [[ -z $takes ]] || valued+=("$name")
        [[ $name == "$prev" && -n $takes ]] || continue
        case $takes in
        *'|'*) mapfile -t COMPREPLY < <(compgen -W "${takes//|/ }" -- "$cur") ;;
        DIR) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        FILE) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        esac
        return
    done < <("$tool" --complete 2>/dev/null)

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options[*]}" -- "$cur")
    elif [[ $tool == *omq-train && " ${COMP_WORDS[*]} " != *" --recalibrate "* ]]; then
        mapfile -t COMPREPLY < <(compgen -d -S / -- "$cur"; compgen -f -X '!*.yaml' -- "$cur")
    elif [[ $tool == *omq-run ]] && _omq_has_model "${valued[@]}"; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -d -S / -- "$cur"; compgen -f -X '!*.omq' -- "$cur")
    fi
}

complete -o filenames -F _omq omq-train omq-eval omq-run omq-switch omq-export
