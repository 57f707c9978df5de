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

# Where logits cannot go: said before anything is evaluated, and no model is lost.
cp run/model.omq before.omq
ln -s run/model.omq link.omq
for to in run/model.omq link.omq; do
    expect 2 omq-eval --bits 8 --logits $to run/model.omq
    has err "'$to' is the model itself"
    empty out
done
# shellcheck disable=SC2094 # which is refused
expect 2 omq-eval --bits 8 --logits run/model.omq - <run/model.omq
cmp run/model.omq before.omq || fail "the model is not what it was"
expect 1 omq-eval --bits 8 --logits none/logits.npy run/model.omq
has err "none/logits.npy"
expect 1 omq-eval --bits 8 --logits '' run/model.omq
has err "the name of a file to write is empty"
empty out
# Nor to where the table goes, and names are as long as files may have them.
expect 2 omq-eval --bits 8 --logits /dev/stdout run/model.omq
has err "option '--logits': give a file"
expect 0 omq-eval --bits 8 --limit 3 --logits "$(printf %0255d 0)" run/model.omq
[ -s "$(printf %0255d 0)" ] || fail "no file of a long name"
# Only what is evaluated takes memory.
expect 0 omq-eval --bits 8 --limit 3 --logits logits.npy run/model.omq
[ "$(stat -c %s logits.npy)" -eq $((128 + 3 * 4 * 4)) ] || fail "not three images"
