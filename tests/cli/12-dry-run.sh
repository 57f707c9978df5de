# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The report, as text and JSON, and nothing created.
tiny_config >tiny.yaml
expect 0 omq-train --dry-run tiny.yaml
[ -s out ] || fail "no report"
expect 0 omq-train -n --json tiny.yaml
[ "$(wc -l <out)" -eq 1 ] || fail "not one line"
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; assert isinstance(json.load(sys.stdin), dict)' <out
fi
rm out err
[ "$(ls)" = tiny.yaml ] || fail "something was created: $(ls)"
