# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Data that cannot be written is an error; a pipe whose reader left is a quiet one.
tiny_config >tiny.yaml
for options in --help --version "--dump-config tiny.yaml" "--dry-run tiny.yaml" \
    "--dry-run --json tiny.yaml"; do
    status=0
    # shellcheck disable=SC2086 # several words
    omq-train $options >/dev/full 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status on a full disk: $options"
    has err "omq-train: cannot write to standard output: No space left on device"
    status=0
    # shellcheck disable=SC2086
    omq-train $options >&- 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status on a closed stdout: $options"
    has err "omq-train: cannot write to standard output: Bad file descriptor"
done
set +e
omq-train --help 2>err | :
status=${PIPESTATUS[0]}
set -e
[ "$status" -le 1 ] || fail "exit status $status when the reader left"
empty err
# No descriptor at all is no reason to write data into a model.
omq-train -q --set output_dir=closed tiny.yaml <&- >&- 2>&-
omq-train -q --set output_dir=open tiny.yaml
omq-eval --json open/model.omq >open.json
omq-eval --json closed/model.omq >closed.json
[ "$(grep -o '"top1":[^,]*' open.json)" = "$(grep -o '"top1":[^,]*' closed.json)" ]
for redirect in '>/dev/full' '>&-'; do
    status=0
    eval "omq-eval open/model.omq $redirect 2>err" || status=$?
    [ $status -eq 1 ] || fail "omq-eval: exit status $status with $redirect"
    has err "cannot write to standard output"
done
