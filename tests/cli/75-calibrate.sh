# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# train.epochs 0: every precision is calibrated, nothing is trained.
tiny_config | sed 's/epochs: 2/epochs: 0/' >tiny.yaml
expect 0 omq-train --dry-run tiny.yaml
has out "to calibrate with 96 images"
[ ! -e run ] || fail "a dry run created something"

expect 0 omq-train tiny.yaml
has err "w8a8 calibrated with 96 images" "w4a8 calibrated" "w2a2 calibrated" "calibrated  top-1 8:"
has err "model in 'run/model.omq'"
empty out
[ "$(wc -l <run/metrics.jsonl)" -eq 3 ] || fail "metrics.jsonl has not a row for each precision"
has run/metrics.jsonl '"step": 0, "epoch": 0, "split": "test", "precision": "w8a8"' \
    '"train_loss": null'
[ "$(ls run)" = "best.omq
last.omq
metrics.csv
metrics.jsonl
model.omq" ] || fail "the folder holds $(ls run)"
omq-eval --bits 2 --json run/model.omq | grep -o '"top1":[^,]*' >figures
top1=$(grep w2a2 run/metrics.jsonl | grep -o '"top1": [^,]*' | cut -d ' ' -f 2)
has figures "\"top1\":$top1"

# The same bytes again; a run that is there is not overwritten; --resume has nothing to do,
# or trains on from the calibrated precisions.
cp run/model.omq first.omq
expect 2 omq-train tiny.yaml
has err "already holds a run"
expect 0 omq-train -q --force tiny.yaml
cmp run/model.omq first.omq || fail "two calibrations differ"
expect 0 omq-train --resume tiny.yaml
has err "nothing to do"
cmp run/model.omq first.omq || fail "a resumed calibration changed the model"
expect 0 omq-train -q --resume --set train.epochs=1 tiny.yaml
cmp -s run/model.omq first.omq && fail "an epoch changed nothing"

expect 2 omq-train --bench tiny.yaml
has err "train.epochs is 0"

# Nothing is trained, so no training batch need be full.
expect 0 omq-train -q --force --set data.synthetic.train=10 tiny.yaml

# A signal leaves nothing: there is no checkpoint to go on from.
tiny_config | sed 's/epochs: 2/epochs: 0/; s/train: 96/train: 400/; s/width: 0.25/width: 1/' \
    >large.yaml
omq-train -v --set output_dir=stopped --set train.calibration_images=200 large.yaml >out 2>err &
pid=$!
wait_for $pid err "w8a8 calibrated"
kill -TERM $pid
ended $pid 75
has err "stopped during calibration: nothing was written" "to continue: omq-train --set"
has_not err "--resume"
[ -z "$(ls stopped)" ] || fail "a calibration that was stopped left $(ls stopped)"
omq-train -v --force --set output_dir=stopped --set train.calibration_images=200 large.yaml \
    >out 2>err &
pid=$!
wait_for $pid err "w8a8 calibrated"
kill -TERM $pid
ended $pid 75
has err "to continue: omq-train --force --set"

# A run of weights calibrates what it does not overwrite.
expect 0 omq-train -v --set output_dir=begun --set train.epochs=3 --set train.highest_first=0.4 \
    --init first.omq tiny.yaml
has err "w8a8 calibrated"
has_not err "w4a8 calibrated"
expect 0 omq-train -v --force --set output_dir=begun --set train.epochs=1 \
    --set train.highest_first=0 --init first.omq tiny.yaml
has err "w8a8 calibrated" "w4a8 calibrated" "w2a2 calibrated"
