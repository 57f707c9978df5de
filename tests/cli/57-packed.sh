# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A packed model is a model to all programs but the one that trains.
tiny_model
omq-export -o packed.omq run/model.omq
[ "$(wc -c <packed.omq)" -lt "$(wc -c <run/model.omq)" ] || fail "packed is not smaller"

omq-eval --json run/model.omq | sed 's/"seconds.*"weight_bytes/"weight_bytes/' >want
omq-eval --json packed.omq | sed 's/"seconds.*"weight_bytes/"weight_bytes/' >have
diff want have
expect 0 omq-eval --json --per-layer --bits 2 packed.omq
has out '"w_sqnr_db":null' '"a_sqnr_db":'
expect 1 omq-eval --engine float packed.omq
has err "packed integer weights only"

omq-switch --bits 2 packed.omq
[ "$(omq-switch --get packed.omq)" = w2a2 ] || fail "$(omq-switch --get packed.omq)"
head -c 10000 /dev/urandom >frames
omq-run --bits 2 run/model.omq <frames >want || true
omq-run packed.omq <frames >have || true
[ -s want ] || fail "no answers"
diff want have

# Again from the packed one, of fewer precisions: the same bytes as from the first.
omq-export --bits 2 -o two.omq --name x packed.omq
omq-export --bits 2 -o direct.omq --name x run/model.omq
cmp two.omq direct.omq

cp packed.omq run/last.omq
expect 2 omq-train --resume --set output_dir=run tiny.yaml
has err "run/last.omq" "another network"

# The fuzzers begin with models that can be read.
for seed in base packed; do
    expect 0 omq-run --bench --time 1 --bits 8 "$OMQ_SRC/tests/fuzz/model/corpus/$seed.omq"
done
