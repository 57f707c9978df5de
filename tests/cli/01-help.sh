# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# --help is data: on stdout, complete, status 0, and it wins over other options.
for tool in omq-train omq-eval omq-run omq-switch omq-export; do
    expect 0 $tool --help
    empty err
    has out "Usage: $tool [options] " "Examples:" "--quiet"
    [ $tool = omq-export ] || has out "--json" "--threads N"
    has_not out "--print-mdoc"
    [ "$(grep -c "^  $tool" out)" -ge 2 ] || fail "not two examples"
    [ "$(awk 'length > 80' out | grep -vc '^  omq-')" -eq 0 ] || fail "lines too long"
    cp out long
    expect 0 $tool -h
    cmp out long
    expect 0 $tool -q --help more arguments
    cmp out long
done
