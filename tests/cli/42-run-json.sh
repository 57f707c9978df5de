# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# JSON of answers, and of --bench; names of images that need quoting.
need python3
tiny_model
make_png first.png 12 12 1
cp first.png $'od"d\n\\.png'
printf '\377' >>$'od"d\n\\.png' # what follows a picture does not matter
expect 0 omq-run --json --top 2 --batch 2 run/model.omq first.png $'od"d\n\\.png'
empty err
cp out json
expect 0 omq-run --top 2 run/model.omq first.png
python3 - json out <<'END'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["image"] for r in rows] == ["first.png", 'od"d\n\\.png'], rows
for r in rows:
    assert set(r) == {"image", "precision", "ms", "classes"}
    assert r["precision"] == "w8a8" and r["ms"] > 0
    assert len(r["classes"]) == 2
    first, second = r["classes"]
    assert set(first) == {"class", "index", "confidence"}
    assert 1 > first["confidence"] >= second["confidence"] > 0
    assert 0 <= first["index"] < 4 and first["index"] != second["index"]
text = open(sys.argv[2]).read().split("\t")
assert text[1] == first["class"] and abs(float(text[2]) - first["confidence"]) < 6e-5
END
expect 0 omq-run run/model.omq $'od"d\n\\.png'
[ "$(wc -l <out)" -eq 1 ] || fail "a name that breaks lines"

expect 0 omq-run --bench --json --time 2 --batch 3 -t 1 run/model.omq
empty err
python3 - out <<'END'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["precision"] for r in rows] == ["w8a8", "w2a2", "w4a8"], rows
for r in rows:
    assert set(r) == {"precision", "kernel", "batch", "threads", "ms", "ms_p10", "ms_p90",
                      "images_per_s"}
    assert r["kernel"] and r["batch"] == 3 and r["threads"] == 1
    assert 0 < r["ms_p10"] <= r["ms"] <= r["ms_p90"]
    assert abs(r["images_per_s"] * r["ms"] / 3000 - 1) < 1e-6
END
OMQ_CPU=ref expect 0 omq-run --bench --time 2 --bits w4a8,2,w4a8 run/model.omq
[ "$(awk '{ print $1 }' out | tr '\n' ' ')" = "batch precision w4a8 w2a2 " ] || fail "$(<out)"
has out " ref"
# Float precisions are not among all, and cannot be timed.
expect 0 omq-run --bench --time 1 --bits all "$OMQ_SRC/tests/fuzz/model/corpus/base.omq"
[ "$(awk 'NR > 2 { print $1 }' out | tr '\n' ' ')" = "w8a8 w4a8 w2a2 mixed " ] || fail "$(<out)"
expect 1 omq-run --bench --time 1 --bits 32 "$OMQ_SRC/tests/fuzz/model/corpus/base.omq"
