# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Valid JSON, an object a line, with everything in it.
need python3
tiny_model
expect 0 omq-eval --json --per-layer --confusion run/model.omq
empty err
python3 - out <<'END'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["precision"] for r in rows] == ["w8a8", "w2a2", "w4a8"], rows
assert [(r["w"], r["a"]) for r in rows] == [(8, 8), (2, 2), (4, 8)]
for r in rows:
    assert r["samples"] == 40 and r["top5"] == 100
    matrix = r["confusion"]
    assert len(r["classes"]) == len(matrix) == 4 and all(len(m) == 4 for m in matrix)
    assert sum(map(sum, matrix)) == 40
    right = sum(matrix[i][i] for i in range(4))
    assert abs(r["top1"] - 100 * right / 40) < 1e-9, r
    assert r["loss"] > 0 and r["seconds"] > 0 and r["images_per_s"] > 0
    assert len(r["layers"]) >= 8
    for layer in r["layers"]:
        assert layer["name"] and layer["w"] in (2, 4, 8)
        assert layer["w_sqnr_db"] > 0 and 0 <= layer["w_clipped"] <= 100
sizes = [r["weight_bytes"] for r in rows]
assert sizes[0] > sizes[2] > sizes[1] > 0, sizes
END
# For people, the same things in text.
expect 0 omq-eval --bits 2 --per-layer --confusion run/model.omq
has out "SQNR dB" "clipped %" "taken for class"
[ "$(grep -c '^precision' out)" -eq 1 ] || fail "not one header"
