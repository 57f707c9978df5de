# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The page has the list that the program's own table makes, and nothing else.
for tool in omq-train omq-eval omq-run omq-switch omq-export; do
    expect 0 $tool --print-mdoc
    awk '/options end/ { on = 0 } on { print } /options begin/ { on = 1 }' \
        "$OMQ_SRC/man/$tool.1" >page
    diff page out || fail "man/$tool.1 is behind: put the output of $tool --print-mdoc in it"
done
