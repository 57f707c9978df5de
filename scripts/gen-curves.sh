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
