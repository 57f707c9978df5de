# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Networks that PyTorch exports compute the same here, logit by logit.
long
python=/usr/bin/python3 # Debian's, whose torch python3-torch is
status=0
$python "$OMQ_SRC/scripts/check-onnx-read.py" work >out 2>err || status=$?
[ $status -ne 77 ] || skip "$(<out)"
cat out
[ $status -eq 0 ] || fail "$(<err)"
has out resnet-folded.onnx resnext-free.onnx mobilenet-kept.onnx cifar-kept.onnx \
    plain-free.onnx digits-kept.onnx
