# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# "-" reads the model from standard input, from a file or a pipe.
tiny_model
expect 0 omq-eval --bits 2 --json run/model.omq
sed 's/"seconds".*//' out >want
expect 0 omq-eval --bits 2 --json - <run/model.omq
sed 's/"seconds".*//' out >have
cmp want have
# shellcheck disable=SC2002 # a pipe is the point
cat run/model.omq | omq-eval --bits 2 --json - | sed 's/"seconds".*//' >have
cmp want have
expect 1 omq-eval - </dev/null
has err "omq-eval: "
expect 1 omq-eval - <tiny.yaml
