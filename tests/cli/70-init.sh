# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Weights of files to begin with: lists of what does not fit, and the ways around it.
corpus=$OMQ_SRC/tests/fuzz/source/corpus
tiny_model --set bits=[32]
mv run/model.omq float.omq
expect 0 omq-eval --bits 32 --logits want.npy float.omq
fresh=(--set "bits=[32]" --set train.epochs=0 -f tiny.yaml)

# A model of ours, at the precision it had.
expect 0 omq-train --init float.omq "${fresh[@]}"
has err "arrays loaded from 'float.omq'"
expect 0 omq-eval --logits got.npy run/model.omq
cmp want.npy got.npy
expect 1 omq-eval --logits no/such/folder.npy run/model.omq
expect 0 omq-train --init float.omq -q --set "bits=[8,2]" -f tiny.yaml
expect 2 omq-eval --logits got.npy run/model.omq
has err "--logits is for one precision"

# What does not fit is listed, and nothing is created.
rm -r run
expect 2 omq-train --init "$corpus/good.safetensors" "${fresh[@]}"
has err "missing: layer1.0.conv1.weight" \
    "shape of conv1.weight is [4, 3, 3, 3], expected [4, 1, 3, 3]" "are not those of this network" \
    "try --map, --skip or --no-strict"
has_not err num_batches_tracked
[ ! -e run ] || fail "something was created"
expect 2 omq-train -q --init "$corpus/good.safetensors" "${fresh[@]}"
has_not err "missing: "
expect 2 omq-train --dry-run --init "$corpus/good.safetensors" tiny.yaml
has err "missing: layer1.0.conv1.weight"

# With less rigour, and in other words.
expect 0 omq-train --no-strict --init "$corpus/good.npz" "${fresh[@]}"
has err "shape of conv1.weight is" "2 arrays loaded"
expect 0 omq-train --init float.omq --skip linear --skip '*.bn2' "${fresh[@]}"
has err "14 parameters skipped"
expect 2 omq-train --init float.omq --map layer1=first --map nothing "${fresh[@]}"
has err "init_map has 'nothing', which is not OLD=NEW"
expect 2 omq-train --init float.omq --map layer1=first "${fresh[@]}"
has err "missing: layer1.0.conv1.weight" "unexpected: first.0.conv1.weight"
expect 0 omq-train --init float.omq --map layer1=first --map layer1.0=layer1 --skip layer1 \
    --skip first "${fresh[@]}"

# What fits no name would be for nothing.
expect 2 omq-train --dry-run --init float.omq --skip linear --skip fc tiny.yaml
has err "init_skip has 'fc', which fits no parameter: the last layer is 'linear', and --dry-run"
has_not err "arrays loaded"
expect 2 omq-train --no-strict --init float.omq --skip lineer "${fresh[@]}"
has err "init_skip has 'lineer', which fits no parameter"
expect 2 omq-train --init float.omq --map conv1=conv1 --map foo=bar "${fresh[@]}"
has err "init_map has 'foo=bar', which fits no name in 'float.omq', such as '"
for word in map=foo=bar skip=linear; do
    expect 2 omq-train --dry-run "--$word" tiny.yaml
    has err "init_${word%%=*} is for weights of a file, and there is none: name one by --init FILE"
done

# The options are keys: --resume needs the same ones, and no weights.
expect 0 omq-train --dump-config --init 'a "b' --map x=y --skip z --no-strict tiny.yaml
has out 'init: "a \"b"' 'init_map: ["x=y"]' 'init_skip: ["z"]' "init_strict: false"
cp float.omq gone.omq
expect 0 omq-train -q -f --init gone.omq --set train.epochs=2 --set "bits=[8,2]" tiny.yaml
rm gone.omq
expect 0 omq-train -q --resume --init gone.omq --set train.epochs=3 --set train.highest_first=0 \
    --set "bits=[8,2]" tiny.yaml

# Files that are none.
for file in overlap.safetensors:"another array overlaps that of 'b'" gap.safetensors:"a gap" \
    moon.safetensors:"do not agree" long.safetensors:"longer than the file" \
    deep.safetensors:"is not JSON" twice.safetensors:"duplicate" \
    pickle.npz:"a pickle of PyTorch" pickle:"a pickle of PyTorch" \
    cut.npz:"cut short"; do
    expect 1 omq-train --init "$corpus/${file%%:*}" "${fresh[@]}"
    has err "${file#*:}" "${file%%:*}"
done
expect 1 omq-train --init nowhere "${fresh[@]}"
has err "nowhere"
