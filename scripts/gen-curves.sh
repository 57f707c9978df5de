#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gen-curves.sh [FOLDER]: the pictures of docs/results.md from the figures in
# docs/results, to FOLDER (default docs).
set -eu
cd "$(dirname "$0")/.."
folder=${1:-docs}
curves() { awk -f scripts/bench/curves.awk -v title="$1"; }

# Figures of NAME-3epochs, NAME-10epochs and so on, each the end of a run of its own.
{
    printf 'label\tprecision\tepoch\ttop1\n'
    awk -F '\t' '
        match($1, /-[0-9]+epochs/) && $1 ~ /^(one|dedicated)-/ && $2 == 1 {
            epochs = substr($1, RSTART + 1, RLENGTH - 7)
            label = $1 ~ /^dedicated/ ? "a dedicated model each" : $1 ~ /-shared$/ \
                ? "one model, shared batches, distilled" : "one model"
            n = split($4, figures, /[ =]/)
            for (i = 1; i < n; i += 2)
                if (figures[i] ~ /^(w8a8|w2a2|w1a1)$/ && epochs != 2)
                    print label "\t" figures[i] "\t" epochs "\t" figures[i + 1]
        }' docs/results/fashion-mnist.tsv | sort -t "$(printf '\t')" -k 1,1r -k 2,2r -k 3,3n
} | curves "Fashion-MNIST, resnet8: top-1 in % of models trained for so many epochs" \
    >"$folder/fashion-mnist-epochs.svg"

# accuracy.sh --curves of configs/bench/cifar10.tsv, seed 1, as runs were finished.
awk -F '\t' -v OFS='\t' '
    BEGIN {
        name["one"] = "one model"
        name["one-shared"] = "one model, shared batches, distilled"
        name["off"] = "one model, view: off"
        name["scratch-10epochs"] = "one model, 10 epochs"
        name["adabits-10epochs"] = "adabits, 10 epochs"
        name["any-precision-10epochs"] = "any-precision, 10 epochs"
        name["double-rounding-10epochs"] = "double-rounding, 10 epochs"
        name["finetune-10epochs"] = "one model from float weights, 10 epochs"
    }
    NR == 1 { print; next }
    $1 ~ /^dedicated-[0-9]+$/ { name[$1] = "a dedicated model each" }
    $1 in name && $2 ~ /^(w8a8|w2a2|w1a1)$/ { print name[$1], $2, $3, $4 }' \
    docs/results/cifar10-epochs.tsv |
    curves "CIFAR-10, resnet20: top-1 in % after so many epochs" >"$folder/cifar10-epochs.svg"
