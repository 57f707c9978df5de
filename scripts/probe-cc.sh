#!/bin/sh
# SPDX-License-Identifier: MIT
# probe-cc.sh CC FLAG...: prints "yes" if CC compiles for x86-64 with all of
# these instruction-set flags, else "no".
cc=$1
shift
# $cc unquoted: CC may hold words, as in CC='ccache gcc'.
# shellcheck disable=SC2086
if printf '%s\n' '#ifndef __x86_64__' '#error' '#endif' '#include <immintrin.h>' \
    '__m512i f(__m512i a, __m512i b) { return _mm512_madd_epi16(a, b); }' |
    $cc -x c "$@" -c -o /dev/null - 2>/dev/null; then
    echo yes
else
    echo no
fi
