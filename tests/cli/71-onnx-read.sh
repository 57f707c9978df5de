# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A network from an ONNX file: it trains at all widths, is evaluated, runs and is
# exported like any other; what cannot be read names its node.
corpus=$OMQ_SRC/tests/fuzz/onnx/corpus
config() { # FILE
    cat <<END
output_dir: run
threads: 1
bits: [8, 4, 2, 1, 32]
data:
  format: synthetic
  synthetic: {height: 8, width: 8, channels: 3, classes: 5, train: 96, test: 40}
  mean: [0.5]
  std: [0.25]
model: {onnx: $corpus/$1}
train: {epochs: 2, batch_size: 16}
END
}

for name in resnet mobile plain shortcut; do
    config $name.onnx >$name.yaml
    expect 0 omq-train --dry-run $name.yaml
    has out "network: $corpus/$name.onnx"
    has err "arrays loaded from"
    expect 0 omq-train -f $name.yaml
    expect 0 omq-eval run/model.omq
    expect 0 omq-eval --engine float --bits 8 run/model.omq
    expect 0 omq-export --bits 2 -o out.onnx run/model.omq
    expect 0 omq-export --bits 8 --format onnx --style float -o float.onnx run/model.omq
    expect 0 omq-export --bits 4 -o packed.omq run/model.omq
    expect 0 omq-export --bits 1 -o out.c run/model.omq
done
expect 0 omq-train -f resnet.yaml
expect 0 omq-train --resume --set train.epochs=3 --set train.highest_first=0 resnet.yaml

# The file's weights are what it begins with; another file can follow them.
expect 0 omq-train -q -f --set train.epochs=0 resnet.yaml
cp run/model.omq before.omq
expect 0 omq-eval --bits 32 --logits a.npy before.omq
expect 0 omq-train -q -f --set train.epochs=0 --init before.omq --set seed=9 resnet.yaml
expect 0 omq-eval --bits 32 --logits b.npy run/model.omq
expect 0 omq-train -q -f --set train.epochs=0 --set data.synthetic.classes=7 --skip fc resnet.yaml
expect 2 omq-train --dry-run --skip linear resnet.yaml
has err "init_skip has 'linear', which fits no parameter: the last layer is 'fc'"

# Refusals.
rm -r run
refused() { # FILE TEXT...
    config "$1" >bad.yaml
    expect 1 omq-train bad.yaml
    has err "$1" "${@:2}"
    [ ! -e run ] || fail "something was created"
}
refused dilated.onnx "node 'a': Conv with dilations 2 is not supported"
refused nested.onnx "node 'a': If is not supported"
refused cycle.onnx "node 'a': Relu reads 'b', which nothing before it makes"
refused external.onnx "the values of a tensor are in another file"
refused huge.onnx "larger than memory"
refused opset.onnx "has opset 200; 7 to 25 are read"
refused classes.onnx "makes 7 outputs, but there are 5 classes; --skip 'fc'"
expect 2 omq-train --set model.arch=resnet8 bad.yaml
has err "'model.onnx' is a network already: leave out 'model.arch'"
expect 1 omq-train --set data.synthetic.channels=1 resnet.yaml
has err "takes images of 3 channels, but those of the data have 1"
