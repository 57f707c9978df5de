# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Operands, values and combinations that cannot be meant: one line and a hint.
try() {
    local status=0
    "$@" </dev/null || status=$?
    [ $status -eq 2 ] || fail "exit status $status: $*"
}
try omq-train
try omq-eval -q
try omq-train a.yaml b.yaml
try omq-eval ''
try omq-train --set
try omq-eval -b
try omq-train --dry-run --bench x.yaml
try omq-train --resume --force x.yaml
try omq-train --json x.yaml
try omq-train --steps 5 x.yaml
try omq-eval --split tset model.omq
try omq-eval --engine fast model.omq
try omq-train -- --help x.yaml
try omq-switch model.omq 2
try omq-eval model.omq w4a8
try omq-switch model.omq 2.omq
