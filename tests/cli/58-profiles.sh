# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Profiles from the configuration: a model offers them beside its precisions.
tiny_config | sed '4a profiles: ["fast 2 conv1=8 layer3*=w4a8", "all-eight 8"]' >tiny.yaml
expect 0 omq-train -q tiny.yaml
expect 0 omq-train --dump-config tiny.yaml
has out 'profiles: ["fast 2 conv1=8 layer3*=w4a8", "all-eight 8"]'

# Each answers, and one that is a precision's throughout answers as that does.
make_idx images 12 12 20
for bits in 8 2 fast all-eight; do
    expect 0 omq-run --bits $bits run/model.omq images
    cut -f 2,3 out >$bits
done
cmp 8 all-eight || fail "the profile of 8 bits throughout is not w8a8"
cmp -s 2 fast && fail "layers of other bits change nothing"
expect 0 omq-switch --bits fast run/model.omq
expect 0 omq-switch run/model.omq
has out "* fast"
expect 0 omq-eval --bits fast --json run/model.omq
has out '"precision":"fast"'
# The forward pass of the training has none: all is without them.
expect 0 omq-eval --engine float --limit 8 run/model.omq
has_not out fast
expect 1 omq-eval --engine float --bits fast --limit 8 run/model.omq
has err "profiles run on the integer engine only"
expect 0 omq-export --bits fast -o fast.json run/model.omq
has fast.json '"name": "fast"'
if command -v cc >/dev/null; then # by name in a program of its own, too
    make_raw frames $((20 * 144))
    omq-export --bits 8,fast,all-eight --main -o net.c run/model.omq
    cc -O1 -o net net.c
    expect 0 ./net fast <frames
    omq-run --bits fast run/model.omq <frames | cut -f 2 | diff - <(cut -f 1 out)
    expect 1 ./net 2 <frames
    has err "no precision '2'" "default: 8 fast all-eight"
fi

# A model gets one more, and whatever else it holds stays.
expect 0 omq-train -q --recalibrate --profile "late w4a8 conv1=2" -o more.omq run/model.omq
expect 0 omq-switch more.omq
has out "* fast" "all-eight" "late"
expect 0 omq-run --bits fast more.omq images
cut -f 2,3 out | cmp - fast || fail "a profile of before is another one"
expect 2 omq-train -q --recalibrate --profile "late 8" -o no.omq more.omq
has err "two profiles are called 'late'"
[ ! -e no.omq ] || fail "there is a model"

# A mistake stops the run before it has written anything.
expect 2 omq-train -q --set output_dir=other --set 'profiles=["fast 3"]' tiny.yaml
has err "profile 'fast 3': the model has no precision '3'; it has 8 2 w4a8"
[ ! -e other ] || fail "there is an output folder"
