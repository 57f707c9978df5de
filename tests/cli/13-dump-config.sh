# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What --dump-config prints is a configuration, complete and the same again.
tiny_config >tiny.yaml
expect 0 omq-train --dump-config --set train.lr=0.03125 --set bits=[4,1] tiny.yaml
empty err
mv out once.yaml
has once.yaml "lr: 0.03125" "arch: \"resnet8\""
expect 0 omq-train --dump-config once.yaml
cmp out once.yaml
expect 0 omq-train --dump-config - <once.yaml
cmp out once.yaml
[ ! -e run ] || fail "something was created"
