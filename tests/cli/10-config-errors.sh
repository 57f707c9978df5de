# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# All problems of a configuration at once, with their places, and status 2.
cat >bad.yaml <<'END'
output_dir: run
sed: 1
bits: [8, 9]
data: {format: synthetic}
model: {arch: resnet8}
train:
  epochs: many
  epochs: 3
  lr: 1000
END
for option in --dry-run --dump-config --quiet; do
    expect 2 omq-train $option bad.yaml
    empty out
    has err "bad.yaml:2:1: error: " "'sed'" "did you mean 'seed'?" "bad.yaml:3:" "bad.yaml:7:" \
        "bad.yaml:8:3: error: " "bad.yaml:9:"
    [ "$(grep -c '^bad.yaml:[0-9]*:[0-9]*: error: ' err)" -ge 5 ] || fail "not all problems"
    [ ! -e run ] || fail "something was created"
done
# A value that is no value has no consequences.
sed 's/^train:.*/train: {distill: 0.5, batches: sharedd}/' <(tiny_config) >word.yaml
expect 2 omq-train --dry-run word.yaml
has err "unknown word 'sharedd'"
[ "$(wc -l <err)" -eq 1 ] || fail "more than one line: $(<err)"
# Terminals are safe from what a file says.
printf 'output_dir: run\n"\\e[31mx": 1\n' >escape.yaml
expect 2 omq-train --dry-run escape.yaml
has_not err "$(printf '\033')"
# A file that is not there is a failure, not a wrong use.
expect 1 omq-train --dry-run missing.yaml
has err missing.yaml "No such file"
[ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
# The same from standard input.
expect 2 omq-train --dry-run - <bad.yaml
has err ":2:1: error: "
# What only the data and the network show has its place too.
tiny_config >tiny.yaml
late() { # PLACE TEXT OPTION...
    expect 2 omq-train --dry-run "${@:3}" tiny.yaml
    has err "$1: $2"
    [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
}
late '--set #2:12' "unknown network 'model.arch: resnet9'" --set seed=2 --set model.arch=resnet9
late '--set #1:18' 'train.batch_size is 97, but there are only 96' --set train.batch_size=97
late '--set #1:10' "profile 'fast 3'" --set 'profiles=["fast 3"]'
late '--set #1:27' 'data.augment.crop_padding is 64: for images of 12 x 12 it can be 0 to 11' \
    --set data.augment.crop_padding=64
late '--set #1:17' 'data.validation is 0.001: of 96 training images that are used there are none' \
    --set data.validation=0.001
expect 0 omq-train -q --set output_dir=from tiny.yaml
late '--set #1:10' "init_map has 'nothing', which is not OLD=NEW" --set 'init_map=[nothing]' \
    --set init=from/model.omq
sed -i 's/arch: resnet8/arch: resnet9/' tiny.yaml
late 'tiny.yaml:10:15' "unknown network 'model.arch: resnet9'"
sed -i -e 's/format: synthetic/format: folder\n  root: pictures\n  size: 8/' -e '/synthetic:/d' \
    -e 's/mean: .*/mean: [0.5, 0.4]/' tiny.yaml
for split in train test; do
    mkdir -p pictures/$split/{a,b}
    for class in a b; do make_png pictures/$split/$class/0.png 8 8 3; done
done
late 'tiny.yaml:9:9' 'data.mean has 2 values, but the images have 3' --set train.batch_size=2
late '--set #2:10' 'data.std has 2 values, but the images have 3' --set 'data.mean=[0.5]' \
    --set 'data.std=[0.5, 0.4]' --set train.batch_size=2
