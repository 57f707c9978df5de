#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-shell.sh: shellcheck over every shell script of the tree.
cd "$(dirname "$0")/.." || exit 1
command -v shellcheck >/dev/null || { echo "shellcheck is not installed"; exit 77; }
mapfile -t files < <({ echo .ci/run; find scripts tests tools -name '*.sh'; } | LC_ALL=C sort)
# SC1091: sourced files are checked by themselves.
shellcheck -e SC1091 "${files[@]}" && echo "${#files[@]} scripts are clean"
