# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# --set is checked like the file; messages count the settings as they were typed.
tiny_config >tiny.yaml
expect 2 omq-train --dry-run --set seed=1 --set train.epoch=3 --set train.lr=x tiny.yaml
empty out
has err "--set #2:" "did you mean 'epochs'?" "--set #3:"
has_not err "--set #1:"
for bad in seed =1 train..lr=1 train=1 .seed=1 'bits=[8' 'bits=[8,8]' seed=-1; do
    expect 2 omq-train --dry-run --threads 1 --set "$bad" tiny.yaml
    has err "--set #1:"
done
# The last one wins, and --threads is the key of that name.
expect 0 omq-train --dump-config -s seed=3 --set=seed=4 -t 2 tiny.yaml
has out "seed: 4" "threads: 2"
[ ! -e run ] || fail "something was created"
