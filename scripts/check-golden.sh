#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-golden.sh: the generators write the golden vectors and the traces that
# are committed. (That the library agrees with them are unit tests.)
set -eu
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PYTHONDONTWRITEBYTECODE=1

# same GENERATOR FOLDER: what it writes is what is in the folder.
same() {
    local n=0 f
    mkdir "$dir/${2##*/}"
    python3 "$1" "$dir/${2##*/}"
    for f in "$dir/${2##*/}"/*; do
        cmp "$f" "$2/${f##*/}"
        n=$((n + 1))
    done
    [ $n -gt 0 ] || { echo "$1 wrote nothing"; exit 1; }
    echo "$n files of $1, unchanged"
}
same scripts/gen-golden.py tests/golden
same scripts/gen-traces.py tests/data
