#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh [CASE...]: runs the command line tests, all or those named ("22-eval").
#
# A case is NN-name.sh, run by bash -eu after lib.sh in an empty folder of its
# own, with the programs first in PATH. It passes if its exit status is that in
# NN-name.exit (0 without the file) and its output is that in NN-name.stdout and
# NN-name.stderr, where those exist; in them, * stands for any text within a line.
# Exit status 77 means skipped; the last line of stdout is the reason.
#
# OMQ_BIN is the folder of the programs, OMQ_SRC that of the source.
set -u
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C
OMQ_SRC=$(cd "${OMQ_SRC:-$here/../..}" && pwd) || exit 1
OMQ_BIN=$(cd "${OMQ_BIN:-$OMQ_SRC/build/bin}" && pwd) || exit 1
export OMQ_SRC OMQ_BIN
case_limit=${CASE_LIMIT:-600} # seconds
unset OMQ_CPU

top=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$top"; rm -rf "$top"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0

# same PATTERNS TEXT: line by line, * in a pattern standing for anything.
same() {
    local patterns lines i
    mapfile -t patterns < <(sed 's/[^[:alnum:]*]/\\&/g' "$1")
    mapfile -t lines <"$2"
    [ ${#patterns[@]} -eq ${#lines[@]} ] || return 1
    for i in "${!patterns[@]}"; do
        # shellcheck disable=SC2053 # a pattern
        [[ ${lines[i]} == ${patterns[i]} ]] || return 1
    done
}

# Compares one stream of a case with what is expected of it.
check_stream() {
    local expected=$here/$1.$2
    [ -e "$expected" ] || return 0
    same "$expected" "$top/$2" && return 0
    echo "-- $2 differs from $expected:"
    diff "$expected" "$top/$2"
    return 1
}

run_case() {
    local name=$1 want=0 status=0 work=$top/work ok=1
    mkdir "$work" || exit 1
    [ ! -e "$here/$name.exit" ] || want=$(<"$here/$name.exit")
    # shellcheck disable=SC2016 # expanded by the bash that is run
    (cd "$work" && exec timeout -k 5 "$case_limit" \
        bash -eu -c '. "$1"; . "$2"' "$name" "$here/lib.sh" "$here/$name.sh") \
        >"$top/stdout" 2>"$top/stderr" </dev/null || status=$?
    if [ $status -eq 77 ] && [ "$want" -ne 77 ]; then
        echo "skip  $name: $(tail -n 1 "$top/stdout")"
        skipped=$((skipped + 1))
    else
        {
            [ $status -eq "$want" ] || { ok=0; echo "-- exit status $status, not $want"; }
            check_stream "$name" stdout || ok=0
            check_stream "$name" stderr || ok=0
        } >"$top/why"
        if [ $ok -eq 1 ]; then
            echo "ok    $name"
            passed=$((passed + 1))
        else
            echo "FAIL  $name"
            cat "$top/why"
            echo "-- stdout:"; head -n 60 "$top/stdout"
            echo "-- stderr:"; head -n 60 "$top/stderr"
            failed=$((failed + 1))
        fi
    fi
    chmod -R u+w "$work"
    rm -rf "$work"
}

if [ $# -eq 0 ]; then
    for f in "$here"/[0-9][0-9]-*.sh; do
        set -- "$@" "$(basename "$f" .sh)"
    done
fi
for name in "$@"; do
    run_case "${name%.sh}"
done
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
