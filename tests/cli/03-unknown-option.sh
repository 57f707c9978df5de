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
