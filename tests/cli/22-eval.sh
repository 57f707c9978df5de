# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The table, all widths and some.
tiny_config >tiny.yaml
expect 0 omq-train tiny.yaml
cp err talk
omq-eval run/model.omq | tee table
echo
# What training said about the model is what the integers give.
awk '$1 == "precision" { on = 1; next } /^omq-train/ { on = 0 } on { print $2, $3 }' talk >said
awk 'NR > 1 { print $2, $4 }' table >measured
[ "$(wc -l <said)" -eq 3 ] || fail "no table of three widths"
diff said measured >&2
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
