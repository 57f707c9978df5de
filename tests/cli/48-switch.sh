# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The table, the budgets, and what is refused; only the switch word changes.
need python3
tiny_model
M=run/model.omq
cp $M before.omq
expect 0 omq-switch $M
empty err
cp out table
expect 0 omq-switch --json $M
python3 - out table <<'END'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["precision"] for r in rows] == ["w8a8", "w2a2", "w4a8"]
assert [(r["w"], r["a"]) for r in rows] == [(8, 8), (2, 2), (4, 8)]
assert [r["active"] for r in rows] == [True, False, False]
assert all(r["ms"] is None and 0 < r["top1"] <= 100 for r in rows)
assert rows[0]["weight_bytes"] > rows[2]["weight_bytes"] > rows[1]["weight_bytes"] > 0
head, *lines = open(sys.argv[2]).read().splitlines()
assert head.split() == ["precision", "top-1", "weight", "bytes"]
assert len({len(line) for line in [head] + lines}) == 1, "columns"
for r, line in zip(rows, lines):
    assert line.startswith("* " if r["active"] else "  ")
    words = line[2:].split()
    assert words[0] == r["precision"] and float(words[1]) == round(r["top1"], 2)
    assert int(words[-1]) == r["weight_bytes"]
END
expect 0 omq-switch --measure $M
has out "ms/image"
awk 'NR > 1 && !($NF > 0) { exit 1 }' out || fail "$(<out)"
cmp $M before.omq # looking changes nothing
[ "$(omq-switch --get $M)" = w8a8 ] || fail "--get"

expect 0 omq-switch --bits 2 $M
empty out
expect 0 omq-switch $M
grep -q '^\* w2a2' out || fail "$(<out)"
[ "$(cmp -l $M before.omq | awk '$1 < 57 || $1 > 64' | wc -l)" -eq 0 ] || fail "other bytes"
expect 0 omq-run $M <(make_png /dev/stdout 12 12 1) # a picture from a pipe
has out w2a2
[ "$(omq-switch --get --json $M | grep -o '"precision":"[^"]*"')" = '"precision":"w2a2"' ] ||
    fail "--get --json"
expect 0 omq-switch --verbose --bits w4a8 $M
empty out
has err "the switch word of '$M' is w4a8 now"
expect 0 omq-eval --limit 2 $M # which no word disturbs

# Budgets, by what the table says.
best() { # CONDITION ORDER...: the first of the table's rows that meet it
    sed 's/^\*/ /' table |
        awk "NR > 1 { top1 = \$2; bytes = \$NF; if ($1) print \$1, top1, bytes }" |
        sort "${@:2}" | awk 'NR == 1 { print $1 }'
}
bytes=$(awk '/w4a8/ { print $NF }' table)
top1=$(awk '/w8a8/ { print $3 }' table)
expect 0 omq-switch --budget bytes="$bytes" $M
[ "$(<out)" = "$(best "bytes <= $bytes" -k 2,2nr -k 3,3nr)" ] || fail "bytes: $(<out)"
[ "$(omq-switch --get $M)" = "$(<out)" ] || fail "not set"
expect 0 omq-switch --budget bytes="$(awk '/w2a2/ { print $NF }' table)" $M
[ "$(<out)" = w2a2 ] || fail "bytes, just as many: $(<out)"
expect 0 omq-switch --budget bytes=1M $M
[ "$(<out)" = "$(best 1 -k 2,2nr -k 3,3nr)" ] || fail "bytes=1M: $(<out)"
expect 0 omq-switch --budget top1="$top1" $M
[ "$(<out)" = "$(best "top1 >= $top1" -k 3,3n)" ] || fail "top1: $(<out)"
expect 0 omq-switch --budget top1=0.1% $M
[ "$(<out)" = w2a2 ] || fail "top1=0.1%: $(<out)"
expect 0 omq-switch --budget latency=3600s --wait $M
[ "$(<out)" = "$(best 1 -k 2,2nr -k 3,3nr)" ] || fail "latency: $(<out)"
# What is float in part is not for it, however well it would keep to the limit.
expect 0 omq-train -q --set 'bits=[w1a32, 8]' --set output_dir=half tiny.yaml
expect 0 omq-switch --budget top1=0.1 half/model.omq
[ "$(<out)" = w8a8 ] || fail "a float precision: $(<out)"
cp $M before.omq
for budget in bytes=1 top1=100.5 latency=0.001us; do
    expect 1 omq-switch --budget $budget $M
    empty out
    has err "no precision of '$M' keeps to $budget; the active one stays" "the nearest is w"
done
cmp $M before.omq
for budget in bytes top1 latency=5h bytes=-1 bytes=0 top1=nan speed=3 latency=5ms5 ''; do
    expect 2 omq-switch --budget "$budget" $M
    has err "option '--budget': '$budget' is none of latency=5ms (or us, s), bytes=200k"
done

# Profiles and floats.
cp "$OMQ_SRC/tests/fuzz/model/corpus/base.omq" two.omq
expect 0 omq-switch --bits mixed two.omq
expect 0 omq-switch two.omq
grep -q '^\* mixed  *-  ' out || fail "$(<out)"
expect 0 omq-switch --measure --json two.omq
grep '"w32a32"' out | grep -q '"ms":null' || fail "float: $(<out)"
cp two.omq before.omq
# A word that names what cannot run is shown as what runs, and can be set again.
printf '\040\040\000\000\337\337\377\377' >float
dd if=float of=two.omq bs=1 seek=56 conv=notrunc status=none
expect 0 omq-switch two.omq
grep -q '^\* w8a8' out || fail "$(<out)"
expect 0 omq-switch --bits mixed two.omq
cmp two.omq before.omq
expect 1 omq-switch --bits 32 two.omq
has err "w32a32 is float"
cmp two.omq before.omq
# An accuracy that is known goes before others; k and M are thousands and millions.
for budget in bytes=1M:w4a8 bytes=0.246k:w4a8 bytes=0.245k:w2a2 bytes=0.000245M:w2a2; do
    expect 0 omq-switch --budget "${budget%:*}" two.omq
    [ "$(<out)" = "${budget#*:}" ] || fail "$budget: $(<out)"
done

# What is refused.
cp $M before.omq
for options in "--bits 2 --get" "--bits 2 --budget top1=1" "--status --watch" "--wait" \
    "--measure --status" "--get --wait" "--measure --budget top1=1"; do
    # shellcheck disable=SC2086 # several words
    expect 2 omq-switch $options $M
    has err "try 'omq-switch --help'"
done
expect 2 omq-switch --bits 8,2 $M
expect 2 omq-switch --bits 8 --timeout 3 $M
has err "--timeout is for --wait"
expect 2 omq-switch - <$M
has err "the model must be a file"
mkdir folder # which is no control file that will be made
expect 1 omq-switch --get --control folder $M
empty out
expect 2 omq-switch --control - --bits 8 $M
has err "option '--control': the switch word must be in a file"
[ ! -e ./- ] || fail "a file called -"
mkfifo pipe
for f in missing.omq tiny.yaml . pipe; do
    expect 1 omq-switch --bits 2 $f
    has err "$f"
    [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
done
cmp $M before.omq
# A model that cannot be written: a limit on the size of files, for any user.
set +e
(ulimit -f 0; omq-switch --bits w4a8 $M 2>&1) | cat >out
status=${PIPESTATUS[0]}
set -e
[ "$status" -eq 1 ] || fail "exit status $status"
has out "cannot write the switch word of '$M': File too large"
cmp $M before.omq
if [ "$(id -u)" -ne 0 ]; then
    chmod 444 $M
    expect 1 omq-switch --bits w4a8 $M
    has err "Permission denied" "give --control FILE"
fi
expect 1 bash -c "omq-switch $M >/dev/full"
