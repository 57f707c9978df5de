# SPDX-License-Identifier: MIT
# shellcheck shell=bash
for tool in omq-train omq-eval omq-run omq-switch omq-export; do
    $tool --version
done
# "--version" tells which kernels are used, and takes the same words.
OMQ_CPU=ref omq-eval --version >out
has out ref
OMQ_CPU=nonsense expect 2 omq-eval --version
has err "omq-eval: OMQ_CPU: unknown kernel level 'nonsense'; try ref"
empty out
