#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# quickstart.sh: on a fresh Debian 12, from nothing to one model at eight
# widths: installs what is missing, builds, trains configs/quickstart.yaml on the
# images that come with the source, and evaluates the model at every width.
# Every file it makes is below build/ and runs/quickstart/.
set -eu
cd "$(dirname "$0")/.."

# part NAME COMMAND...: runs it and says how long it took.
part() {
    local name=$1 start=$SECONDS
    shift
    printf '== %s\n' "$name"
    "$@"
    printf '== %s: %d s\n\n' "$name" $((SECONDS - start))
}

part "packages" scripts/install-deps.sh build
start=$SECONDS
part "build" make -s -j"$(nproc)" BUILD=build
part "training one model for all widths" build/bin/omq-train --force configs/quickstart.yaml
part "that model at every width" build/bin/omq-eval --bits all runs/quickstart/model.omq
printf 'the model is runs/quickstart/model.omq; all in %d s, packages apart\n' $((SECONDS - start))
