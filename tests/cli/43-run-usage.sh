# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What cannot be meant: one line and a hint, status 2, before anything is read.
refused() { # WORDS OPTION...
    local words=$1
    shift
    expect 2 omq-run "$@" </dev/null
    empty out
    has err "$words" "try 'omq-run --help'"
    [ "$(wc -l <err)" -eq 2 ] || fail "not two lines: $(<err)"
}
refused "no MODEL given"
refused "--bench takes neither images nor" --bench m.omq a.png
refused "--bench takes neither images nor" --bench -f m.omq
refused "--bench takes neither images nor" --bench -g manual m.omq
refused "--simulate needs a --governor" --simulate t.csv m.omq
refused "--simulate takes neither images nor" -g manual --simulate t.csv m.omq a.png
refused "--floor is for a --governor" --floor 2 m.omq
refused "one precision at a time" --bits 8,2 m.omq
refused "--time is for --bench" --time 5 m.omq a.png
refused "one precision at a time" --bits all m.omq
refused "cannot be followed" -f - a.png
refused "cannot be followed" --control c.omq - a.png
refused "option '--control': the switch word must be in a file" --control - m.omq a.png
refused "standard input cannot be the model and the images" -
refused "standard input cannot be the model and the images" - a.png -
refused "standard input cannot be the model and the trace" -g manual --simulate - -
refused "option '--resident': '0' is neither a number from 1 to 100 nor all" --resident 0 m.omq
refused "option '--resident': 'x'" --resident x m.omq
refused "option '--batch': 4097 is out of range" --batch 4097 m.omq
refused "option '--top': 0 is out of range" --top 0 m.omq
refused "did you mean '--simulate'?" --simulat t.csv m.omq
refused "did you mean '--governor'?" --governer manual m.omq

# These need the model.
tiny_model
for option in --bits "--bench --bits"; do
    # shellcheck disable=SC2086 # several words
    expect 2 omq-run $option 5 run/model.omq </dev/null
    has err "the model has no precision '5'; it has 8 2 w4a8"
    empty out
done
expect 2 omq-run --bits 12345678901234567890 run/model.omq </dev/null
expect 2 omq-run --bits '' run/model.omq </dev/null
OMQ_CPU=fast expect 2 omq-run run/model.omq </dev/null
has err OMQ_CPU
