#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-swap.sh BUILD [SECONDS]: serves a model on all processors while another
# process switches it a thousand times a second, with all precisions ready and
# with one; see tests/swap/swap.c.
set -eu
cd "$(dirname "$0")/.."
build=$1 seconds=${2:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for resident in 0 1; do
    cp tests/data/moves.omq "$work/model.omq"
    "$build/swap" "$work/model.omq" "$seconds" "$(nproc)" $resident
done
