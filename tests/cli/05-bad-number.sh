# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Numbers: the message names option, value, range and unit.
for bad in x '' 1x 0x10 1.5 ' 1' +1 1e3; do
    expect 2 omq-eval --threads "$bad" model.omq
    has err "option '--threads': '$bad' is not a whole number"
done
for bad in 0 -1 257 99999999999999999999 -99999999999999999999; do
    expect 2 omq-eval --threads="$bad" model.omq
    has err "option '--threads': $bad is out of range; give 1 to 256 threads"
done
expect 2 omq-eval --batch 4097 model.omq
has err "4097 is out of range; give 1 to 4096 images"
expect 2 omq-eval --limit 0 model.omq
has err "0 is out of range; give 1 or more images"
expect 2 omq-eval --limit 2147483648 model.omq
has err "2147483648 is out of range; give 1 to 2147483647 images"
expect 2 omq-train --bench --steps 0 x.yaml
has err "0 is out of range; give 1 to 100000 steps"
empty out
