# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The table, all widths and some.
tiny_model
omq-eval run/model.omq
echo
omq-eval --bits w4a8,2,w4a8 --limit 10 run/model.omq
# The integer engine and the training forward count the same answers.
for engine in int float; do
    omq-eval --engine="$engine" --json run/model.omq | grep -o '"top1":[^,]*' >"top1.$engine"
done
cmp top1.int top1.float
# Thread and batch numbers change nothing but the time.
omq-eval -t 1 --batch 1 --json run/model.omq | sed 's/"seconds.*//' >one
omq-eval -t 3 --batch 7 --json run/model.omq | sed 's/"seconds.*//' >three
grep -o '"top[15]":[^,]*' one >one.top
grep -o '"top[15]":[^,]*' three >three.top
cmp one.top three.top
