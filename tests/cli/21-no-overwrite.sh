# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run is not lost by typing its command again.
tiny_model
sum=$(cat run/*.omq run/metrics.* | cksum)
status=0
omq-train tiny.yaml >out 2>err || status=$?
[ $status -eq 1 ] || [ $status -eq 2 ] || fail "exit status $status"
has err "run" "--force"
[ "$(cat run/*.omq run/metrics.* | cksum)" = "$sum" ] || fail "files have changed"
expect 0 omq-train -q --force --set seed=8 tiny.yaml
[ "$(cat run/*.omq run/metrics.* | cksum)" != "$sum" ] || fail "nothing was trained"
