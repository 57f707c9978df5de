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

step style scripts/check-style.sh
step includes scripts/check-includes.sh
step headers scripts/check-headers.sh "$CC"
step shellcheck scripts/check-shell.sh
step man scripts/check-man.sh

step build "${make[@]}" BUILD="$BUILD" CC="$CC" tests
[ "$step_ok" = yes ] || steps_end # nothing to test
step symbols scripts/check-symbols.sh "$BUILD/libomq.a"

# The unit tests with the best kernels, then with each lower level.
step unit "$BUILD/unit"
step "unit, lower levels" scripts/check-levels.sh "$BUILD/unit"
step "unit, unknown OMQ_CPU" bash -c "OMQ_CPU=none $BUILD/unit; [ \$? -eq 2 ]"
step "gradients in double" "$BUILD/grad"
step checkkern "$BUILD/checkkern"

for dir in tests/fuzz/*/; do
    target=$(basename "$dir")
    step "fuzz corpus, $target" "$BUILD/fuzz/$target" "$dir/corpus"
done

step "command line" env OMQ_BIN="$PWD/$BUILD/bin" OMQ_SRC="$PWD" tests/cli/run.sh
step swap scripts/check-swap.sh "$BUILD"
step install scripts/check-install.sh "$BUILD"
step golden scripts/check-golden.sh
step image scripts/check-image.sh "$BUILD"

steps_end
