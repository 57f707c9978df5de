#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run-checks-all.sh: what `make check-all` does: `make check`, and then the
# tests again under sanitizers, valgrind, other compilers and other flags. Tens
# of minutes. A tool that is missing is a step skipped, and said so.
#
#   run-checks-all.sh [PART...]    all parts, or those named; see below: all_parts
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C BUILD=${BUILD:-build} CC=${CC:-cc} STEP_LIMIT=${STEP_LIMIT:-3600}
export CASE_LIMIT=${CASE_LIMIT:-1500} # of a command line test
unset OMQ_CPU
. scripts/steps.sh
all_parts=' check asan ubsan tsan valgrind gcc clang O0 native arm direct reproducible '
parts=" $* "
for part in "$@"; do
    [[ $part != *' '* && $all_parts == *" $part "* ]] || {
        echo "run-checks-all.sh: there is no part '$part'; there are:$all_parts" >&2
        exit 2
    }
done

git_state() { git status --porcelain --ignored=no 2>/dev/null; }
before=$(git_state)

# part NAME: whether this part is to be run.
part() { [[ $parts == "  " || $parts == *" $1 "* ]]; }

# need NAME COMMAND: whether there is COMMAND; if not, a skipped step.
need() {
    command -v "$2" >/dev/null && return
    step "$1" bash -c "echo '$2 is not installed'; exit 77"
    return 1
}

# build NAME GOALS VARIABLE=VALUE...: builds to build/NAME; false if that fails.
build() {
    local name=$1 goals=$2
    shift 2
    # $goals unquoted: words.
    # shellcheck disable=SC2086
    step "$name: build" "${make[@]}" BUILD="$BUILD/$name" "$@" $goals
    [ "$step_ok" = yes ]
}

# tests NAME VARIABLE=VALUE...: all test programs of build/NAME.
tests() {
    local name=$1 dir="$BUILD/$1" f
    shift
    step "$name: unit" env "$@" "$dir/unit"
    step "$name: gradients" env "$@" "$dir/grad"
    step "$name: checkkern" env "$@" "$dir/checkkern"
    step "$name: image" env "$@" scripts/check-image.sh "$dir"
    for f in tests/fuzz/*/; do
        f=$(basename "$f")
        step "$name: fuzz, $f" env "$@" "$dir/fuzz/$f" "tests/fuzz/$f/corpus"
    done
    step "$name: swap" env "$@" scripts/check-swap.sh "$dir"
    step "$name: command line" env "$@" OMQ_BIN="$dir/bin" OMQ_SRC="$PWD" tests/cli/run.sh
}

if part check; then
    step "make check" env OMQ_LONG=1 scripts/run-checks.sh
    step "a minute of switching" scripts/check-swap.sh "$BUILD" 60
    step "a folder of 1.28 million" env OMQ_BIN="$BUILD/bin" OMQ_SRC="$PWD" \
        LARGE_FOLDER=1280000 tests/cli/run.sh 62-large-folder
fi

# Sanitizers: no forks, so that leaks are looked for in the tests themselves. No
# detect_stack_use_after_return: GCC 12 gives vectors of 64 bytes stacks that are less aligned.
san='-O2 -g -fno-omit-frame-pointer'
if part asan; then
    build asan tests CC=gcc CFLAGS="$san -fsanitize=address" &&
        tests asan CK_FORK=no \
            ASAN_OPTIONS=strict_string_checks=1
fi
if part ubsan; then
    build ubsan tests CC=gcc CFLAGS="$san -fsanitize=undefined -fno-sanitize-recover=all" &&
        tests ubsan CK_FORK=no UBSAN_OPTIONS=print_stacktrace=1
fi
# OpenBLAS was not built for ThreadSanitizer: the plain kernels do without it.
if part tsan; then
    build tsan tests CC=gcc CFLAGS="$san -fsanitize=thread" &&
        tests tsan CK_FORK=no OMQ_CPU=ref TSAN_OPTIONS=halt_on_error=1
fi
# Optimised, because valgrind is slow enough. Valgrind has no AVX-512.
if part valgrind && need valgrind valgrind; then
    build valgrind tests CFLAGS='-O2 -g' &&
        step "valgrind: unit" env CK_FORK=no valgrind -q --error-exitcode=9 --leak-check=full \
            --errors-for-leak-kinds=definite,indirect,possible "$BUILD/valgrind/unit"
fi

# Compilers and flags. All code must be silent, and give the same results.
strict='-O2 -g -pedantic -Werror'
if part gcc; then
    build gcc tests CC=gcc CFLAGS="$strict" && tests gcc
fi
if part clang && need clang clang; then
    build clang tests CC=clang CFLAGS="$strict" && tests clang
fi
if part O0; then
    build O0 tests CFLAGS='-O0 -g' && step "O0: unit" "$BUILD/O0/unit"
fi
if part native; then
    build native tests CFLAGS='-O3 -g -march=native' && tests native
    # as where native has all there is
    [ "$(uname -m)" != x86_64 ] ||
        build avx512 "$BUILD/avx512/libomq.a" CFLAGS='-O1 -march=sapphirerapids -Werror'
fi

# The kernels of AArch64, under qemu.
if part arm; then
    step "arm: checkkern" scripts/check-arm.sh
fi

# Without make, and without any instruction set but the base.
if part direct; then
    mkdir -p "$BUILD/direct"
    # $CC unquoted: it may hold words.
    # shellcheck disable=SC2086
    step "direct: compilation" $CC -O2 -DOMQ_NO_SIMD -Ilib -o "$BUILD/direct/omq-eval" \
        lib/*/*.c lib/kern/ref/*.c tools/tool*.c tools/omq-eval.c \
        -lopenblas -lz -lyaml -ljansson -ljpeg -lspng -lm -lpthread
    step "direct: runs" "$BUILD/direct/omq-eval" --version
fi

if part reproducible; then
    step reproducible scripts/check-repro.sh
fi
if need "clean tree" git && git rev-parse --git-dir >/dev/null 2>&1; then
    after=$(git_state)
    step "clean tree" diff <(echo "$before") <(echo "$after")
fi
steps_end
