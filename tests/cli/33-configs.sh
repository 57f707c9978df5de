# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Every configuration that is shipped can be used.
cd "$OMQ_SRC" || exit
n=0
while read -r f; do
    omq-train --dump-config "$f" >/dev/null || fail "$f"
    n=$((n + 1))
done < <(find configs -name '*.yaml')
[ $n -gt 0 ] || fail "no configuration"

# Those of large networks build them, for pictures in folders as they expect them.
cd - >/dev/null || exit
for class in a b; do
    for split in train val; do
        mkdir -p "data/$split/$class"
        make_png "data/$split/$class/0.png" 40 30 3
    done
done
for name in resnet18 resnet50 mobilenet_v2; do
    config=$OMQ_SRC/configs/imagenet-$name.yaml
    expect 0 omq-train --dry-run --set data.root=data --set init= --set train.batch_size=2 "$config"
    has out "data: 2 training images of 224 x 224 x 3, 2 to evaluate, 2 classes" "network: $name"
done
