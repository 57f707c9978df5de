#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh [-j N] [CASE...]: runs the command line tests, all or those named
# ("22-eval"), N of them at a time (the processors there are).
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
n_jobs=$(nproc)
if [ "${1-}" = -j ]; then
    n_jobs=$2
    shift 2
fi

top=$(mktemp -d) || exit 1
# Jobs with process groups of their own do not ignore SIGINT, which some cases send.
set -m
trap 'chmod -R u+w "$top"; rm -rf "$top"' EXIT
# shellcheck disable=SC2046 # several jobs
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM HUP
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
    local expected=$here/$1.$2 got=$top/$1/$2
    [ -e "$expected" ] || return 0
    same "$expected" "$got" && return 0
    echo "-- $2 differs from $expected:"
    diff "$expected" "$got"
    return 1
}

# run_case NAME: a job. What is to be said of the case goes to its folder's result.
run_case() {
    local name=$1 want=0 status=0 pid dir=$top/$1 ok=1
    mkdir -p "$dir/work" || exit 1
    [ ! -e "$here/$name.exit" ] || want=$(<"$here/$name.exit")
    # shellcheck disable=SC2016 # expanded by the bash that is run
    (cd "$dir/work" && exec timeout -k 5 "$case_limit" \
        bash -eu -c '. "$1"; . "$2"' "$name" "$here/lib.sh" "$here/$name.sh") \
        >"$dir/stdout" 2>"$dir/stderr" </dev/null &
    pid=$!
    trap 'kill $pid; exit 143' TERM
    wait $pid || status=$?
    {
        [ $status -eq "$want" ] || { ok=0; echo "-- exit status $status, not $want"; }
        check_stream "$name" stdout || ok=0
        check_stream "$name" stderr || ok=0
    } >"$dir/why"
    if [ $status -eq 77 ] && [ "$want" -ne 77 ]; then
        echo "skip  $name: $(tail -n 1 "$dir/stdout")"
    elif [ $ok -eq 1 ]; then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        cat "$dir/why"
        echo "-- stdout:"; head -n 60 "$dir/stdout"
        echo "-- stderr:"; head -n 60 "$dir/stderr"
    fi >"$dir/new"
    chmod -R u+w "$dir/work"
    rm -rf "$dir/work"
    mv "$dir/new" "$dir/result"
}

# Shows the results that are there, in the order of the cases.
show() {
    local result
    while [ $n_shown -lt ${#cases[@]} ]; do
        result=$top/${cases[n_shown]}/result
        [ -e "$result" ] || return
        cat "$result"
        case $(head -c 4 "$result") in
        "ok  ") passed=$((passed + 1)) ;;
        skip) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) ;;
        esac
        n_shown=$((n_shown + 1))
    done
}

# wait_jobs MOST: until so many cases run at most.
wait_jobs() {
    while [ "$(jobs -rp | wc -l)" -gt "$1" ]; do
        wait -n || :
        show
    done
}

if [ $# -eq 0 ]; then
    for f in "$here"/[0-9][0-9]-*.sh; do
        set -- "$@" "$(basename "$f" .sh)"
    done
fi
cases=("${@%.sh}") n_shown=0
for name in "${cases[@]}"; do
    wait_jobs $((n_jobs - 1))
    run_case "$name" &
done
wait_jobs 0
show
failed=$((failed + ${#cases[@]} - n_shown)) # what ended without a result
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
