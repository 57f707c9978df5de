#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-arm.sh: the AArch64 kernels, compiled on another machine and run by qemu:
# checkkern on a processor of each level, and the words of OMQ_CPU. Only what it
# needs, and without BLAS: Debian has no libraries of another architecture.
#
# Settings from the environment: BUILD, MAKE; ARM_CC is the compiler, a gcc.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
cc=${ARM_CC:-aarch64-linux-gnu-gcc} dir=${BUILD:-build}/arm
unset OMQ_CPU

for command in "$cc" qemu-aarch64; do
    command -v "$command" >/dev/null || { echo "'$command' is not installed"; exit 77; }
done

lib=$(echo lib/base/*.c lib/kern/*.c lib/kern/ref/*.c)
# $MAKE unquoted: it may hold words.
# shellcheck disable=SC2086
${MAKE:-make} -s BUILD="$dir" CC="$cc" AR="${cc%gcc}ar" LIB_SRC="$lib" LIBS=-lm LDFLAGS=-static \
    CPPFLAGS=-DOMQ_NO_BLAS CFLAGS='-O3 -g -Werror' "$dir/checkkern" || exit 1

checkkern() { qemu-aarch64 -cpu "$1" "$dir/checkkern"; }

# levels WANTED CPU: checkkern passes there, and tries the kernels of these levels only.
levels() {
    local log got
    echo "$2, OMQ_CPU='${OMQ_CPU-}':"
    log=$(checkkern "$2") || { echo "$log"; exit 1; }
    echo "$log"
    got=$(sed -n 's/^ok .*_\([a-z]*\): .*/\1/p' <<<"$log" | sort -u | tr '\n' ' ')
    [ "$got" = "$1" ] || { echo "kernels of '$got', not of '$1'"; exit 1; }
}

levels "neon " cortex-a53
levels "dotprod neon " max
OMQ_CPU=neon levels "neon " max
OMQ_CPU=ref levels "" max
status=0
OMQ_CPU=avx2 checkkern max || status=$?
[ "$status" -eq 2 ] || { echo "OMQ_CPU=avx2: exit status $status, not 2"; exit 1; }
