# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# ONNX files: ONNX Runtime runs them at its default settings on integer kernels, and
# takes each image for what omq-run takes it for.
#
# OMQ_ORT is a folder with node_modules/onnxruntime-node; without it, one is filled
# from npm, once.

# A network without residuals and two with, for pictures of 16 x 16.
config() {
    tiny_config | sed -e "s/resnet8, width: 0.25/${1%-*}, width: 0.5, shortcut: ${2:-B}/" \
        -e "s/output_dir: run/output_dir: $1/" -e 's/bits: .*/bits: [8, 4, 1]/' \
        -e '4a profiles: ["mixed 4 *1=1 *conv2=8"]' \
        -e 's/height: 12, width: 12/height: 16, width: 16/'
}
for arch in lenet5 resnet8 resnet8-a; do
    config $arch "$([ $arch != resnet8-a ] || echo A)" >$arch.yaml
    expect 0 omq-train -q $arch.yaml
done
make_idx images 16 16 200

# ---- without a runtime ----

expect 0 omq-export --bits 4 -o first.onnx resnet8/model.omq
expect 0 omq-export --bits 4 -f onnx --style qcdq --name first -o - resnet8/model.omq
cmp first.onnx out || fail "not the same bytes again"
expect 0 omq-export --bits 4,1 -o packed.omq resnet8/model.omq
expect 0 omq-export --bits 4 -f onnx --name first -o - packed.omq
cmp first.onnx out || fail "not the same bytes of a packed model"
for text in omq.version omq.arch w4a4 omq.preprocess omq.classes QuantizeLinear; do
    grep -qaF $text first.onnx || fail "no '$text' in first.onnx"
done
expect 2 omq-export --bits 4,1 -o several.onnx resnet8/model.omq
has err "'several.onnx' holds one precision: name the output FILE.tar for several" \
    "one file: omq, npz, safetensors, json, c, onnx-switch"
[ ! -e several.onnx ] || fail "a tar is called .onnx"
expect 0 omq-export --bits 4,1 -f onnx -o several.tar resnet8/model.omq
tar -tf several.tar | tr '\n' ' ' >out
has out "several_w4a4.onnx several_w1a1.onnx manifest.json"
for options in "--style int4" "--format onnx-switch --style qonnx" \
    "--style exact --act-type s8" "--style exact --weight-type u8" \
    "--act-type s8 --weight-type u8" "--format onnx-switch --bits 4" "--main"; do
    # shellcheck disable=SC2086 # several words
    omq-export --format onnx -o no.onnx $options resnet8/model.omq >out 2>err &&
        fail "$options: no error"
    empty out
    [ ! -e no.onnx ] || fail "$options: there is a file"
done
expect 0 omq-export --bits 1 --style qonnx -o fpga.onnx resnet8/model.omq
grep -qaF BipolarQuant fpga.onnx || fail "no BipolarQuant of 1 bit"
grep -qaF QuantizeLinear fpga.onnx && fail "QuantizeLinear in style qonnx"

# ---- with ONNX Runtime ----

need node
ort=${OMQ_ORT:-${XDG_CACHE_HOME:-/tmp}/omq-test-ort}
if [ ! -d "$ort/node_modules/onnxruntime-node" ]; then
    [ -z "${OMQ_ORT:-}" ] || fail "no node_modules/onnxruntime-node in $ort"
    need npm
    mkdir -p "$ort"
    timeout 300 npm install --prefix "$ort" --ignore-scripts --no-audit --no-fund \
        --fetch-retries=0 onnxruntime-node >npm.log 2>&1 ||
        skip "npm cannot install onnxruntime-node"
fi
export NODE_PATH=$ort/node_modules
runtime() { node "$OMQ_SRC/scripts/check-onnx.js" "$@"; }
node -e 'require("onnxruntime-node")' 2>err || skip "ONNX Runtime does not run here: $(<err)"

# has_ops N CONV: the model of the last call has N convolutions, all of that operator.
has_ops() {
    grep -q "^$2	$1\$" ops || fail "no $1 $2: $(<ops)"
    [ "$(grep -c Conv ops)" -eq 1 ] || fail "other convolutions: $(<ops)"
}

# agree ARCH BITS FILE LEAST N CONV: of 200 images, the runtime and omq agree about so
# many; the file has those operators. The runtime's answers are kept as FILE.answers.
agree() {
    expect 0 omq-run -t 1 --bits "$2" "$1/model.omq" images
    cut -f 2 out >omq
    expect 0 runtime --ops ops "$3" images
    has_ops "$5" "$6"
    cp out "$3.answers"
    cut -f 1 out >ort
    [ "$(wc -l <ort)" -eq 200 ] || fail "$3: not 200 answers"
    local same
    same=$(paste omq ort | awk '$1 == $2' | wc -l)
    [ "$same" -ge "$4" ] || { [ "$6" = QLinearConv ] && [ "$3" != u8.onnx ] &&
        ! qlinear_is_exact; } || fail "$1, $2 bits, $3: $same of 200 alike"
}

for bits in 8 4 1 mixed; do
    for net in lenet5 resnet8 resnet8-a; do
        expect 0 omq-export --bits $bits -o $net-$bits.onnx $net/model.omq
    done
    agree lenet5 $bits lenet5-$bits.onnx 199 2 QLinearConv
    agree resnet8 $bits resnet8-$bits.onnx 199 9 QLinearConv
    agree resnet8-a $bits resnet8-a-$bits.onnx 199 7 QLinearConv
done
for bits in 8 4 1 mixed; do
    for net in lenet5:2 resnet8:9 resnet8-a:7; do
        expect 0 omq-export --bits $bits --weight-type u8 -o u8.onnx ${net%:*}/model.omq
        agree ${net%:*} $bits u8.onnx 199 ${net#*:} QLinearConv
    done
done
for bits in 8 1 mixed; do
    expect 0 omq-export --bits $bits --style exact -o exact.onnx resnet8/model.omq
    agree resnet8 $bits exact.onnx 200 10 ConvInteger
done

# For TensorRT; half of the levels, and sums that are not rounded, decide some images.
expect 0 omq-export --bits 8 --act-type s8 -o s8.onnx resnet8/model.omq
expect 0 omq-run -q -t 1 --bits 8 resnet8/model.omq images
cut -f 2 out >omq
runtime s8.onnx images | cut -f 1 >ort
same=$(paste omq ort | awk '$1 == $2' | wc -l)
[ "$same" -ge 190 ] || fail "activations s8: $same of 200 alike"

# Concats, shortcuts and pools, with outputs that others quantize anew.
mkdir moves
cp "$OMQ_SRC/tests/data/moves.omq" moves/model.omq
make_idx images 12 12 200
for bits in 8 4 1; do
    expect 0 omq-export --bits $bits -o moves-$bits.onnx moves/model.omq
    agree moves $bits moves-$bits.onnx 200 8 QLinearConv
done
make_idx images 16 16 200

# One file for several precisions gives what one for each does, bit for bit.
expect 0 omq-export --format onnx-switch -o switch.onnx resnet8/model.omq
expect 0 runtime --ops ops switch.onnx
has_ops 36 QLinearConv
for bits in 8 4 1 mixed; do
    number=$bits
    [ $bits != mixed ] || number=10000
    runtime --bits $number switch.onnx images >switched
    cmp resnet8-$bits.onnx.answers switched ||
        fail "onnx-switch at $bits bits is not the file of $bits bits"
done
expect 0 omq-export --format onnx-switch --weight-type u8 -o switch.onnx resnet8/model.omq
for bits in 8 4 1; do
    omq-run -q -t 1 --bits $bits resnet8/model.omq images | cut -f 2 >omq
    runtime --bits $bits switch.onnx images | cut -f 1 >ort
    same=$(paste omq ort | awk '$1 == $2' | wc -l)
    [ "$same" -ge 199 ] || fail "onnx-switch, weights u8, $bits bits: $same of 200 alike"
done
qlinear_is_exact || skip "QLinearConv of weights s8 not compared: without VNNI it is not exact"
