# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Training gives the same file, byte for byte, whatever instruction set is used; which
# is what makes a short run of the fastest as good as one of the reference.
train() { # LEVEL ARCH THREADS SIZE CHANNELS CLASSES BATCH
    cat >net.yaml <<END
output_dir: run-$1
bits: [8, w2a3, 1]
data:
  format: synthetic
  synthetic: {height: $4, width: $4, channels: $5, classes: $6, train: 14, test: 4}
  mean: [0.5]
  std: [0.25]
model: {arch: $2}
train: {epochs: 2, batch_size: $7, lr: 0.05}
END
    OMQ_CPU=$1 expect 0 omq-train --force --set "threads=$3" net.yaml
}

best=$(omq-train --bench --steps 1 --json "$OMQ_SRC/configs/bench/lenet5.yaml" |
    sed -n 's/.*"kernel": *"\([a-z0-9]*\)".*/\1/p')
[ -n "$best" ] || fail "--bench names no kernels"
low=avx2
[ "$(uname -m)" = x86_64 ] || low=neon
# A batch of an odd number of images, few outputs, images that end as one pixel.
for net in "lenet5 1 28 1 10 9" "resnet8 2 16 3 10 14" "mobilenet_v2 2 32 3 12 4"; do
    # shellcheck disable=SC2086
    for level in ref $low "$best"; do
        train $level $net
        for file in model.omq last.omq; do
            cmp run-ref/$file "run-$level/$file" || fail "$net differs at $level"
        done
    done
done
