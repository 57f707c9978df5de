# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Files that are no models, or no longer: one sentence, status 1, no crash.
tiny_model
size=$(stat -c %s run/model.omq)

refused() {
    expect 1 omq-eval "$1"
    empty out
    has err "omq-eval: " "$1"
    [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
}

refused missing.omq
refused .
: >empty.omq
refused empty.omq
refused tiny.yaml
for n in 1 7 64 100 $((size / 2)) $((size - 1)); do
    head -c "$n" run/model.omq >cut.omq
    refused cut.omq
done
{ cat run/model.omq; printf x; } >longer.omq
refused longer.omq
for at in 0 9 $((size / 3)) $((size / 2)) $((size - 1)); do
    byte=$(od -An -tu1 -j "$at" -N 1 run/model.omq)
    cp run/model.omq flipped.omq
    # shellcheck disable=SC2059 # an octal escape
    printf "\\$(printf %03o $((byte ^ 16)))" |
        dd of=flipped.omq bs=1 seek="$at" conv=notrunc status=none
    refused flipped.omq
done

# What terminals act on is not passed on, of ASCII and beyond; letters are.
expect 1 omq-eval "$(printf 'x\302\233y\033z\303\251\233w')"
has err "'x?y?z$(printf '\303\251')?w'"
# A control file is no model.
expect 0 omq-switch --bits 2 --control word.omq run/model.omq
expect 1 omq-eval word.omq
has err "a switch word and nothing else"
