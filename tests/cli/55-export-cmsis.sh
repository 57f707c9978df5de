# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Format c with --cmsis: compiles against declarations of our own, says what it cannot
# express, and, where OMQ_CMSIS_NN names a checkout of CMSIS-NN, answers as the model.
need cc
tiny_model --set 'bits=[8,4,2,1,{w: 4, a: 8}]'
make_raw images $((40 * 144))
warnings=(-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror)
declared=$OMQ_SRC/tests/data/cmsis

expect 0 omq-export --cmsis --main -o net.c run/model.omq
empty out
cc "${warnings[@]}" -I "$declared" -fsyntax-only net.c
cc "${warnings[@]}" -fsyntax-only net.h
has net.c arm_convolve_wrapper_s8 arm_convolve_wrapper_s4 arm_elementwise_add_s8 \
    arm_convolve_wrapper_s16
has net.h '#ifndef NET_BUFFER_BYTES' 'int32_t net_buffer_bytes(void);'
! grep -qE 'float|double' <(sed '/a program: images/,$d' net.c) || fail "floats among integers"
if command -v clang >/dev/null; then
    clang -std=c99 -Weverything -Werror -Wno-padded -Wno-unused-macros -Wno-unknown-warning-option \
        -Wno-declaration-after-statement -Wno-unsafe-buffer-usage -isystem "$declared" -c net.c
fi

# Only what is called stands there; codes of 8 bits need no int4.
expect 0 omq-export --cmsis -b 8 -o eight.c run/model.omq
has_not eight.c arm_convolve_wrapper_s4
has_not eight.c arm_depthwise_conv_wrapper_s8

# The same bytes again; other formats have no such option.
expect 0 omq-export --cmsis --main -f c --name net run/model.omq
cmp out net.c || fail "not the same bytes"
expect 2 omq-export --cmsis -f json run/model.omq
has err "format 'json' has no option --cmsis"

# What it computes.
[ -n "${OMQ_CMSIS_NN:-}" ] || skip "compiled, not run: OMQ_CMSIS_NN names no checkout of CMSIS-NN"
mapfile -t sources < <(find "$OMQ_CMSIS_NN/Source" -name '*.c' | grep -v '_f[13]')
cc -O1 -w -I "$OMQ_CMSIS_NN/Include" -o net net.c "${sources[@]}"
for precision in w8a8 w4a8 w4a4 w2a2 w1a1; do
    omq-run --bits $precision run/model.omq <images | cut -f 2 >want
    expect 0 ./net $precision <images
    cut -f 2 out >got
    [ "$(wc -l <got)" -eq 40 ] || fail "not 40 answers"
    differ=$(diff want got | grep -c '^>' || true)
    [ "$differ" -le 1 ] || fail "$differ of 40 answers differ at $precision"
done
# A buffer that is too small is refused.
cc -O1 -w -DNET_BUFFER_BYTES=16 -I "$OMQ_CMSIS_NN/Include" -o net net.c "${sources[@]}"
expect 1 ./net <images
has err 'wants a larger buffer'
