#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run-checks.sh: what `make check` does: builds, and runs all tests. The last
# line is "N passed, N failed[, N skipped]", the exit status 0 if none failed.
# Settings from the environment: BUILD, CC, MAKE; scripts/steps.sh has the rest.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C BUILD=${BUILD:-build} CC=${CC:-cc}
# The tests choose their kernels and places themselves.
unset OMQ_CPU CK_RUN_SUITE CK_RUN_CASE CK_VERBOSITY
. scripts/steps.sh

later style scripts/check-style.sh
later includes scripts/check-includes.sh
later headers scripts/check-headers.sh "$CC"
later shellcheck scripts/check-shell.sh
later man scripts/check-man.sh
later curves scripts/check-curves.sh

step build "${make[@]}" BUILD="$BUILD" CC="$CC" tests
[ "$step_ok" = yes ] || steps_end # nothing to test
later symbols scripts/check-symbols.sh "$BUILD/libomq.a"

# Suites that call no kernel; the others with the best kernels, and with each lower level.
later "unit, no kernels" scripts/check-levels.sh "$BUILD/unit" none
later unit scripts/check-levels.sh "$BUILD/unit" best
levels=$("$BUILD/unit" --levels) || step "the levels there are" false
mapfile -t levels <<<"$levels"
for level in "${levels[@]:0:${#levels[@]}-1}"; do
    later "unit, $level" scripts/check-levels.sh "$BUILD/unit" "$level"
done
later "unit, unknown OMQ_CPU" bash -c "OMQ_CPU=none $BUILD/unit; [ \$? -eq 2 ]"
later image scripts/check-image.sh "$BUILD"
later checkkern "$BUILD/checkkern"
later golden scripts/check-golden.sh
later "gradients in double" "$BUILD/grad"
for dir in tests/fuzz/*/; do
    target=$(basename "$dir")
    later "fuzz corpus, $target" "$BUILD/fuzz/$target" "$dir/corpus"
done

# These run side by side themselves, or build, or are a matter of time: alone.
step "command line" env OMQ_BIN="$BUILD/bin" OMQ_SRC="$PWD" tests/cli/run.sh
step swap scripts/check-swap.sh "$BUILD"
step install scripts/check-install.sh "$BUILD"

steps_end
