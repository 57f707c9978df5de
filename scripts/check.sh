#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh: on a fresh Debian 12, installs what is missing, builds, and runs
# all tests. The last line is "N passed, N failed[, N skipped]".
set -eu
cd "$(dirname "$0")/.."
if ! scripts/install-deps.sh build check; then
    echo "0 passed, 1 failed"
    exit 1
fi
# The same as `make check`, whose own last line would be make's on a failure.
exec scripts/run-checks.sh
