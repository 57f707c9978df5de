#!/bin/sh
# SPDX-License-Identifier: MIT
# probe-cc.sh ARCH CC FLAG...: prints "yes" if CC compiles for ARCH (x86: x86-64;
# arm: AArch64, little-endian) with all of these instruction-set flags, else "no".
arch=$1 cc=$2
shift 2
case $arch in
x86) code='#ifndef __x86_64__
#error
#endif
#include <immintrin.h>
__m512i f(__m512i a, __m512i b) { return _mm512_madd_epi16(a, b); }' ;;
arm) code='#ifndef __AARCH64EL__
#error
#endif
#include <arm_neon.h>
int32x4_t f(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_s32(s, a, b); }' ;;
esac
# $cc unquoted: CC may hold words, as in CC='ccache gcc'.
# shellcheck disable=SC2086
if printf '%s\n' "$code" | $cc -x c "$@" -c -o /dev/null - 2>/dev/null; then
    echo yes
else
    echo no
fi
