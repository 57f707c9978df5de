# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two runs are the same bytes, and the loader's threads are not in them.
for run in one two three; do
    mkdir $run
    tiny_config >$run/tiny.yaml
done
crop=(--set data.augment.crop_padding=1 --set data.augment.hflip=0.5)
(cd one && expect 0 omq-train -q "${crop[@]}" tiny.yaml)
(cd two && expect 0 omq-train -q "${crop[@]}" tiny.yaml)
(cd three && expect 0 omq-train -q "${crop[@]}" --set seed=8 tiny.yaml)
cmp one/run/model.omq two/run/model.omq
cmp -s one/run/model.omq three/run/model.omq && fail "the seed does nothing"
(cd three && expect 0 omq-train -q -f "${crop[@]}" --set data.workers=3 tiny.yaml)
for run in one three; do
    omq-eval --json $run/run/model.omq | sed 's/"seconds".*//' >$run/answers
    cut -d, -f-8 $run/run/metrics.csv >$run/figures # all but speed and time
done
cmp one/answers three/answers || fail "workers make another model"
cmp one/figures three/figures || fail "workers make other losses"
for run in four five; do
    mkdir $run
    tiny_config >$run/tiny.yaml
    (cd $run && expect 0 omq-train -q "${crop[@]}" --threads 2 tiny.yaml)
done
cmp four/run/model.omq five/run/model.omq
