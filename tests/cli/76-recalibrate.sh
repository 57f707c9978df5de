# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# omq-train --recalibrate: batch norm anew, and widths that were not trained.
tiny_config | sed '4a profiles: ["fast 2 conv1=8"]' >tiny.yaml
expect 0 omq-train -q tiny.yaml
expect 0 omq-switch --bits fast run/model.omq

# Training ends with the same statistics: they are found again, to the last bit; where
# it has left the running ones, others are.
cp run/model.omq before.omq
expect 0 omq-train --recalibrate -o new.omq run/model.omq
cmp run/model.omq before.omq || fail "the model that was read has changed"
cmp new.omq before.omq || fail "statistics anew are not those of the end of training"
has err "calibrated  top-1 8:" "model in 'new.omq'"
empty out
for tool in omq-eval "omq-train --recalibrate -o none.omq"; do # a folder that nothing is read from
    # shellcheck disable=SC2086 # words
    expect 2 $tool --data nosuch run/model.omq
    has err "the data of this model is synthetic and in no folder: leave out --data"
done
expect 0 omq-train -q --set train.bn_batches=0 --set output_dir=running tiny.yaml
expect 0 omq-train -q --recalibrate -o new.omq running/model.omq
cmp -s new.omq running/model.omq && fail "nothing was taken anew"

# A new width stands behind the others, which stay as they are, bit for bit.
expect 0 omq-train --recalibrate --bits w3a8,4 -o more.omq before.omq
has err "w3a8 calibrated after w8a8 with 96 images" "w4a4 calibrated after w8a8"
expect 0 omq-switch more.omq
has out "w3a8" "w4a4" "* fast"
make_idx images 12 12 20
for bits in 8 2 w4a8 fast; do
    expect 0 omq-run --bits $bits before.omq images
    mv out want
    expect 0 omq-run --bits $bits more.omq images
    cmp out want || fail "$bits answers otherwise with a new width beside it"
done
expect 0 omq-eval --bits w3a8 --json more.omq
has out '"precision":"w3a8"'
expect 0 omq-train --recalibrate -q --bits w3a8,4 -o again.omq before.omq
cmp more.omq again.omq || fail "two calibrations differ"

# In place: the file is replaced when all is done, and not if it fails.
cp before.omq own.omq
expect 0 omq-train --recalibrate -q --bits 4 -o own.omq own.omq
expect 0 omq-switch own.omq
has out "w4a4"
cp own.omq kept.omq
expect 2 omq-train --recalibrate --bits 9 -o own.omq own.omq
has err "'9' is no precision"
expect 1 omq-train --recalibrate --bits fast -o own.omq own.omq
has err "'fast' is a profile"
expect 1 omq-train --recalibrate --bits 4 -o missing/own.omq own.omq
cmp own.omq kept.omq || fail "a failure changed the model"

# A word of --bits that is empty is none.
for bits in '' '4,' ',4'; do
    expect 2 omq-train --recalibrate --bits "$bits" -o own.omq own.omq
    has err "'' is no precision"
done
cmp own.omq kept.omq || fail "no width, but another model"
# What omq-switch sets while it works on the same file stays.
expect 0 omq-train -q --set data.synthetic.test=20000 --set output_dir=slow tiny.yaml
omq-train --recalibrate --bits 4 -o slow/model.omq slow/model.omq 2>said &
pid=$!
wait_for $pid said "w4a4 calibrated"
expect 0 omq-switch --bits 2 slow/model.omq
kill -0 $pid || fail "it had ended: the switch came too late to say anything"
ended $pid 0
expect 0 omq-switch --get slow/model.omq
has out w2a2

# From floating point to fewer bits, and what has no weights.
expect 0 omq-train -q --set bits=[32] --set profiles=[] --set output_dir=float tiny.yaml
for format in json npz omq; do
    expect 1 omq-export -f $format -o none.$format float/model.omq
    has err "has no precision in integers to export"
done
expect 1 omq-export --bits all -f onnx -o none.tar float/model.omq
[ -z "$(find . -name 'none.*')" ] || fail "something of nothing: $(find . -name 'none.*')"
expect 0 omq-train --recalibrate --bits 8,4 -o wide.omq float/model.omq
has err "w8a8 calibrated after w32a32"
expect 0 omq-export --bits 8 --format omq -o packed.omq before.omq
expect 1 omq-train --recalibrate -o out.omq packed.omq
has err "packed integer weights only"
[ ! -e out.omq ] || fail "a file was created"

# What cannot be written is known before the work.
expect 1 omq-train --recalibrate -o missing/own.omq own.omq
has_not err "top-1"
mkdir folder
expect 1 omq-train --recalibrate -o folder own.omq
has_not err "top-1"
expect 2 omq-train --recalibrate -o - own.omq
has err "give --output its name"
expect 2 omq-train --recalibrate run/model.omq
has err "needs --output"
expect 2 omq-train --bits 4 tiny.yaml
has err "for --recalibrate only"
expect 2 omq-train --recalibrate -s seed=1 -o x.omq run/model.omq
has err "nothing to --set"

# Of one precision and a share of the loss from a higher one: nothing is trained here.
expect 0 omq-train -q --set 'bits=[8]' --set profiles=[] --set train.distill=0.5 \
    --set output_dir=dedicated tiny.yaml
expect 0 omq-train --recalibrate -q --bits 4 -o both.omq dedicated/model.omq
expect 0 omq-eval --bits 8,4 both.omq
