# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run is not lost by typing its command again.
tiny_model
sum=$(cat run/*.omq run/metrics.* | cksum)
expect 2 omq-train tiny.yaml
has err "'run'" "--resume" "--force"
expect 0 omq-train --resume tiny.yaml
has err "the run in 'run' is complete: nothing to do"
[ "$(cat run/*.omq run/metrics.* | cksum)" = "$sum" ] || fail "files have changed"

# What was done to the model since stays, and what is gone comes back.
expect 0 omq-switch --bits 2 run/model.omq
cp run/model.omq switched.omq
expect 0 omq-train --resume tiny.yaml
cmp run/model.omq switched.omq || fail "the switch word is lost"
rm run/model.omq
expect 0 omq-train --resume tiny.yaml
expect 0 omq-eval -q --bits 2 run/model.omq

# A stop of --force leaves two runs in the folder, and says so.
cp run/model.omq kept.omq
omq-train --force --set train.epochs=9999 tiny.yaml >out 2>err &
pid=$!
wait_for $pid err "epoch 1/9999"
kill -USR1 $pid
ended $pid 75
has err "--resume continues from 'run/last.omq'; model.omq there is still the one from before"
cmp run/model.omq kept.omq

expect 0 omq-train -q --force --set seed=8 tiny.yaml
[ "$(cat run/*.omq run/metrics.* | cksum)" != "$sum" ] || fail "nothing was trained"
