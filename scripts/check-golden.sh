#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-golden.sh: the generator writes the golden vectors that are committed.
# (That the library agrees with them is a unit test.)
set -eu
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
PYTHONDONTWRITEBYTECODE=1 python3 scripts/gen-golden.py "$dir"
n=0
for f in "$dir"/*; do
    cmp "$f" "tests/golden/${f##*/}"
    n=$((n + 1))
done
[ $n -gt 0 ] || { echo "the generator wrote nothing"; exit 1; }
echo "$n files of golden vectors, unchanged"
