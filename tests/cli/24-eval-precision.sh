# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A precision that the model lacks: those it has.
tiny_model
for bad in 3 w3a3 8,3 float '' '8,' ',8' 8x '8 '; do
    expect 2 omq-eval --bits "$bad" run/model.omq
    empty out
    has err "omq-eval: " 8 2 w4a8
    [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
done
# Standard output has the table, so it cannot have the logits; nor is '-' a file's name.
expect 2 omq-eval --bits 8 --logits - run/model.omq
has err "option '--logits': give a file"
[ ! -e ./- ] || fail "a file called -"
