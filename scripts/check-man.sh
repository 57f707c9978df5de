#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-man.sh: mandoc's lint over every manual page: no warning at all.
cd "$(dirname "$0")/.." || exit 1
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 77; }
shopt -s nullglob
pages=(man/*.[1-9])
[ ${#pages[@]} -gt 0 ] || { echo "no manual pages in man/"; exit 1; }
# Of the style messages, those about other pages depend on what is installed.
out=$(mandoc -T lint -W style "${pages[@]}" | grep -v 'referenced manual not found')
[ -z "$out" ] || { echo "$out"; exit 1; }
echo "${#pages[@]} pages are clean"
