#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-levels.sh UNIT: the unit tests at each kernel level below the best one, as
# many at a time as there are processors.
set -u
unit=$1
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
export unit logs

levels=$("$unit" --levels 2>/dev/null | sed '$d')
[ -n "$levels" ] || { echo "this machine has no level but the reference"; exit 77; }
# shellcheck disable=SC2016 # expanded by the shell that xargs starts
printf '%s\n' "$levels" | xargs -P "$(nproc)" -I{} sh -c '
    OMQ_CPU={} "$unit" >"$logs/{}" 2>&1 || echo {} >>"$logs/failed"'
for level in $levels; do
    echo "OMQ_CPU=$level"
    cat "$logs/$level"
done
[ ! -e "$logs/failed" ]
