# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A small training: files, one line an epoch, nothing on stdout.
tiny_config >tiny.yaml
expect 0 omq-train tiny.yaml
empty out
has err "epoch 1/2  loss " "epoch 2/2  loss " " images/s" "top-1 8:" " 2:" " w4a8:" \
    "model in 'run/model.omq'"
has_not err "$(printf '\r')"
[ "$(grep -c '^epoch ' err)" -eq 2 ] || fail "not one line an epoch"
for f in model.omq last.omq metrics.jsonl metrics.csv; do
    [ -s run/$f ] || fail "no run/$f"
done
set -- run/*.omq.*
[ ! -e "$1" ] || fail "a temporary file is left: $1"
# The model is not a checkpoint: it has no optimizer state.
[ "$(stat -c %s run/model.omq)" -lt "$(stat -c %s run/last.omq)" ] || fail "model as large"
# Quiet is quiet, more is more.
expect 0 omq-train -q -f tiny.yaml
empty err
expect 0 omq-train -v -f tiny.yaml
has err "lr " "training loss"
# The configuration from standard input.
rm -r run
expect 0 omq-train -q - <tiny.yaml
[ -s run/model.omq ] || fail "no model"
# An epoch that is not evaluated has no accuracy, not even an earlier one's.
expect 0 omq-train -f --set train.epochs=5 --set train.eval_every=2 tiny.yaml
[ "$(grep '^epoch ' err | grep -c "top-1 8:")" -eq 3 ] || fail "accuracy of other epochs"
measured=$(awk -F , 'NR > 1 && $7 != "" && !seen[$2]++ { print $2 }' run/metrics.csv)
[ "$measured" = "2
4
5" ] || fail "accuracy after epochs $measured"
