# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A disk that fills up: status 1, the file named, the last checkpoint kept whole.
# A limit on the size of files stands for it.
tiny_config >tiny.yaml
options=(--set train.epochs=20)
omq-train "${options[@]}" tiny.yaml >out 2>err &
pid=$!
wait_for $pid err "epoch 1/20"
kill -USR1 $pid
ended $pid 75
cp run/last.omq kept.omq
[ "$(stat -c %s kept.omq)" -gt 8192 ] || fail "the checkpoint is too small for this test"
status=0
(ulimit -f 4; exec omq-train --resume "${options[@]}" tiny.yaml) >out 2>err ||
    status=$?
[ $status -eq 1 ] || fail "exit status $status"
has err "omq-train: " "run/" "File too large"
cmp run/last.omq kept.omq
[ ! -e run/model.omq ] || fail "half a model"
set -- run/*.omq.*
[ ! -e "$1" ] || fail "a temporary file is left: $1"
expect 0 omq-train -q --resume "${options[@]}" tiny.yaml
[ -s run/model.omq ] || fail "no model"
