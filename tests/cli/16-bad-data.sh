# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Data that is missing or damaged: a sentence that names it, and nothing created.
idx=$OMQ_SRC/data/fashion-mnist-small
[ -d "$idx" ] || skip "no data/fashion-mnist-small"
tiny_config >tiny.yaml
options=(--set data.format=idx --set 'data.mean=[0.286]' --set 'data.std=[0.353]')
expect 1 omq-train "${options[@]}" --set data.root=nowhere tiny.yaml
has err nowhere "No such file"
cp -r "$idx" data
chmod -R u+w data
expect 0 omq-train -n "${options[@]}" --set data.root=data tiny.yaml
for f in train-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz; do
    for damage in "head -c 100" "tail -c +2" "head -c -9" "printf x"; do
        $damage "$idx/$f" >data/$f
        expect 1 omq-train "${options[@]}" --set data.root=data tiny.yaml
        has err $f
        [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
    done
    cp "$idx/$f" data/$f
done
[ ! -e run ] || fail "something was created"
