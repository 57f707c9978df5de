# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The completion offers every option of --help, its words, and files that fit.
. "$OMQ_SRC/completions/omq.bash"

complete_words() { # the words typed; the last one is being completed
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _omq "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[*]}"
}

touch a.yaml b.omq c.txt
mkdir sub
for tool in omq-train omq-eval omq-run omq-switch omq-export; do
    expect 0 $tool --help
    mapfile -t all < <(grep -oE '^  (-.,|   ) --[a-z-]+' out | grep -oE -e '--.*')
    for option in "${all[@]}"; do
        [ "$(complete_words $tool "$option")" = "$option" ] || fail "$tool $option"
    done
done
[ "$(complete_words omq-train --du)" = --dump-config ] || fail "--du"
[ "$(complete_words omq-eval --engine f)" = float ] || fail "--engine f"
[ "$(complete_words omq-eval --split = v)" = validation ] || fail "--split=v"
[ "$(complete_words omq-eval --split '=')" = "test validation train" ] || fail "--split="
[ "$(complete_words omq-eval --data s)" = sub ] || fail "--data s"
[ "$(complete_words omq-train '')" = "sub/ a.yaml" ] || fail "omq-train"
[ "$(complete_words omq-train --recalibrate -o b.omq '')" = "sub/ b.omq" ] || fail "--recalibrate"
[ "$(complete_words omq-eval '')" = "sub/ b.omq" ] || fail "omq-eval"
[ "$(complete_words omq-switch --wait '')" = "sub/ b.omq" ] || fail "omq-switch"
[ "$(complete_words omq-export --style q)" = "qcdq qonnx" ] || fail "--style q"
[ "$(complete_words omq-export --output c)" = c.txt ] || fail "--output c"
# The first operand is a model, the others are images.
[ "$(complete_words omq-run '')" = "sub/ b.omq" ] || fail "omq-run"
[ "$(complete_words omq-run -q -b 2 --top = 3 '')" = "sub/ b.omq" ] || fail "omq-run -b 2"
for words in "b.omq" "-f --bits 2 b.omq" "b.omq a.yaml" "-"; do
    # shellcheck disable=SC2086 # several words
    offered=$(complete_words omq-run $words '' | tr ' ' '\n' | sort | tr '\n' ' ')
    [ "$offered" = "a.yaml b.omq c.txt err out sub " ] || fail "omq-run $words: $offered"
done
[ "$(complete_words omq-run --simulate c)" = c.txt ] || fail "--simulate c"
