# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Stopped twice in the middle and continued, a run ends with the same bytes.
options=(--set train.epochs=30 --set data.augment.hflip=0.5 --set train.widths_per_step=2)
mkdir whole parts
tiny_config | tee whole/tiny.yaml >parts/tiny.yaml
(cd whole && expect 0 omq-train -q "${options[@]}" tiny.yaml)
cd parts || exit

omq-train "${options[@]}" tiny.yaml >out 2>err &
pid=$!
wait_for $pid err "epoch 2/30"
kill -USR1 $pid
ended $pid 75
has err "omq-train: finishing the step; Ctrl-C now stops at once" \
    "to continue: omq-train --resume --set train.epochs=30 " " tiny.yaml"
has_not err "from before"
empty out
[ ! -e run/model.omq ] || fail "a model of half a training"
[ -s run/last.omq ] || fail "no checkpoint"

# Without --resume it is refused, and the checkpoint stays.
sum=$(cksum <run/last.omq)
omq-train "${options[@]}" tiny.yaml >out 2>err && fail "started anew"
[ "$(cksum <run/last.omq)" = "$sum" ] || fail "the checkpoint has changed"

omq-train --resume "${options[@]}" tiny.yaml >out 2>err &
pid=$!
wait_for $pid err "epoch 9/30"
kill -TERM $pid
ended $pid 75
has_not err "epoch 1/30"

expect 0 omq-train --resume "${options[@]}" tiny.yaml
has_not err "epoch 8/30" " and was "
has err "epoch 30/30"
cmp run/model.omq ../whole/run/model.omq
# The metrics have no gap and nothing twice, and time goes on.
awk -F , 'NR > 1 { if ($10 < before) exit 1; before = $10 }' run/metrics.csv || fail "time_s"
for f in run ../whole/run; do cut -d, -f-8 $f/metrics.csv >$f/figures; done # but speed and time
cmp run/figures ../whole/run/figures || fail "metrics.csv"
[ "$(wc -l <run/metrics.jsonl)" -eq "$(wc -l <../whole/run/metrics.jsonl)" ] ||
    fail "metrics.jsonl"

# What is no longer as it was is said.
expect 0 omq-train --resume "${options[@]}" --set train.epochs=31 --set train.lr=0.05 \
    --set "train.loss_weights=[1,2,1]" tiny.yaml
has err "omq-train: train.epochs is 31, and was 30" "train.lr is 0.05, and was 0.1" \
    "train.loss_weights is [1, 2, 1], and was []"
[ "$(grep -c " and was " err)" -eq 3 ] || fail "$(cat err)"
expect 0 omq-train --resume "${options[@]}" --set train.epochs=31 --set train.lr=0.05 \
    --set "train.loss_weights=[1,2,1]" tiny.yaml
has_not err " and was "

# A run that was stopped at an epoch's last step has no speed to tell of that epoch.
last=(--set output_dir=last --set train.batch_size=96 --set train.highest_first=0)
for _ in {1..50}; do # the signal may come between two epochs, too
    rm -f err # the last one says what is waited for
    omq-train --force "${last[@]}" --set train.epochs=9999 tiny.yaml >out 2>err &
    pid=$!
    wait_for $pid err "epoch 1/9999"
    kill -USR1 $pid
    ended $pid 75
    ! grep -q " step 1; --resume" err || break
done
has err " step 1; --resume"
at=$(sed -n 's/.*stopped at epoch \([0-9]*\) .*/\1/p' err)
expect 0 omq-train --resume "${last[@]}" --set train.epochs=$((at + 1)) tiny.yaml
grep "^epoch $at/" err | grep -q images/s && fail "a speed: $(<err)"
has err "epoch $((at + 1))/" " images/s"

# What there is no way on from says the way out.
head -c 1000 tiny.yaml >run/last.omq
expect 1 omq-train --resume "${options[@]}" tiny.yaml
has err "cannot resume (--force starts again): 'run/last.omq'"
