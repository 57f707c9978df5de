# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034 # some variables are for the sourcing script
# Sourced by run-checks*.sh: named test steps, one line each, and one sum.
#
#   step NAME COMMAND...   runs it; a line with its result and time; its output
#                          is shown only if it fails. Exit status 77 = skipped,
#                          the last line of the output being the reason.
#                          Sets step_ok to yes or no.
#   later NAME COMMAND...  the same beside other such steps, as many at a time as
#                          there are processors; the lines come in the order of the
#                          calls. step and steps_end wait for them.
#   steps_end              prints "N passed, N failed[, N skipped]" and exits
#
# A step counts the results that its output states, Check's ("100%: Checks: 5,
# Failures: 0, Errors: 0") or "5 passed, 0 failed[, 1 skipped]"; else itself.
# A step that ends badly counts as a failure whatever it printed.

passed=0 failed=0 skipped=0
step_limit=${STEP_LIMIT:-900} # seconds: a test that hangs is a test that fails
processors=$(nproc)
logs=$(mktemp -d) || exit 1
names=() commands=() n_shown=0
# Jobs with process groups of their own do not ignore SIGINT, which some tests send.
set -m
trap 'rm -rf "$logs"' EXIT
# shellcheck disable=SC2046 # several jobs
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM HUP

# Sums the results stated in a log: "found passed failed skipped".
step_counts() {
    awk '
        /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
            n++; bad = $5 + $7; p += $3 - bad; f += bad }
        /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { n++; p += $1; f += $3; s += $5 }
        END { print n + 0, p + 0, f + 0, s + 0 }' "$1"
}

# step_run LOG COMMAND...: a job. Its exit status and seconds go to LOG.end.
step_run() {
    local log=$1 start=$SECONDS status=0 pid
    shift
    timeout -k 10 "$step_limit" "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    trap 'kill $pid; exit 143' TERM
    wait $pid || status=$?
    echo "$status $((SECONDS - start))" >"$log.new"
    mv "$log.new" "$log.end"
}

# step_show N: the line of a step that has ended, and its part of the sum. A step that left
# no result has failed.
step_show() {
    local name=${names[$1]} log="$logs/$1" status seconds word found p f s
    read -r status seconds <"$log.end"
    # of a full disk: it could not say
    [[ $status =~ ^[0-9]+$ && $seconds =~ ^[0-9]+$ ]] || status=125 seconds=0
    read -r found p f s <<<"$(step_counts "$log")"
    if [ "$status" -eq 77 ]; then
        p=0 f=0 s=1 word="skipped: $(tail -n 1 "$log")"
    else
        if [ "$status" -ne 0 ]; then
            [ "$f" -gt 0 ] || f=1
        elif [ "$found" -eq 0 ]; then
            p=1
        elif [ $((p + f + s)) -eq 0 ]; then
            f=1
            echo "this step ran no test at all" >>"$log"
        fi
        word=$([ "$f" -gt 0 ] && echo "FAILED" || echo ok)
        [ "$found" -eq 0 ] || word="$word, $p passed, $f failed, $s skipped"
        word=${word%, 0 skipped}
        [ "$status" -ne 124 ] || word="$word (stopped after $step_limit s)"
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-24s %4d s  %s\n' "$name" "$seconds" "$word"
    step_ok=yes
    if [ "$f" -gt 0 ]; then
        step_ok=no
        echo "---- $name: ${commands[$1]}"
        tail -n 200 "$log" | sed 's/^/| /'
        echo "---- end of $name, exit status $status"
    fi
    rm -f "$log" "$log.end"
}

# steps_wait MOST: until so many jobs run at most; shows what has ended, in order.
steps_wait() {
    while [ "$(jobs -rp | wc -l)" -gt "$1" ]; do
        wait -n || : # its status is in its file
        steps_show
    done
    steps_show
}

steps_show() {
    while [ $n_shown -lt ${#names[@]} ] && [ -e "$logs/$n_shown.end" ]; do
        step_show $n_shown
        n_shown=$((n_shown + 1))
    done
}

later() {
    local n=${#names[@]}
    steps_wait $((processors - 1))
    names+=("$1")
    shift
    commands+=("$*")
    step_run "$logs/$n" "$@" &
}

step() {
    steps_wait 0
    later "$@"
    steps_wait 0
}

steps_end() {
    steps_wait 0
    if [ $n_shown -lt ${#names[@]} ]; then # a job was killed
        echo "$((${#names[@]} - n_shown)) steps left no result, from '${names[n_shown]}' on"
        failed=$((failed + ${#names[@]} - n_shown))
    fi
    if [ $skipped -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ $failed -eq 0 ]
    exit
}

# The make to build with: under make, with its jobs if it was given any, else
# one job a processor.
read -ra make <<<"${MAKE:-make} --no-print-directory"
[[ ${MAKEFLAGS-} == *-j* ]] || make+=("-j$processors")
