# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# --bench: a table or an object; nothing written.
tiny_config >tiny.yaml
expect 0 omq-train --bench --steps 2 tiny.yaml
has out "ms/step" "images/s" " dx     dw " wait "widths 8 2 w4a8"
need python3
expect 0 omq-train --bench --steps 2 --json tiny.yaml
python3 - out <<'END'
import json, sys

b = json.load(open(sys.argv[1]))
assert b["batch_size"] == 16 and b["steps"] == 2 and b["threads"] == 1 and b["step_ms"] > 0
assert b["ms_p10"] <= b["ms_p90"] and b["kernel"]
shares = ["conv", "dx", "dw", "quant", "norm", "other", "wait"]
assert abs(sum(b[share] for share in shares) - 1) < 1e-6
assert 0 <= b["wait"] < 1
END
[ ! -e run ] || fail "something was created"
