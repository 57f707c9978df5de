#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-curves.sh: the pictures in docs are what gen-curves.sh makes of the figures.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
scripts/gen-curves.sh "$dir"
for picture in "$dir"/*.svg; do
    cmp "$picture" "docs/${picture##*/}" || { echo "run scripts/gen-curves.sh"; exit 1; }
done
