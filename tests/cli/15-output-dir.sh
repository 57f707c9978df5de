# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Outputs that cannot be written, said before any training.
tiny_config >tiny.yaml
touch file
for bad in file file/run /dev/null/run /proc/run /proc/self; do
    expect 1 omq-train --set "output_dir=$bad" tiny.yaml
    has err "omq-train: " "$bad"
    has_not err "epoch 1/"
done
mkdir taken taken/last.omq
expect 1 omq-train --set output_dir=taken --resume tiny.yaml
has err taken/last.omq
# Nothing to resume.
expect 2 omq-train --set output_dir=new --resume tiny.yaml
has err new
[ ! -e new/model.omq ] || fail "trained all the same"
