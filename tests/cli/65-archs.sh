# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Networks have the parameters that torchvision's have, by name and shape; resnet20 with
# shortcuts A those of the file that OMQ_RESNET20_WEIGHTS names, if it does.
long
python=/usr/bin/python3 # Debian's, whose torchvision python3-torchvision is
args=("$(command -v omq-train)")
[ -z "${OMQ_RESNET20_WEIGHTS:-}" ] || args+=("$OMQ_RESNET20_WEIGHTS")
status=0
$python "$OMQ_SRC/scripts/check-archs.py" "${args[@]}" >out 2>err || status=$?
[ $status -ne 77 ] || skip "$(<out)"
[ $status -eq 0 ] || {
    cat out err
    fail "check-archs.py: $status"
}
