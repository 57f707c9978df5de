# SPDX-License-Identifier: MIT
# shellcheck shell=bash
need mandoc
for page in omq.7 omq-train.1 omq-eval.1 omq-run.1 omq-switch.1 omq-export.1; do
    lint=$(mandoc -T lint -W style "$OMQ_SRC/man/$page" |
        grep -v 'referenced manual not found' || true)
    [ -z "$lint" ] || fail "$lint"
    for section in NAME DESCRIPTION FILES EXAMPLES 'SEE ALSO'; do
        has "$OMQ_SRC/man/$page" ".Sh $section"
    done
done
