# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Weights with PyTorch's names compute the same here, logit by logit, whatever the file.
python=/usr/bin/python3 # Debian's, whose torch python3-torch is
status=0
$python "$OMQ_SRC/scripts/check-weights.py" --random work >out 2>err || status=$?
[ $status -ne 77 ] || skip "$(<out)"
cat out
[ $status -eq 0 ] || fail "$(<err)"
has out "40 images" "packed.npz: the same" "module.safetensors: the same"
