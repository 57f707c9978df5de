#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-symbols.sh LIB: the library exports omq_* only, and nothing twice (which
# a linker does not see in an archive).
set -o pipefail
out=$(nm -g --defined-only "$1" | awk 'NF == 3 { print $3 }') || exit 1
[ -n "$out" ] || { echo "$1 exports nothing"; exit 1; }
# The sanitizers' builds add names of their own, which begin with an underscore.
bad=$(echo "$out" | grep -v -e '^omq_' -e '^__[a-z]*san' || true)
[ -z "$bad" ] || { printf '%s exports, besides omq_*:\n%s\n' "$1" "$bad"; exit 1; }
twice=$(echo "$out" | grep '^omq_' | sort | uniq -d)
[ -z "$twice" ] || { printf '%s defines twice:\n%s\n' "$1" "$twice"; exit 1; }
echo "$(echo "$out" | wc -l) symbols, all of them omq_*"
