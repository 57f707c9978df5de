# SPDX-License-Identifier: MIT
# shellcheck shell=bash
try() {
    local status=0
    "$@" </dev/null || status=$?
    [ $status -eq 2 ] || fail "exit status $status: $*"
}
try omq-train --reusme x.yaml
try omq-train --res x.yaml      # no abbreviations
try omq-train --dry-run=1 x.yaml
try omq-train --xyzzy x.yaml
try omq-train -Z x.yaml
try omq-train -qZv x.yaml
try omq-train --json -Z x.yaml
try omq-eval --bit 4 model.omq
try omq-eval --bist=4 model.omq
try omq-eval --verbos model.omq
# Keys of the configuration; what is nearest in letters may be the contrary.
try omq-train --epochs 3 x.yaml
try omq-train --lr=3 x.yaml
try omq-train --batch-size=3 x.yaml
try omq-train --train.lr x.yaml
try omq-train --output_dir=x x.yaml
try omq-train --scale 3 x.yaml  # of two sections
try omq-switch --set 2 model.omq
