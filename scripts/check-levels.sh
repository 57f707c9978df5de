#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-levels.sh UNIT LEVEL: the unit tests that depend on kernels, at one level; with
# the level "none", the others, once, without any kernel: one that calls a kernel
# after all crashes there, and is to be taken from the list below. A suite that is
# not in it runs at every level.
set -eu
unit=$1 level=$2
none=(base cifar ckpt conf conf_errors data file folder governor gradients idx image kern loader
    model model_meta nn onnx_read onnx_refuse place plan presence profile schedule sensors shards
    switch_word trace transform)

# Once: export_c compares compiled programs with the engine, which says the same at each level
# by the suite engine; and follow waits for seconds.
others=(export_c follow)
case $level in
none)
    "$unit" --no-kernels "${none[@]}"
    ;;
best)
    "$unit" --but "${none[@]}"
    ;;
avxvnni | dotprod) # the level below, but for convolutions
    OMQ_CPU=$level "$unit" --but "${none[@]}" "${others[@]}" calibrate method quant train
    ;;
*)
    OMQ_CPU=$level "$unit" --but "${none[@]}" "${others[@]}"
    ;;
esac
