#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-golden.sh: the generators write the golden vectors, the traces and the files
# of weights that are committed. (That the library agrees with them are unit tests.)
set -eu
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PYTHONDONTWRITEBYTECODE=1

# same GENERATOR FOLDER [WORD]: what it writes is what is in the folder.
same() {
    local n=0 f to=$dir/${2//\//-}
    mkdir "$to"
    python3 "$1" "$to" "${@:3}"
    for f in "$to"/*; do
        cmp "$f" "$2/${f##*/}"
        n=$((n + 1))
    done
    [ $n -gt 0 ] || { echo "$1 wrote nothing"; exit 1; }
    echo "$n files of $1, unchanged"
}
same scripts/gen-golden.py tests/golden
same scripts/gen-traces.py tests/data
same scripts/gen-weights.py tests/fuzz/source/corpus source
same scripts/gen-weights.py tests/fuzz/onnx/corpus onnx
