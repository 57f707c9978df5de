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

"$build/bin/omq-train" -q -t 1 --set "output_dir=$work" --set data.synthetic.train=64 \
    --set data.synthetic.test=64 --set model.width=0.5 --set train.batch_size=32 \
    --set 'bits=[8,4,2,1,w4a8]' configs/bench/resnet20.yaml
for resident in 0 1; do
    "$build/swap" "$work/model.omq" "$seconds" "$(nproc)" $resident
done
