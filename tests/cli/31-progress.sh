# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# On a terminal, one line in place, never wider than the terminal.
need script stty
script -qec true /dev/null >/dev/null 2>&1 </dev/null || skip "no pseudo-terminals here"
tiny_config >tiny.yaml
for columns in 40 132; do
    command="stty cols $columns; omq-train --force --set train.epochs=8 tiny.yaml"
    SHELL=/bin/sh script -qec "$command" /dev/null >typed </dev/null
    tr '\r' '\n' <typed >lines
    grep -aF " step " lines >frames || fail "no progress line"
    longest=$(awk '{ if (length > n) n = length } END { print n }' frames)
    [ "$longest" -lt $columns ] || fail "$longest columns on a terminal of $columns"
    has frames "epoch 1/8  step "
    [ "$(grep -ac '^epoch [0-9]/8  loss ' lines)" -eq 8 ] || fail "not one line an epoch stays"
done
has frames " images/s" "top-1 8:"
SHELL=/bin/sh script -qec "omq-train -q --force tiny.yaml" /dev/null >typed </dev/null
empty typed
SHELL=/bin/sh script -qec "omq-eval -" /dev/null >typed </dev/null && fail "a model from a terminal"
has typed "standard input is a terminal"
SHELL=/bin/sh script -qec "omq-train -" /dev/null >typed </dev/null && fail "a typed configuration"
has typed "standard input is a terminal, not a configuration"
