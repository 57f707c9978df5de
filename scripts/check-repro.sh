#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-repro.sh: two builds, at two places, one of them with a blank in its name, and two
# times, are the same bytes.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset MAKEFLAGS MAKELEVEL

for place in a "further away/still"; do
    mkdir -p "$dir/$place"
    tar c Makefile lib scripts tools | tar x -C "$dir/$place"
    make -s -C "$dir/$place" -j"$(nproc)" BUILD=build ${CC:+CC="$CC"}
    sleep 1
done
status=0 n=0
for f in "$dir"/a/build/libomq.a "$dir"/a/build/bin/*; do
    cmp "$f" "$dir/further away/still/${f#"$dir/a/"}" || status=1
    n=$((n + 1))
done
[ $status -ne 0 ] || echo "$n files are the same in two builds"
exit $status
